"""Sticks and counties: every mishap once, in the smallest world that has it, and then many."""

from collections import Counter
from random import Random

import pytest

from schema.wire import Change
from sync.bundle import header_of
from tests.sim.broken import Broken
from tests.sim.disk import CENTRE
from tests.sim.draw import FAULTS, draw_setup
from tests.sim.ferry import SMALL_ROOM
from tests.sim.one import replay, run_world
from tests.sim.rest import come_to_rest
from tests.sim.seals import installed
from tests.sim.world import World

SETUP = {
    "seed": 1,
    "devices": [["tablet", 0, 0, 0, "now"], ["tablet", 0, 1, 0, "now"]],
    "luck": dict.fromkeys(FAULTS, 0.0),
    "p256": False,
    "snapshot_from": 4_000,
    "counties": 1,
}
GOOD, FOUND = 1, 19
"""`r` by which a registered stick is taken, and one that was found."""


class Town:
    """A world, and the few things that are done in it here."""

    def __init__(self, world):
        self.world = world
        self.ferry = world.ferry
        for dev in range(len(world.handsets)):
            world.step({"do": "sync", "dev": dev, "r": 1})

    def save(self, dev=0, what="help"):
        return self.world.step({"do": "save", "dev": dev, "r": 2, "what": what, "ms": 1_000})

    def sync(self, dev=0):
        return self.world.step({"do": "sync", "dev": dev, "r": 1, "ms": 1_000})

    def pack(self, dev=0, r=GOOD):
        return self._ferry("pack", dev=dev, r=r)

    def carry(self, pick=0, fault="", r=GOOD):
        return self._ferry("carry", pick=pick, r=r, fault=fault)

    def relay(self, dev=0, fault="", r=GOOD):
        return self._ferry("relay", dev=dev, r=r, fault=fault)

    def exchange(self, by="wire", fault="", r=GOOD):
        return self._ferry("exchange", pick=0, r=r, by=by, fault=fault)

    def _ferry(self, what, **more):
        return self.world.step({"do": "ferry", "what": what, "ms": 1_000, **more})

    def set_roles(self, person, roles):
        changes = [Change("set", "person", person, {"roles": roles})]
        seen = self.world.model.seen_in(("person", person), self.world.model.seq)
        seen = {("person", person, "roles"): seen.get("roles", seen[""])}
        load = lambda: self.world.centre.load(changes)  # noqa: E731
        assert self.world._act(load, changes, seen, {}) == "applied None"

    def desk(self, what, done):
        """Let the centre do it until it has done what is wanted."""
        for r in range(60):
            if done():
                return
            self.world.step({"do": "desk", "what": what, "r": r, "ms": 1_000})
        raise AssertionError(what)

    def removed(self, entity):
        return [
            id for (of, id), doc in self.world.model.docs.items() if of == entity and doc["removed"]
        ]

    def refused(self, dev=0):
        found = self.world.handsets[dev].device.replica.refused
        return {saved.dot: verdict.code for saved, verdict in found}

    def outbox(self, dev=0):
        return list(self.held(dev).outbox)

    def held(self, dev=0):
        return self.world.handsets[dev].device.inspect()

    def verdict(self, dot):
        return self.world.model.log[dot].verdict

    @property
    def faults(self):
        return self.world.faults

    @property
    def chain(self):
        return self.world.model.chain


@pytest.fixture(params=[False, True], ids=["seals", "p256"])
def town(request):
    with installed(request.param, Random(1), SETUP["snapshot_from"]) as make_seal:
        world = World(SETUP, make_seal)
        yield Town(world)
        world.centre.close()


# --- By stick ---------------------------------------------------------------------------------


def test_words_of_a_device_without_a_network_are_judged_and_their_verdicts_come_back(town):
    dots = [town.save(), town.save(what="add_contact")]
    town.pack()
    assert town.carry() == "2 pushed, 2 verdicts"
    assert [town.verdict(dot) for dot in dots] == ["applied", "applied"]
    assert town.outbox() == dots
    assert town.carry() == "2 verdicts"
    assert town.outbox() == []
    assert town.held().kept == set(dots)
    come_to_rest(town.world)


