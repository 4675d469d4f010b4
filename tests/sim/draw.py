"""Draws a seed's world and its actions: how many devices, how bad the luck, who does what."""

from random import Random
from typing import Any

from tests.sim.people import CENTRE_ACTS
from tests.sim.world import Action, World

HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS

FAULTS: dict[str, float] = {
    "drop_request": 0.2,
    "lose_reply": 0.2,
    "half_open": 0.1,
    "drop_reply": 0.1,
    "duplicate_request": 0.15,
    "duplicate_reply": 0.15,
    "cut_request": 0.1,
    "cut_reply": 0.1,
    "portal": 0.1,
    "crash": 0.08,
    "disk_full": 0.08,
    "device_crash": 0.04,
    "quota": 0.1,
    "wipe": 0.005,
    "device_clock_jump": 0.02,
    "server_clock_jump": 0.005,
    "restore": 0.01,
    "outbox_corrupted": 0.01,
    "lost_part": 0.3,
    "row_corrupted": 0.01,
    "horizon": 0.005,
    "delay": 0.1,
    "apart": 0.5,
    "ferry": 0.6,
    "county_down": 0.3,
    "stick_lost": 0.2,
    "stick_twice": 0.2,
    "stick_truncated": 0.15,
    "stick_flipped": 0.15,
    "stick_wrong_server": 0.2,
    "stick_forged": 0.15,
}
"""The highest chance of each fault in a seed. Many seeds have none of a kind at all."""

NODE_EVERY = 20
"""In one seed of so many, devices have the app's own core."""

ON_THE_WAY = (
    *("drop_request", "lose_reply", "half_open", "drop_reply", "duplicate_request"),
    *("duplicate_reply", "cut_request", "cut_reply", "portal"),
)
WITH_A_STICK = (
    *("stick_lost", "stick_twice", "stick_truncated", "stick_flipped"),
    *("stick_wrong_server", "stick_forged"),
)
CENTRE_WEIGHTS = {
    "open_incident": 1,
    "edit_incident": 2,
    "edit_incident_2": 2,
    "order": 4,
    "recall": 2,
    "send_back": 1,
    "close": 1,
    "rule": 1,
    "answer_help": 1,
    "edit_any_contact": 4,
    "remove_any_contact": 1,
    "decide_any": 2,
    "release": 3,
    "reject": 1,
    "dismiss": 1,
}
assert set(CENTRE_WEIGHTS) == set(CENTRE_ACTS)


def draw_setup(seed: int, node: str = "auto") -> dict[str, Any]:
    """The world of a seed, as plain data. `node`: `always`, `never` or `auto`."""
    random = Random(f"setup {seed}")
    count = min(30, 1 + int(random.expovariate(1 / 5)))
    skewed = random.random() < 0.6
    devices = []
    for _ in range(count):
        kind = random.choices(("phone", "tablet", "operator"), (4, 5, 1))[0]
        unit = random.choice((0, 0, 1, 1, 2, 3))
        skew = random.randint(-10 * YEAR_MS, 10 * YEAR_MS) if skewed else 0
        speech = random.choices(("now", "old", "new"), (8, 1, 1))[0]
        devices.append([kind, unit, random.randrange(2 if kind != "operator" else 1), skew, speech])
    luck = {
        name: 0.0 if random.random() < 0.4 else random.random() * most
        for name, most in FAULTS.items()
    }
    node_every = _draw_node(seed, node)
    if node_every and devices[0][4] == "new":
        devices[0][4] = "now"
    return {
        "seed": seed,
        "devices": devices,
        "luck": luck,
        "p256": seed % 50 == 7,
        "snapshot_from": random.choice((1_500, 4_000, 128 * 1024)),
        "counties": random.choice((0, 1, 2)),
        "node": node_every,
    }


