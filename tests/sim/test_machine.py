"""Hypothesis drives the same world by rules of its own, and shrinks what it finds."""

from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.sim.draw import HOUR_MS, draw_setup
from tests.sim.people import CENTRE_ACTS
from tests.sim.rest import come_to_rest
from tests.sim.seals import installed
from tests.sim.world import World

devs = st.integers(0, 7)
rolls = st.integers(0, 2**30 - 1)
pauses = st.sampled_from((1, 1_000, 60_000, 20 * 60_000))
people = st.tuples(st.sampled_from(("phone", "tablet", "operator")), st.integers(0, 2))


class SyncMachine(RuleBasedStateMachine):
    """One centre and a few devices; whatever happens, every promise holds and all come to rest."""

    world: World

    @initialize(
        seed=st.integers(0, 999),
        devices=st.lists(people, min_size=1, max_size=4),
        skews=st.lists(st.integers(-(10**11), 10**11), min_size=4, max_size=4),
    )
    def found(self, seed, devices, skews):
        setup = draw_setup(seed, "never")
        setup["devices"] = [
            [kind, unit, 0, skew, "now"] for (kind, unit), skew in zip(devices, skews, strict=False)
        ]
        setup["counties"], setup["p256"] = 0, False
        self.seals = installed(False, Random(seed), setup["snapshot_from"])
        self.world = World(setup, self.seals.__enter__())

    @rule(dev=devs, r=rolls, ms=pauses)
    def save(self, dev, r, ms):
        self.world.step({"do": "save", "dev": dev, "r": r, "ms": ms})

    @rule(dev=devs, r=rolls, ms=pauses)
    def sync(self, dev, r, ms):
        self.world.step({"do": "sync", "dev": dev, "r": r, "ms": ms})

    @rule(dev=devs, r=rolls, lanes=st.sampled_from((None, [0], [0, 1, 2])))
    def send(self, dev, r, lanes):
        action = {"do": "send", "dev": dev, "r": r, "ms": 1}
        self.world.step(action if lanes is None else action | {"lanes": lanes})

    @precondition(lambda self: self.world.requests)
    @rule(picks=st.lists(devs, min_size=1, max_size=3), r=rolls, gate=rolls)
    def arrive(self, picks, r, gate):
        self.world.step({"do": "arrive", "picks": picks, "r": r, "gate": gate, "ms": 1})

    @precondition(lambda self: self.world.replies)
    @rule(pick=devs, twice=st.booleans())
    def take(self, pick, twice):
        fault = {"fault": "duplicate_reply"} if twice else {}
        self.world.step({"do": "take", "pick": pick, "ms": 1, **fault})

    @rule(what=st.sampled_from(sorted(CENTRE_ACTS)), r=rolls, ms=pauses)
    def desk(self, what, r, ms):
        self.world.step({"do": "desk", "what": what, "r": r, "ms": ms})

    @rule(dev=devs, r=rolls)
    def shift(self, dev, r):
        self.world.step({"do": "shift", "dev": dev, "r": r, "ms": 1_000})

    @rule(dev=devs, r=rolls)
    def crash(self, dev, r):
        self.world.step({"do": "crash", "dev": dev, "r": r, "ms": 1})

    @rule(dev=devs, by=st.sampled_from((-HOUR_MS, HOUR_MS, -(10**11), 10**11)))
    def jump(self, dev, by):
        self.world.step({"do": "jump", "dev": dev, "by": by, "ms": 1})

    @rule(dev=devs, r=rolls)
    def corrupt(self, dev, r):
        self.world.step({"do": "corrupt", "dev": dev, "r": r, "ms": 1})

    @rule(dev=devs, r=rolls)
    def spoil(self, dev, r):
        self.world.step({"do": "spoil", "dev": dev, "r": r, "ms": 1})

    @rule(r=rolls)
    def backup(self, r):
        self.world.step({"do": "backup", "r": r, "ms": 1})

    @rule(r=rolls, ms=pauses)
    def restore(self, r, ms):
        self.world.step({"do": "restore", "r": r, "ms": ms})

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            come_to_rest(self.world)
        finally:
            self.world.close()
            self.seals.__exit__(None, None, None)


TestSyncMachine = SyncMachine.TestCase
TestSyncMachine.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
