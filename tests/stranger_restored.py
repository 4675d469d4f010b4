"""The client of another hand again, with what the page says of a centre that was restored."""

from tests.stranger import Stranger

FORTNIGHT_MS = 14 * 24 * 60 * 60_000


def dot_of(proof):
    return f"{proof['replica']}/{proof['lane']}/{proof['n']}"


def dots_of(row):
    return {row["dot"], *(dot for write in row["writes"].values() for dot in write[1:])}


class CarefulStranger(Stranger):
    """It keeps proofs and sent words, and gives back what a restored centre lacks."""

    def __init__(self, http, clock):
        super().__init__(http, clock)
        self.proofs, self.offers, self.unseen = {}, [], []

    def request(self):
        return super().request() | {"offers": self.offers[:50], "seen": self.unseen[:50]}

    def runs(self):
        """Own work builds on what is offered, so that goes first."""
        return super().runs() if len(self.offers) <= 50 else []

    async def take(self, asked, reply):
        if reply["epoch"] != self.me["epoch"]:
            self.begin_epoch(reply)
            return
        self.settle_offers(asked, reply)
        if self.unseen:
            self.answer(reply["missing"])
        else:
            await super().take(asked, reply)
        self.keep_what_is_not_durable(reply)

    def settle_offers(self, asked, reply):
        told = {one["dot"]: one for one in reply["verdicts"]}
        vain = {
            dot_of(one)
            for one in self.offers
            if told.get(dot_of(one), {}).get("code") == "signature"
        }
        self.offers = [one for one in self.offers if dot_of(one) not in told]
        self.unseen = [row for row in self.unseen if row not in asked["seen"]]
        self.unseen += [row for row in self.rows.values() if dots_of(row) & vain]

    def keep_what_is_not_durable(self, reply):
        self.sent = [
            (saved, verdict)
            for saved, verdict in self.sent
            if verdict["seq"] > reply["durable"] and verdict["told"] + FORTNIGHT_MS > reply["now"]
        ]
        self.proofs = {dot: one for dot, one in self.proofs.items() if one[1] > reply["durable"]}

    def begin_epoch(self, reply):
        self.me["epoch"], fork = reply["epoch"], reply["fork"]
        settled = self.sent + self.refused
        self.again([saved for saved, verdict in settled if verdict["seq"] > fork])
        self.offers = [proof for proof, seq in self.proofs.values() if seq > fork]
        known = {dot_of(one) for one in self.offers} | {one.dot for one in self.outbox}
        above = [row for row in self.rows.values() if row["seq"] > fork and not row["removed"]]
        self.unseen = [row for row in above if not dots_of(row) <= known]
        self.rows = {key: row | {"seq": 0} for key, row in self.rows.items()}
        self.cursors = {scope: {} for scope in self.cursors}
        self.staged, self.restarting, self.bad = {}, set(), set()

    def apply(self, pair, page):
        super().apply(pair, page)
        self.proofs |= {dot_of(one): (one, page["next"]) for one in page["proofs"]}

    def release(self, pair, key):
        row = self.rows.get(key)
        super().release(pair, key)
        if row and key not in self.rows:
            for dot in dots_of(row):
                self.proofs.pop(dot, None)