def _draw_node(seed: int, when: str) -> int:
    """Of how many devices each has the app's own core: 0 of none, 1 of all, 2 of every second."""
    if when == "never" or (when == "auto" and seed % NODE_EVERY != NODE_EVERY // 2):
        return 0
    return Random(f"node {seed}").choice((1, 2, 2))


class Draw:
    """The next action of a world, from the seed and what is in flight."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.random = Random(f"actions {setup['seed']}")
        self.luck = setup["luck"]
        self.edits = self.random.random()
        self.churn = self.random.random() * 0.08

    def next(self, world: World) -> Action:
        action = self._choose(world)
        action["ms"] = self._pause()
        return action

    def _pause(self) -> int:
        if self._bad("delay"):
            return self.random.randrange(60_000, 20 * 60_000)
        return self.random.randrange(3_000)

    def _bad(self, name: str) -> bool:
        return bool(self.random.random() < self.luck[name])

    def _choose(self, world: World) -> Action:
        roll = self.random.random()
        if roll < 0.03:
            return self._misfortune()
        if roll < 0.03 + self.churn:
            return self._churn()
        if roll < 0.2:
            return self._desk()
        if roll < 0.5:
            return self._save()
        if self._bad("ferry"):
            return self._ferry(world)
        if world.photos.albums and self.random.random() < 0.3:
            return self._photo(world)
        if world.replies and roll < 0.75:
            return self._take(world)
        if world.requests and roll < 0.75:
            return self._arrive(world)
        return self._go()

    def _r(self) -> int:
        return self.random.getrandbits(30)

    def _dev(self) -> int:
        return self.random.getrandbits(16)

    def _misfortune(self) -> Action:
        if self._bad("device_crash") or self.random.random() < 5 * self.luck["device_crash"]:
            return {"do": "crash", "dev": self._dev(), "r": self._r()}
        if self.random.random() < 20 * self.luck["wipe"]:
            return {"do": "wipe", "dev": self._dev()}
        if self.random.random() < 10 * self.luck["device_clock_jump"]:
            by = self.random.choice((HOUR_MS, 24 * HOUR_MS, YEAR_MS))
            return {"do": "jump", "dev": self._dev(), "by": self.random.choice((by, -by))}
        if self.random.random() < 20 * self.luck["server_clock_jump"]:
            return {"do": "jump", "dev": -1, "by": -HOUR_MS}
        if self.random.random() < 20 * self.luck["outbox_corrupted"]:
            return {"do": "corrupt", "dev": self._dev(), "r": self._r()}
        if self.random.random() < 20 * self.luck["row_corrupted"]:
            return {"do": "spoil", "dev": self._dev(), "r": self._r()}
        if self.random.random() < 20 * self.luck["horizon"]:
            return {"do": "forget"}
        if self.random.random() < 20 * self.luck["restore"]:
            return {"do": "restore", "r": self._r()}
        if self.luck["restore"] and self.random.random() < 0.5:
            return {"do": "backup", "r": self._r()}
        return {"do": "restart"}

    def _churn(self) -> Action:
        kind = self.random.choices(("shift", "reload", "revoke"), (8, 4, 1))[0]
        action = {"do": kind, "dev": self._dev(), "r": self._r()}
        return action | self._server_trouble() if kind == "shift" else action

    def _desk(self) -> Action:
        names, weights = zip(*CENTRE_WEIGHTS.items(), strict=True)
        what = self.random.choices(names, weights)[0]
        return {"do": "desk", "what": what, "r": self._r(), **self._server_trouble()}

    def _save(self) -> Action:
        fault = {"fault": "quota"} if self._bad("quota") else {}
        return {"do": "save", "dev": self._dev(), "r": self._r(), **fault}

    def _go(self) -> Action:
        action: Action = {"do": "send", "dev": self._dev(), "r": self._r()}
        if self.random.random() < 0.2:
            action["bytes"] = 4096
        roll = self.random.random()
        if roll < 0.6:
            action["lanes"] = [0] if roll < 0.15 else [0, 1, 2]
        if self._bad("apart"):
            return action
        return action | {"do": "sync"} | self._way() | self._server_trouble()

    def _ferry(self, world: World) -> Action:
        """Somebody takes a stick, or turns to the county's server."""
        if self.random.random() < 0.02 and (dev := self._with_stick_on_way(world)) is not None:
            return {"do": "revoke", "dev": dev}
        ways = ["pack"] + ["carry"] * (3 if world.ferry.way else 0)
        ways += ["relay", "relay", "exchange"] if world.ferry.counties else []
        action: Action = {"do": "ferry", "what": self.random.choice(ways), "r": self._r()}
        if action["what"] in ("pack", "relay"):
            fault = {"fault": "county_down"} if self._bad("county_down") else {}
            return action | {"dev": self._dev()} | (fault if action["what"] == "relay" else {})
        action |= {"pick": self._dev()} | self._server_trouble()
        if action["what"] == "exchange":
            way = self.random.choice(("wire", "stick"))
            fault = {"fault": "lose_reply"} if self._bad("lose_reply") else {}
            return action | {"by": way} | fault
        fault = next(({"fault": name} for name in WITH_A_STICK if self._bad(name)), {})
        return action | fault

    def _with_stick_on_way(self, world: World) -> int | None:
        """A device whose words are on a stick: it may be revoked before they arrive."""
        living = [one.life for one in world.handsets if not one.gone]
        on_way = [one.origin for one in world.ferry.way if one.origin in living]
        return living.index(self.random.choice(on_way)) if on_way else None

    def _arrive(self, world: World) -> Action:
        count = min(len(world.requests), self.random.choice((1, 1, 2, 3, 5)))
        picks = [self._dev() for _ in range(count)]
        action = {"do": "arrive", "picks": picks, "r": self._r(), "gate": self._r()}
        return action | self._way() | self._server_trouble()

    def _photo(self, world: World) -> Action:
        """Mostly by a device that has a photo to send."""
        living = [one for one in world.handsets if not one.gone]
        waiting = [n for n, one in enumerate(living) if world.photos.waiting(one)]
        dev = self.random.choice(waiting) if waiting and self.random.random() < 0.9 else self._dev()
        action = {"do": "photo", "dev": dev, "r": self._r(), "gate": self._r()}
        if self.random.random() < 4 * self.luck["crash"]:
            return action | {"crash": self.random.randrange(5), "after": self.random.random() < 0.5}
        return action | self._way() | self._server_trouble()

    def _take(self, world: World) -> Action:
        fault = {}
        for name in ("drop_reply", "duplicate_reply"):
            if self._bad(name):
                fault = {"fault": name}
        return {"do": "take", "pick": self._dev(), **fault}

    def _way(self) -> dict[str, Any]:
        for name in ON_THE_WAY:
            if self._bad(name):
                return {"fault": name}
        return {}

    def _server_trouble(self) -> dict[str, Any]:
        if self._bad("crash"):
            return {"crash": self.random.randrange(6), "after": self.random.random() < 0.5}
        if self._bad("disk_full"):
            return {"room": self.random.randrange(30)}
        return {}