def test_a_lost_stick_costs_nothing_but_time(town):
    dot = town.save()
    town.pack()
    assert town.carry(fault="stick_lost") == "lost"
    assert dot not in town.world.model.log
    assert town.outbox() == [dot]
    town.pack()
    town.carry()
    assert town.verdict(dot) == "applied"
    assert town.faults["stick_lost"] == 1


def test_a_stick_carried_twice_brings_nothing_the_second_time(town):
    town.save()
    town.pack()
    town.carry(fault="stick_twice")
    chain, answers = town.chain, len(town.ferry.way)
    assert answers == 2, "the answer, and the stick itself once more"
    assert town.carry(pick=1) == "0 pushed, 1 verdicts"
    assert town.chain == chain
    assert town.faults["stick_twice"] == 1


def test_a_stick_older_than_one_that_came_changes_nothing(town):
    first = town.save()
    town.pack()
    second = town.save()
    town.pack()
    assert town.carry(pick=1) == "2 pushed, 2 verdicts"
    chain = town.chain
    assert town.carry(pick=0) == "0 pushed, 1 verdicts"
    assert town.chain == chain
    assert {town.verdict(first), town.verdict(second)} == {"applied"}
    assert town.faults["stick_stale"] == 1


@pytest.mark.parametrize("fault", ["stick_truncated", "stick_flipped", "stick_forged"])
@pytest.mark.parametrize("answer", [False, True], ids=["to the centre", "to the device"])
def test_a_bundle_that_is_not_what_was_written_is_refused_and_changes_nothing(town, fault, answer):
    dots = [town.save(), town.save(what="add_contact")]
    town.pack()
    if answer:
        town.carry()
    chain = town.chain
    for r in range(3, 4_000, 97):
        town.carry(fault=fault, r=r)
    assert town.faults[fault] > 40
    assert (town.chain, town.outbox()) == (chain, dots)
    while town.ferry.way:
        town.carry()
    assert town.outbox() == [], "the stick itself was good all the time"


def test_a_bundle_is_opened_only_where_it_belongs(town):
    dot = town.save()
    town.pack()
    places = {town.carry(fault="stick_wrong_server", r=r) for r in range(4)}
    assert places == {"at elsewhere", "at county-0", f"at {town.world.handsets[1].life}"}
    town.carry()
    answer = town.ferry.way[0]
    assert (answer.origin, answer.to) == (CENTRE, town.world.handsets[0].life)
    places = {town.carry(fault="stick_wrong_server", r=r) for r in range(4)}
    assert places == {"at elsewhere", "at county-0", f"at {town.world.handsets[1].life}"}
    assert town.outbox() == [dot]


def test_a_county_s_bundle_brought_to_another_is_refused(town):
    town.save()
    town.relay()
    town.exchange(by="stick")
    town.carry(fault="stick_wrong_server", r=0)
    assert town.faults["stick_wrong_server"] == 1
    assert header_of(town.ferry.way[0].data).to == CENTRE


def test_a_stick_that_nobody_registered_is_turned_away(town):
    dot = town.save()
    town.pack(r=FOUND)
    assert town.carry() == "unregistered_carrier"
    assert dot not in town.world.model.log
    assert town.outbox() == [dot]


def test_words_that_come_after_their_device_was_revoked_are_quarantined(town):
    dot = town.save()
    town.pack()
    town.world.step({"do": "revoke", "dev": 0})
    town.carry()
    assert (town.verdict(dot), town.world.model.log[dot].code) == ("quarantined", "revoked")
    assert town.faults["stick_old_revocation"] == 1
    town.carry()
    assert list(town.held().refused) == [dot]


def test_a_centre_that_dies_over_a_stick_takes_it_again(town):
    dot = town.save()
    town.pack()
    for call in range(8):
        action = {"do": "ferry", "what": "carry", "pick": 0, "r": GOOD, "crash": call}
        town.world.step({**action, "after": call % 2 == 1, "ms": 1_000})
        if not town.ferry.way or town.ferry.way[0].to != CENTRE:
            break
    assert town.world.states["landed_failed"] > 0
    assert town.verdict(dot) == "applied"
    come_to_rest(town.world)


