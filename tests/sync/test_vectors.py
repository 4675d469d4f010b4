"""The vectors that Python and TypeScript both answer to. `pwa/tests/core/` reads the same files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schema.policies import Policy
from schema.wire import Change, Mutation, Row, SyncReply, SyncRequest, Verdict
from sync.canonical import canonical, sha256_hex
from sync.digest import as_signed, as_text, digest_of, row_digest, total
from sync.fold import Facts, Progress, directive_state, overdue, position_of, progress_of
from sync.merge import Write, is_disputed, resolve
from sync.moves import is_within, whereabouts
from sync.mutation import Refusal, check_form, encode_mutation, hash_of, signing_bytes
from sync.outbox import Saved, runs_to_send, settled
from sync.pull import advance, reached, take_rows
from sync.recall import recall_rule
from sync.replica import Identity, Replica
from sync.stamp import Stamp, decode_stamp, next_stamp, observe, restamp

FOLDER = Path(__file__).resolve().parents[1] / "vectors"
Case = dict[str, Any]


def row(plain: Any) -> Row:
    return msgspec.convert(plain, Row)


def parts(stamp: Stamp) -> list[Any]:
    return [stamp.wall_ms, stamp.counter, stamp.replica]


def decoded(text: str) -> list[Any] | None:
    try:
        return parts(decode_stamp(text))
    except ValueError:
        return None


def check_stamp(case: Case) -> None:
    match case["call"]:
        case "encode":
            assert Stamp(*case["stamp"]).encode() == case["text"]
        case "decode":
            assert decoded(case["text"]) == case["stamp"]
        case "next":
            assert parts(next_stamp(Stamp(*case["last"]), case["now"])) == case["stamp"]
        case "observe":
            got = observe(Stamp(*case["own"]), Stamp(*case["seen"]), case["now"])
            assert parts(got) == case["stamp"]
        case "restamp":
            last = Stamp(*case["last"]) if case["last"] else None
            assert parts(restamp(Stamp(*case["claimed"]), last, case["now"])) == case["stamp"]
        case "order":
            stamps = [decode_stamp(text) for text in case["texts"]]
            assert sorted(stamps) == stamps and sorted(case["texts"]) == case["texts"]
        case other:
            raise AssertionError(other)


def check_canonical(case: Case) -> None:
    match case["kind"]:
        case "value":
            assert canonical(case["value"]) == case["text"]
            assert sha256_hex(case["text"].encode()) == case["sha256"]
        case "sha256":
            assert hashlib.sha256(bytes.fromhex(case["hex"])).hexdigest() == case["sha256"]
        case "mutation":
            m = msgspec.convert(case["mutation"], Mutation)
            raw = encode_mutation(m)
            assert raw.decode() == case["raw"]
            assert hash_of(raw) == case["hash"]
            signed = signing_bytes(m.realm, m.replica, m.lane, m.n, case["hash"])
            assert signed.decode() == case["signing"]
        case "surrogate":  # UTF-8 has no half pair, so only JavaScript can meet one.
            units = b"".join(unit.to_bytes(2, "little") for unit in case["units"])
            assert units.decode("utf-16-le", "surrogatepass") != case["text"]
        case other:
            raise AssertionError(other)


def check_merge(case: Case) -> None:
    writes = [msgspec.convert(one, Write) for one in case["writes"]]
    for order in (writes, writes[::-1], writes + writes):
        state = resolve(Policy(case["policy"]), order, tuple(case.get("choices", ())))
        assert state.live.dot == case["live"] and state.live.value == case["value"]
        assert [one.dot for one in state.open] == case["open"]
        assert [one.dot for one in state.heads] == case["heads"]
        assert is_disputed(state) == case["disputed"]


def check_form_case(case: Case) -> None:
    code = detail = None
    try:
        check_form(msgspec.convert(case["mutation"], Mutation))
    except Refusal as refusal:
        code, detail = refusal.code.value, refusal.detail
    assert (code, detail) == (case["code"], case["detail"])


def check_fold(case: Case) -> None:
    match case["kind"]:
        case "progress":
            facts = {name: [row(one) for one in rows] for name, rows in case["facts"].items()}
            progress = progress_of(row(case["directive"]), Facts(**facts))
            assert msgspec.to_builtins(progress) == case["progress"]
            for now, late in case["overdue"].items():
                assert [one.name for one in progress.clocks if overdue(one, int(now))] == late
        case "state":
            states = [
                Progress(1, "", one["rank"], {}, [], [], one["recall"], None, False, [])
                for one in case["states"]
            ]
            assert directive_state(states) == case["state"]
        case "recall":
            assert recall_rule(case["recall"], case["step"]) == case["rule"]
        case "position":
            assert position_of([row(one) for one in case["moves"]]) == case["position"]
        case other:
            raise AssertionError(other)


def check_moves(case: Case) -> None:
    if case["kind"] == "near":
        for a, b in ((case["a"], case["b"]), (case["b"], case["a"])):
            assert is_within(tuple(a), tuple(b), case["metres"]) == case["near"]
        return
    filings, rulings = ([row(one) for one in case.get(name, ())] for name in ("filings", "rulings"))
    for order in (filings, filings[::-1], filings[1:] + filings[:1]):
        rulings = rulings[::-1]
        found = whereabouts(order, rulings)
        assert found.position == case["position"]
        assert [[one.filing for one in move.points] for move in found.moves] == case["moves"]
        assert [one.filing for one in found.track] == case["track"]
        assert {one.filing: one.flag for one in found.track if one.flag} == case["flags"]


def saved(plain: Any) -> Saved:
    mutation = msgspec.convert(plain, Mutation)
    raw = encode_mutation(mutation)
    return Saved(mutation.lane, mutation.n, raw, hash_of(raw), mutation)


def check_outbox(case: Case) -> None:
    if case["kind"] == "settled":
        verdict = msgspec.convert(case["verdict"], Verdict)
        assert settled(saved(case["saved"]), verdict) == case["settled"]
        return
    runs = runs_to_send([saved(one) for one in case["saved"]], bytes.decode, case["room"])
    assert [
        {
            "lane": run.lane,
            "signing": run.sig,
            "numbers": [json.loads(bytes(raw))["n"] for raw in run.mutations],
        }
        for run in runs
    ] == case["runs"]


def check_pull(case: Case) -> None:
    match case["kind"]:
        case "advance":
            got = advance(case["cursors"], case["scope"], case["lane"], case["seq"])
            assert got == case["after"]
        case "reached":
            assert reached(case["cursors"], case["lane"]) == case["seq"]
        case "take":
            held = {(one["entity"], one["id"]): row(one) for one in case["held"]}
            taken = take_rows(held, [row(one) for one in case["rows"]])
            assert [f"{one.entity}/{one.id}@{one.seq}" for one in taken.values()] == case["taken"]
        case "trace":
            follow(case)
        case other:
            raise AssertionError(other)


NOW = 1_760_000_000_000
EMPTY_REPLY = {
    "centre": "c1",
    "epoch": "e1",
    "verdicts": [],
    "missing": {},
    "pages": [],
    "complete": {},
    "gained": [],
    "revoked": [],
    "upto": 0,
    "durable": 0,
    "now": NOW,
}
ME = Identity("realm-1", "c1", "e1", "0193a0aa-0000-7000-8000-000000000001", "s1", "p1")


def follow(case: Case) -> None:
    """A whole device, step by step. The store of the PWA answers to the same traces."""
    device = Replica(ME)
    asked: dict[str, SyncRequest] = {}
    for step in case["steps"]:
        act(device, step, asked)
        state = state_of(device)
        assert {name: state[name] for name in step["then"]} == step["then"]


def act(device: Replica, step: Case, asked: dict[str, SyncRequest]) -> None:
    """One step: a write, a request that is answered later, or an answer to it or to the newest."""
    if write := step.get("write"):
        changes = [msgspec.convert(one, Change) for one in write["changes"]]
        device.write(write["intent"], write["lane"], changes, write["now"])
        return
    request = device.request(lambda signed: "", 0)
    if name := step.get("ask"):
        asked[name] = msgspec.json.decode(msgspec.json.encode(request), type=SyncRequest)
        return
    reply = msgspec.convert(EMPTY_REPLY | step["reply"], SyncReply)
    device.receive(reply, asked[step["to"]] if "to" in step else request, reply.now)


def state_of(device: Replica) -> Case:
    unconfirmed = device.outbox + [one.saved for one in device.awaiting]
    keys = set(device.rows)
    keys |= {(one.entity, one.id) for saved in unconfirmed for one in saved.mutation.changes}
    shown = {"/".join(key): view.fields for key in keys if (view := device.view(key))}
    return {
        "shown": shown,
        "outbox": [one.dot for one in device.outbox],
        "awaiting": [one.saved.dot for one in device.awaiting],
        "refused": [one.dot for one, _ in device.refused],
        "sent": [one.saved.dot for one in device.sent],
        "cursors": device.cursors,
        "bad": sorted(map(list, device.bad)),
        "restarting": sorted(map(list, device.restarting)),
        "offers": [f"{one.replica}/{one.lane}/{one.n}" for one in device.offers],
        "unseen": [f"{one.entity}/{one.id}" for one in device.unseen],
        "stamp": device.stamp.encode(),
    }


def check_digest(case: Case) -> None:
    if case["kind"] == "row":
        assert as_text(row_digest(row(case["row"]))) == case["digest"]
        return
    if case["kind"] == "counted":
        assert as_text(digest_of(row(case["row"]))) == case["digest"]
        return
    digests = [int(one, 16) for one in case["digests"]]
    assert as_text(total(digests)) == as_text(total(reversed(digests))) == case["sum"]
    assert total(map(as_signed, digests)) == total(digests)


CHECKS: dict[str, Callable[[Case], None]] = {
    "stamp": check_stamp,
    "canonical": check_canonical,
    "merge": check_merge,
    "form": check_form_case,
    "fold": check_fold,
    "moves": check_moves,
    "outbox": check_outbox,
    "pull": check_pull,
    "digest": check_digest,
}


def cases(file: str) -> list[Case]:
    found: list[Case] = json.loads((FOLDER / f"{file}.json").read_text(encoding="utf-8"))
    return found


EVERY = [(file, case) for file in CHECKS for case in cases(file)]


@pytest.mark.parametrize(("file", "case"), EVERY, ids=[f"{f}: {c['name']}" for f, c in EVERY])
def test_vector(file: str, case: Case):
    CHECKS[file](case)


def test_every_vector_file_is_read_here():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CHECKS)


def test_names_within_a_file_are_unique():
    for file in CHECKS:
        names = [case["name"] for case in cases(file)]
        assert len(set(names)) == len(names), file
