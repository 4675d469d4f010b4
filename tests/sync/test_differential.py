"""Python and TypeScript come to the same answer, whatever they are asked. Needs Node."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.entities import ENTITIES
from schema.intents import INTENTS
from schema.policies import Policy
from schema.steps import RANKS
from schema.wire import Change, Mutation, Row
from sync.canonical import canonical
from sync.digest import as_text, digest_of, row_digest
from sync.fold import Facts, overdue, progress_of
from sync.merge import Write, is_disputed, resolve
from sync.moves import is_within, whereabouts
from sync.mutation import Refusal, check_form, encode_mutation, hash_of
from sync.outbox import Saved, runs_to_send
from sync.overlay import view_of
from sync.replica import Identity, Replica
from sync.stamp import Stamp, decode_stamp, next_stamp
from tests.sim.node_process import process, why_missing

pytestmark = pytest.mark.skipif(bool(why_missing()), reason=why_missing())

fuzzed = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SAFE = 2**53 - 1
NOW = 1_760_000_000_000

letters = st.characters(codec="utf-8")
names = st.text(letters, max_size=6)


def plain_with(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.integers(-2, 2) | names,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


plain = plain_with(names)
said_plain = plain_with(names.filter(lambda name: not name.isdigit()))
"""Words as one side writes them: keys that look like numbers come first in JavaScript alone."""

few = st.integers(0, 3)
ids = few.map(str)
times = st.integers(0, 5).map(lambda minutes: NOW + 600_000 * minutes)
replicas = st.sampled_from(("a", "b", "c"))


def fold(name: str, given: Any) -> Any:
    """What the TypeScript core makes of it."""
    return process().call({"do": "fold", "cases": [[name, given]]})[0]


def alike(found: Any, told: Any) -> bool:
    """True when both are the same text; in Python, True is 1 and a tuple no list."""
    return canonical(found) == canonical(told)


def dots(lanes: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return st.builds("{}/{}/{}".format, replicas, lanes, st.integers(1, 12))


def stamps() -> st.SearchStrategy[str]:
    return st.builds(lambda wall, n, by: Stamp(wall, n, by).encode(), few, few, replicas)


def rows(entity: str, fields: Any, ids: Any = ids) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "entity": st.just(entity),
            "id": ids,
            "seq": few,
            "dot": dots(few),
            "stamp": stamps(),
            "actor": replicas,
            "arrived": st.just(0) | times,
            "fields": fields,
        }
    )


def row(given: dict[str, Any]) -> Row:
    return msgspec.convert(given, Row)


# --- Texts and sums -------------------------------------------------------------------------------


@fuzzed
@given(plain)
def test_both_write_the_same_text(value):
    assert fold("canonical", value) == canonical(value)


whole_rows = st.builds(
    lambda base, more: base | more,
    rows("contact", st.dictionaries(names, plain, max_size=4)),
    st.fixed_dictionaries(
        {},
        optional={
            "writes": st.dictionaries(names, st.lists(names, min_size=2, max_size=3), max_size=2),
            "open": st.dictionaries(
                names, st.lists(st.dictionaries(names, plain, max_size=2), max_size=2), max_size=2
            ),
            "removed": st.booleans(),
            "home": names,
            "provisional": st.booleans(),
        },
    ),
)


@fuzzed
@given(whole_rows)
def test_both_sum_a_row_up_alike(given):
    here = row(given)
    assert fold("digest", given) == [as_text(row_digest(here)), as_text(digest_of(here))]


# --- One field ------------------------------------------------------------------------------------

CHOICES = ("I", "II", "III")
values = st.one_of(
    st.sampled_from((True, 1, "1", "I", None)),
    st.sampled_from((False, 0, -1, "", "II", "III", [1], [True], {"a": 1}, {"a": True})),
)


@st.composite
def histories(draw):
    """Writes of one field: each is based on some of those before it, or on ones nobody knows."""
    told = draw(st.lists(dots(st.just(2)), min_size=1, max_size=8, unique=True))
    writes = []
    for dot in told:
        base = draw(st.lists(st.sampled_from(told) | dots(st.just(2)), max_size=3))
        writes.append(
            {
                "dot": dot,
                "base": base,
                "stamp": draw(stamps()),
                "actor": draw(st.sampled_from(("p", "q"))),
                "authority": draw(st.integers(0, 2)),
                "value": draw(values),
            }
        )
    return writes


@pytest.mark.parametrize("policy", Policy)
@fuzzed
@given(histories(), st.permutations(CHOICES))
def test_both_fold_the_writes_of_a_field_alike(policy, writes, choices):
    state = resolve(policy, [msgspec.convert(one, Write) for one in writes], tuple(choices))
    found = fold("resolve", {"policy": policy, "writes": writes, "choices": choices})
    told = {
        "live": state.live.dot,
        "open": [one.dot for one in state.open],
        "heads": [one.dot for one in state.heads],
        "disputed": is_disputed(state),
    }
    assert alike(found, told)


# --- Facts ----------------------------------------------------------------------------------------

ranks = st.integers(0, len(RANKS) - 1)
rounds = st.integers(1, 3)
of_target = {"target": st.just("t"), "round": rounds, "at": times}
CLOCKS = ("receipt", "sign", "depart", "arrive", "first_feedback", "feedback_every")


def facts_of(entity: str, **fields: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    of = st.fixed_dictionaries({**of_target, **fields})
    return st.lists(rows(entity, of), max_size=5, unique_by=lambda one: one["dot"])


facts = st.fixed_dictionaries(
    {
        "steps": facts_of(
            "step",
            step=st.sampled_from(sorted(RANKS)),
            version=st.integers(1, 2),
            route=st.sampled_from(("device", "centre")),
        ),
        "rounds": facts_of("round"),
        "recalls": facts_of("recall", rank_seen=ranks),
        "stops": facts_of("stop", recall=ids),
        "rulings": facts_of(
            "ruling",
            recall=ids,
            verdict=st.sampled_from(("accept_result", "stand_by_recall")),
        ),
        "feedback": facts_of("feedback", kind=st.sampled_from(("progress", "arrive", "result"))),
    }
)
directives = rows(
    "directive",
    st.fixed_dictionaries(
        {
            "version": st.integers(1, 2),
            "at": times,
            "clocks": st.dictionaries(st.sampled_from(CLOCKS), st.integers(1, 2_000_000)),
        },
        optional={"close_due": st.none() | times},
    ),
)


@fuzzed
@given(directives, facts, times)
def test_both_tell_the_same_progress(directive, facts, now):
    known = {name: [row(one) for one in given] for name, given in facts.items()}
    progress = progress_of(row(directive), Facts(**known))
    late = [one.name for one in progress.clocks if overdue(one, now)]
    found = fold("progress", {"directive": directive, "facts": facts, "now": now})
    assert alike(found, msgspec.to_builtins(progress) | {"late": late})


# --- Machines -------------------------------------------------------------------------------------

lat = st.integers(44_550_000, 44_560_000) | st.integers(-90_000_000, 90_000_000)
lon = st.integers(129_630_000, 129_640_000) | st.integers(-180_000_000, 180_000_000)
filings = rows(
    "equipment_move",
    st.fixed_dictionaries(
        {"at": times, "kind": st.sampled_from(("move", "stop", "resume"))},
        optional={
            "place": st.none() | st.sampled_from(("x", "y", "")),
            "lat_e6": st.none() | lat,
            "lon_e6": st.none() | lon,
            "accuracy_m": st.none() | st.sampled_from((0, 8, 5_000, 5_001)),
        },
    ),
    st.integers(0, 9).map(str),
)
rulings = rows(
    "move_ruling",
    st.fixed_dictionaries(
        {
            "at": times,
            "filing": st.integers(0, 9).map(str),
            "over": st.lists(st.integers(0, 9).map(str), max_size=4),
        }
    ),
)


@fuzzed
@given(
    st.lists(filings, max_size=8, unique_by=lambda one: (one["id"], one["dot"])),
    st.just([]) | st.lists(rulings, max_size=3, unique_by=lambda one: one["dot"]),
)
def test_both_place_a_machine_alike(filings, rulings):
    found = whereabouts([row(one) for one in filings], [row(one) for one in rulings])
    told = fold("whereabouts", {"filings": filings, "rulings": rulings})
    assert alike(told, msgspec.to_builtins(found))


@fuzzed
@given(st.tuples(lat, lon), st.tuples(lat, lon), st.integers(0, 50_000_000))
def test_both_measure_a_distance_alike(a, b, metres):
    assert fold("near", {"a": a, "b": b, "metres": metres}) == is_within(a, b, metres)


# --- Words on a device ----------------------------------------------------------------------------

field_names = st.sampled_from(("name", "post", "note", "number"))
contacts = rows("contact", st.dictionaries(field_names, plain, max_size=3))
edited = st.builds(
    lambda base, writes, open, removed: base | {"writes": writes, "open": open, "removed": removed},
    contacts,
    st.dictionaries(
        field_names,
        st.builds(lambda stamp, seen: [stamp, *seen], stamps(), st.lists(dots(few), min_size=1)),
        max_size=2,
    ),
    st.dictionaries(field_names, st.just([{"dot": "a/2/1", "value": 1}]), max_size=2),
    st.booleans(),
)
changes = st.fixed_dictionaries(
    {
        "op": st.sampled_from(("create", "set", "set", "remove")),
        "entity": st.just("contact"),
        "id": st.sampled_from(("0", "1")),
        "fields": st.dictionaries(field_names, said_plain, max_size=2),
    }
)


@st.composite
def mutations(draw):
    by, n = draw(replicas), draw(st.integers(1, 6))
    return {
        "replica": by,
        "lane": draw(few),
        "n": n,
        "prev": draw(st.sampled_from(("", "f" * 64))),
        "realm": "r",
        "stamp": Stamp(draw(few), draw(few), by).encode(),
        "session": "s",
        "actor": draw(replicas),
        "intent": "contact.edit",
        "changes": draw(st.lists(changes, min_size=1, max_size=3)),
        "base": {},
        "after": [],
        "guard": [],
        "schema": 2,
    }


def saved(given: dict[str, Any]) -> Saved:
    mutation = msgspec.convert(given, Mutation)
    raw = encode_mutation(mutation)
    return Saved(mutation.lane, mutation.n, raw, hash_of(raw), mutation)


@fuzzed
@given(st.none() | edited, st.lists(mutations(), max_size=4))
def test_both_show_a_row_alike(given, said):
    key = ("contact", given["id"] if given else "0")
    shown = view_of(row(given) if given else None, key, [saved(one) for one in said])
    found = fold("view", {"row": given, "key": "/".join(key), "mutations": said})
    assert alike(found, None if shown is None else msgspec.to_builtins(shown))


@fuzzed
@given(st.lists(edited, max_size=3, unique_by=lambda one: one["id"]), st.lists(changes, max_size=3))
def test_both_name_the_same_base(held, changes):
    device = Replica(Identity("r", "c", "e", "a", "s", "p"))
    device.rows = {(one["entity"], one["id"]): row(one) for one in held}
    base = device._base([msgspec.convert(one, Change) for one in changes])
    shown = [one for one in held if not one["removed"]]
    found = fold("base", {"rows": shown, "changes": changes})
    assert alike(found, msgspec.to_builtins(base))


@fuzzed
@given(mutations())
def test_both_write_and_hash_a_mutation_alike(given):
    one = saved(given)
    assert fold("encode", given) == [one.raw.decode(), one.hash]


@fuzzed
@given(st.data())
def test_both_judge_a_form_alike(data):
    intent = data.draw(st.sampled_from(sorted(INTENTS)))
    entity = data.draw(st.sampled_from(sorted(INTENTS[intent].writes)) | st.just("contact"))
    specs = ENTITIES[entity].fields
    known = data.draw(st.dictionaries(st.sampled_from(sorted(specs)), plain_for(specs), max_size=6))
    op = data.draw(st.sampled_from(("create", "set", "remove")))
    change = {"op": op, "entity": entity, "id": data.draw(st.sampled_from(("", "x", "x/y", "é")))}
    given = data.draw(mutations()) | {
        "intent": intent,
        "lane": data.draw(st.integers(-1, 5)),
        "n": data.draw(st.integers(0, 2)),
        "changes": [change | {"fields": known}],
    }
    try:
        check_form(msgspec.convert(given, Mutation))
        told = None
    except Refusal as refusal:
        told = [refusal.code, refusal.detail]
    assert fold("form", given) == told


def plain_for(specs: Any) -> st.SearchStrategy[Any]:
    """Values that are near enough to be right now and then."""
    chosen = sorted({one for spec in specs.values() for one in spec.choices or ()})
    near = [1, 0, True, NOW, "x", 1.5, 2**53, [], {}, ["x"], {"sign": 1}, None, *chosen]
    return st.sampled_from(near) | plain


@st.composite
def lanes(draw):
    """What waits: chains with holes, breaks and voids in them, in any order."""
    waiting = []
    for lane in draw(st.lists(few, max_size=2, unique=True)):
        prev = ""
        for n in range(1, draw(st.integers(1, 6))):
            one = draw(mutations()) | {"replica": "a", "lane": lane, "n": n, "prev": prev}
            if draw(st.integers(0, 4)) == 0:
                one |= {"prev": "", "intent": "lane.void"}
            lost = draw(st.integers(0, 4))
            prev = draw(st.sampled_from(("", "f" * 64))) if lost == 0 else saved(one).hash
            if lost != 1:
                waiting.append(one)
    return draw(st.permutations(waiting))


@fuzzed
@given(lanes(), st.integers(0, 9))
def test_both_cut_the_same_runs(said, room):
    runs = runs_to_send([saved(one) for one in said], bytes.decode, room)
    numbers = [[msgspec.json.decode(raw)["n"] for raw in run.mutations] for run in runs]
    told = [[run.lane, run.sig, some] for run, some in zip(runs, numbers, strict=True)]
    assert fold("runs", {"mutations": said, "room": room}) == told


# --- Stamps ---------------------------------------------------------------------------------------

walls = few | st.integers(0, 2**48 - 1)
counters = few | st.sampled_from((0xFFFE, 0xFFFF))
parts = st.tuples(walls, counters, st.sampled_from(("a", "b-c")))


def told(stamp: Stamp) -> list[Any]:
    return [stamp.wall_ms, stamp.counter, stamp.replica]


@fuzzed
@given(parts, walls)
def test_both_stamp_alike(own, now):
    assert fold("stamp", own) == Stamp(*own).encode()
    assert fold("next", {"last": own, "now": now}) == told(next_stamp(Stamp(*own), now))


@fuzzed
@given(stamps() | st.text(st.sampled_from("0aF-_ \n")) | names)
def test_both_read_the_same_stamps(text):
    try:
        found = told(decode_stamp(text))
    except ValueError:
        found = None
    assert fold("decode", text) == found