def test_words_are_kept_beside_those_that_took_their_number(town):
    """A stick holds the words whose record was damaged after it was written."""
    dot = town.save()
    town.pack()
    town.world.step({"do": "corrupt", "dev": 0, "r": 5})
    town.sync()
    assert town.world.model.log[dot].mutation["intent"] == "lane.void"
    assert town.carry() == "1 pushed, 2 verdicts"
    kept = town.world.centre.disk.select("SELECT key FROM side WHERE kind='kept'")
    assert kept == [(f"{dot} {town.world.model.said[dot].hash}",)]


def test_words_written_under_a_log_that_was_lost_wait_for_their_device(town):
    town.world.step({"do": "backup", "r": 2})
    dot = town.save()
    town.pack()
    town.carry(fault="stick_twice")
    town.world.step({"do": "restore", "r": 0})
    assert town.carry(pick=1) == "0 pushed, 0 verdicts"
    assert town.world.states["landed_other_log"] == 1
    town.carry(pick=0)
    assert town.held().kept == {dot}
    town.sync()
    assert town.outbox() == [dot], "the centre lost them, the device has not"
    come_to_rest(town.world)
    assert town.verdict(dot) == "applied"


def test_a_verdict_of_a_lost_log_settles_nothing_in_the_new_one(town):
    town.world.step({"do": "backup", "r": 2})
    dot = town.save()
    town.pack()
    town.carry()
    town.world.step({"do": "restore", "r": 0})
    town.sync()
    assert town.carry() == "0 verdicts"
    assert town.outbox() == [dot]


def test_an_older_stick_s_verdict_does_not_hide_a_newer_one(town):
    """Words are released, and are quarantined for something else; the first answer comes last."""
    town.set_roles("duty-u1", ["responder"])
    dot = town.save(what="edit_contact")
    town.pack()
    town.carry()
    town.carry(fault="stick_twice")
    assert town.refused() == {dot: "role_cut"}
    town.set_roles("duty-u1", ["duty"])
    edited = town.world.model.said[dot].mutation["changes"][0]["id"]
    town.desk("remove_any_contact", lambda: edited in town.removed("contact"))
    town.desk("release", lambda: town.world.model.log[dot].code != "role_cut")
    newer = town.world.model.log[dot].code
    assert newer in ("removed", "guard")
    town.sync()
    assert town.refused() == {dot: newer}
    town.carry()
    assert town.refused() == {dot: newer}
    come_to_rest(town.world)


# --- Through a county -------------------------------------------------------------------------


def test_a_county_s_receipt_is_no_verdict(town):
    dot = town.save()
    assert town.relay() == "1 kept, no verdict"
    assert town.outbox() == [dot]
    assert dot not in town.world.model.log


def test_a_county_passes_words_on_and_verdicts_back(town):
    dots = [town.save(), town.save(dev=1, what="add_contact")]
    town.relay(0)
    town.relay(1)
    assert town.exchange() == "2 pushed, 2 verdicts"
    assert [town.verdict(dot) for dot in dots] == ["applied", "applied"]
    assert town.outbox() == dots[:1]
    town.save()
    assert town.relay(0) == "2 kept, 1 verdicts"
    assert dots[0] not in town.outbox()
    come_to_rest(town.world)


def test_a_county_keeps_the_exact_signed_bytes(town):
    town.save()
    town.relay()
    [run] = town.ferry.counties[0].book.runs
    town.exchange()
    words = town.world.centre.disk.select("SELECT raw FROM log WHERE replica=?", run.replica)
    assert [raw for (raw,) in words] == list(run.mutations)


@pytest.mark.parametrize("r", [0, 1], ids=["has it", "has it not"])
def test_a_device_whose_county_is_down_keeps_everything(town, r):
    dot = town.save()
    assert town.relay(fault="county_down", r=r) == ("down" if r else "no receipt")
    assert town.outbox() == [dot]
    assert bool(town.ferry.counties[0].book.runs) is (r == 0)
    assert town.faults["county_down"] == 1
    come_to_rest(town.world)


def test_a_county_s_lost_stick_is_asked_back_exactly(town):
    first = town.save()
    town.relay()
    town.exchange(by="stick")
    town.carry(fault="stick_lost")
    second = town.save(what="add_contact")
    town.relay()
    assert town.exchange() == "1 pushed, 1 verdicts"
    assert town.world.states["landed_gaps"] == 1
    assert first not in town.world.model.log
    assert town.exchange() == "1 pushed, 2 verdicts"
    assert {town.verdict(first), town.verdict(second)} == {"applied"}
    assert town.ferry.counties[0].book.peer == town.ferry.counties[0].book.vector


