"""A client of another hand, from `docs/protocol.md` alone: what it lacks, the page lacks."""

import base64
import gzip
import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data):
    return base64.b64encode(data).decode()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def digest(row):
    if row["removed"] or row["provisional"]:
        return 0
    names = ("actor", "dot", "fields", "home", "open", "stamp", "writes")
    told = [row["entity"], row["id"], {name: row[name] for name in names}]
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Saved:
    """One mutation as its bytes."""

    def __init__(self, mutation):
        self.lane, self.n, self.prev = mutation["lane"], mutation["n"], mutation["prev"]
        self.dot = f"{mutation['replica']}/{self.lane}/{self.n}"
        self.ms = int(mutation["stamp"][:12], 16)
        self.raw = json.dumps(mutation, ensure_ascii=False).encode()
        self.hash = sha256(self.raw)


class Stranger:
    """One device, which speaks through an HTTP client."""

    def __init__(self, http, clock):
        self.http, self.clock = http, clock
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.me, self.reply, self.offset, self.stamp = {}, {}, 0, (0, 0)
        self.rows, self.holds, self.cursors = {}, {}, {}
        self.staged, self.parts, self.restarting, self.bad = {}, {}, set(), set()
        self.outbox, self.sent, self.refused, self.tips = [], [], [], {}

    async def ask(self, method, path, content=b"", **headers):
        if self.me:
            headers["Authorization"] = f"Bearer {self.me['token']}"
        return await self.http.request(method, path, content=content, headers=headers)

    async def enrol(self, code):
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        body = json.dumps({"code": code, "key": b64url(point)}).encode()
        self.me = (await self.ask("POST", "/v1/enrol", body)).json()

    def next_stamp(self):
        now, (ms, counter) = self.clock() + self.offset, self.stamp
        following = (ms, counter + 1) if counter < 0xFFFF else (ms + 1, 0)
        self.stamp = (now, 0) if now > ms else following
        return f"{self.stamp[0]:012x}-{self.stamp[1]:04x}-{self.me['replica']}"

    def saved(self, intent, lane, n, prev, change, **more):
        me = {name: self.me[name] for name in ("replica", "realm", "session", "actor")}
        said = {"lane": lane, "n": n, "prev": prev, "stamp": self.next_stamp(), "intent": intent}
        saved = Saved(me | said | {"changes": [change], "schema": 2} | more)
        self.outbox.append(saved)
        return saved

    def write(self, intent, lane, change, **more):
        n, prev = self.tips.get(lane, (0, ""))
        saved = self.saved(intent, lane, n + 1, prev, change, **more)
        self.tips[lane] = (saved.n, saved.hash)
        return saved

    def void(self, lane, n, reason="missing", lost=None):
        fields = {"replica": self.me["replica"], "of_lane": lane, "n": n, "lost": lost}
        fields |= {"reason": reason, "at": self.clock()}
        id = sha256(f"{self.me['replica']}/{lane}/{n}".encode())[:32]
        change = {"op": "create", "entity": "void", "id": id, "fields": fields}
        saved = self.saved("lane.void", lane, n, "", change)
        if self.tips[lane][0] == n and lost is None:
            self.tips[lane] = (n, saved.hash)

    def runs(self):
        runs = []
        for one in sorted(self.outbox, key=lambda saved: (saved.lane, saved.n)):
            last = runs[-1][-1] if runs else None
            if not last or (last.lane, last.n + 1, last.hash) != (one.lane, one.n, one.prev):
                runs.append([])
            runs[-1].append(one)
        return runs

    def sign(self, last):
        parts = ("lingda-run-1", self.me["realm"], self.me["replica"], last.lane, last.n, last.hash)
        text = "\n".join(map(str, parts)).encode()
        r, s = decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA256())))
        return b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def request(self):
        said = {name: self.me[name] for name in ("centre", "epoch", "replica")}
        oldest = min((one.ms for one in self.outbox), default=None)
        said |= {"protocol": 2, "cursors": self.cursors, "bad": sorted(self.bad)}
        return said | {"outbox": {"count": len(self.outbox), "oldest": oldest}}

    def encoded(self, request):
        """The saved bytes of the mutations stand in the body as they are."""
        runs = [
            b'{"lane":%d,"sig":"%s","mutations":[%s]}'
            % (run[0].lane, self.sign(run[-1]).encode(), b",".join(one.raw for one in run))
            for run in self.runs()
        ]
        return json.dumps(request).encode()[:-1] + b', "runs": [' + b",".join(runs) + b"]}"

    async def sync(self, **more):
        asked, began = self.request() | more, self.clock()
        response = await self.ask("POST", "/v1/sync", self.encoded(asked))
        assert response.status_code == 200, response.text
        reply = self.reply = response.json()
        assert reply["centre"] == self.me["centre"]
        self.offset = reply["now"] - (began + self.clock()) // 2
        for verdict in reply["verdicts"]:
            self.settle(verdict, reply["now"])
        ahead = any("clock_ahead" in one["tags"] for one in reply["verdicts"])
        self.stamp = (reply["now"], 0) if ahead else max(self.stamp, (reply["now"], 0))
        await self.take(asked, reply)

    def settle(self, verdict, now):
        for saved in [*self.outbox, *(one for one, _ in self.refused)]:
            named = verdict["dot"] in (saved.dot, "") and verdict["hash"] == saved.hash
            if named and verdict["verdict"] != "held":
                self.outbox = [one for one in self.outbox if one is not saved]
                self.refused = [one for one in self.refused if one[0] is not saved]
                shelf = self.sent if verdict["verdict"] in ("applied", "merged") else self.refused
                shelf.append((saved, verdict | {"told": now}))

    def answer(self, missing):
        kept = {(one.lane, one.n): one for one, _ in self.sent + self.refused}
        waits = {(one.lane, one.n) for one in self.outbox}
        for at in {(int(lane), n) for lane, numbers in missing.items() for n in numbers} - waits:
            if at[1] <= self.tips.get(at[0], (0, ""))[0]:
                self.again([kept[at]]) if at in kept else self.void(*at)

    def again(self, saved):
        self.sent = [one for one in self.sent if one[0] not in saved]
        self.refused = [one for one in self.refused if one[0] not in saved]
        self.outbox += saved

    async def take(self, asked, reply):
        self.answer(reply["missing"])
        files = {(one["scope"], one["lane"]): one for one in reply["snapshots"]}
        for scope in reply["revoked"]:
            self.lose(scope)
        for pair in set(map(tuple, reply["restart"])) - set(files):
            self.restart(pair)
        for scope in reply["gained"]:
            self.cursors.setdefault(scope, {})
        for page in reply["pages"]:
            self.stage((page["scope"], page["lane"]), page)
        for scope, lanes in reply["complete"].items():
            for lane in lanes:
                self.show((scope, lane), reply)
        for pair, snapshot in files.items():
            await self.fetch(pair, snapshot)

    def stage(self, pair, page):
        self.staged.setdefault(pair, []).append(page)
        self.cursors.setdefault(pair[0], {})[str(pair[1])] = page["next"]

    def restart(self, pair):
        self.staged.pop(pair, None)
        self.cursors.setdefault(pair[0], {}).pop(str(pair[1]), None)
        self.bad.discard(pair)
        self.restarting.add(pair)

    async def fetch(self, pair, snapshot):
        before, names = self.parts.get(pair, {}), [one["sha256"] for one in snapshot["parts"]]
        here = self.parts[pair] = {name: before[name] for name in names if name in before}
        for name in [name for name in names if name not in here]:
            response = await self.ask("GET", f"/v1/snap/{name}")
            if response.status_code != 404:
                assert sha256(response.content) == name
                here[name] = json.loads(gzip.decompress(response.content))
        if set(here) == set(names):
            self.restart(pair)
            for part in self.parts.pop(pair).values():
                self.stage(pair, part | {"next": snapshot["seq"], "out": []})

    def show(self, pair, reply):
        before = self.holds.pop(pair, set()) if pair in self.restarting else set()
        self.restarting.discard(pair)
        for page in self.staged.pop(pair, []):
            self.apply(pair, page)
        for key in before - self.holds.get(pair, set()):
            self.release(pair, key)
        self.cursors.setdefault(pair[0], {})[str(pair[1])] = reply["upto"]
        found = sum(digest(self.rows[key]) for key in self.holds.get(pair, ())) % 2**64
        if f"{found:x}" != reply["digests"][pair[0]][str(pair[1])]:
            self.bad.add(pair)

    def apply(self, pair, page):
        for row in page["rows"]:
            key = (row["entity"], row["id"])
            if key not in self.rows or row["seq"] >= self.rows[key]["seq"]:
                self.rows[key] = row
            self.holds.setdefault(pair, set()).add(key)
            if row["entity"] == "verdict" and row["fields"]["replica"] == self.me["replica"]:
                self.settle(row["fields"] | {"seq": row["seq"]}, row["arrived"])
        for key in map(tuple, page["out"]):
            self.release(pair, key)

    def release(self, pair, key):
        self.holds.get(pair, set()).discard(key)
        if key in self.rows and not any(key in keys for keys in self.holds.values()):
            del self.rows[key]

    def lose(self, scope):
        self.cursors.pop(scope, None)
        for pair in [pair for pair in {*self.holds, *self.staged, *self.parts} if pair[0] == scope]:
            for key in list(self.holds.get(pair, ())):
                self.release(pair, key)
            for kept in (self.holds, self.staged, self.parts):
                kept.pop(pair, None)
        self.restarting = {pair for pair in self.restarting if pair[0] != scope}
        self.bad = {pair for pair in self.bad if pair[0] != scope}

    async def upload(self, data, chunk=1 << 20):
        kind, base = "application/offset+octet-stream", {"Tus-Resumable": "1.0.0"}
        told = f"sha256 {b64(sha256(data).encode())},type {b64(b'image/jpeg')}"
        about = {"Upload-Length": str(len(data)), "Upload-Metadata": told}
        begun = await self.ask("POST", "/v1/blob", **base, **about)
        path, offset = begun.headers["Location"], int(begun.headers["Upload-Offset"])
        while offset < len(data):
            part = data[offset : offset + chunk]
            sum = f"sha256 {b64(hashlib.sha256(part).digest())}"
            about = {"Content-Type": kind, "Upload-Offset": str(offset), "Upload-Checksum": sum}
            await self.ask("PATCH", path, part, **base, **about)
            offset = int((await self.ask("HEAD", path, **base)).headers["Upload-Offset"])
        return sha256(data)