def test_what_a_restored_centre_lost_is_asked_back_from_nobody_who_knew_the_old_log(town):
    dot = town.save()
    town.world.step({"do": "backup", "r": 2})
    town.relay()
    town.exchange()
    town.world.step({"do": "restore", "r": 0})
    assert town.exchange() == "0 pushed, 0 verdicts"
    assert town.exchange() == "0 pushed, 0 verdicts", "of the new log it has been given nothing"
    town.sync()
    town.relay()
    assert town.exchange() == "1 pushed, 1 verdicts"
    assert town.verdict(dot) == "applied"


def test_a_county_follows_the_centre_from_one_copy_of_a_backup_to_another(town):
    """Both logs have the same number, so that neither looks newer than the other."""
    town.world.step({"do": "backup", "r": 2})
    dot = town.save()
    for _ in range(2):
        town.world.step({"do": "restore", "r": 0})
        town.sync()
        town.relay()
        town.exchange()
        assert town.exchange() in ("0 pushed, 1 verdicts", "1 pushed, 1 verdicts")
        assert town.verdict(dot) == "applied"


def test_words_outlive_their_device_at_a_county(town):
    dot = town.save()
    town.relay()
    town.world.step({"do": "wipe", "dev": 0})
    come_to_rest(town.world)
    assert town.verdict(dot) == "applied"


def test_a_bundle_of_a_county_that_is_full_leaves_the_rest_for_the_next(town):
    for _ in range(12):
        town.save()
        town.relay()
    county = town.ferry.counties[0]
    assert sum(len(raw) for run in county.book.runs for raw in run.mutations) > 2 * SMALL_ROOM
    came = [town.exchange(r=0) for _ in range(12)]
    assert came[0] != came[-1]
    assert county.book.peer == county.book.vector
    assert Counter(map(town.verdict, town.outbox())) == {"applied": 12}


# --- The checks can fail ----------------------------------------------------------------------


def test_a_receipt_taken_for_a_verdict_is_noticed(town, monkeypatch):
    town.save()
    device = town.world.handsets[0].device
    take = type(town.ferry.counties[0]).take

    def take_and_forget(county, data, keys):
        device.replica.outbox.clear()
        return take(county, data, keys)

    monkeypatch.setattr("tests.sim.county.County.take", take_and_forget)
    with pytest.raises(Broken, match="county_receipt"):
        town.relay()


def test_words_that_a_county_never_passes_on_are_noticed(town, monkeypatch):
    town.save()
    town.relay()
    monkeypatch.setattr("tests.sim.county.County.export", lambda county, heading, room: None)
    with pytest.raises(Broken, match="relay_lost"):
        come_to_rest(town.world)


# --- Many -------------------------------------------------------------------------------------


def busy(seed):
    """The world of a seed in which much goes by stick."""
    setup = draw_setup(seed, "never")
    luck = {**setup["luck"], "ferry": 0.6, "stick_lost": 0.1, "stick_forged": 0.1}
    return {**setup, "luck": luck, "counties": 1 + seed % 2}


def test_every_promise_holds_in_a_hundred_worlds_that_go_by_stick():
    seen = Counter()
    for seed in range(100):
        found = run_world(busy(seed), 120)
        assert not found.broken, f"seed {seed}: {found.broken}: {found.what}"
        seen.update(found.states)
    names = ("landed_fresh", "landed_gaps", "stick_settled", "relayed", "passed_on")
    assert [name for name in names if not seen[name]] == []


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_by_network_by_stick_and_by_both_comes_to_the_same(seed):
    setup = {**busy(seed), "luck": dict.fromkeys(FAULTS, 0.0)}
    plain = run_world(setup, 150)
    by = {name: replay({**setup, "by": name}, plain.actions) for name in ("stick", "both")}
    assert not plain.broken and plain.end["rows"]
    assert {name: (one.broken, one.end) for name, one in by.items()} == dict.fromkeys(
        by, ("", plain.end)
    )
    assert by["stick"].states["landed_fresh"] > by["both"].states["landed_fresh"] > 0
