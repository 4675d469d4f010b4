"""What a request, and the answer to it, must be whoever asks: the order of lanes, the budget."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from schema.versions import LANES, PULL_BYTES_MAX, PULL_BYTES_MIN
from schema.wire import Change
from tests.sim.broken import Broken
from tests.sim.device import Device
from tests.sim.model import Key, Model, Pair, Said

CARRIED = ("directive", "incident_summary")
"""What comes along with another row, at the seq of that one."""

WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

ASKED_BYTES = 256 * 1024
"""What a request asks for that does not say."""


def check_told(model: Model, reply: dict[str, Any]) -> dict[Pair, dict[Key, int]]:
    """A reply says where the log ends, its digests fit, its pages are whole. What each pair is."""
    if reply["upto"] != model.seq:
        raise Broken("upto", f"{reply['upto']} while the log ends at {model.seq}")
    pairs = {}
    for scope, lanes in reply["complete"].items():
        for lane in lanes:
            pairs[scope, lane] = model.members.get((scope, lane), {})
            found, wanted = reply["digests"][scope][str(lane)], model.digest((scope, lane))
            if found != wanted:
                raise Broken("digest", f"{scope} {lane}: {found} not {wanted}")
    for page in reply["pages"]:
        _check_page(model, page)
    return pairs


def _check_page(model: Model, page: dict[str, Any]) -> None:
    """A page holds all that its last mutation changed in the pair."""
    rows = model.members.get((page["scope"], page["lane"]), {})
    told = {(row["entity"], row["id"]) for row in page["rows"]}
    last = {key for key, seq in rows.items() if seq == page["next"]}
    if torn := sorted(last - told):
        raise Broken("torn_page", f"{page['scope']} {page['lane']} lacks {torn[:3]}")


def check_request(life: str, body: bytes) -> None:
    """What is urgent travels first."""
    _check_ascending([run["lane"] for run in msgspec.json.decode(body)["runs"]], f"{life} sends")


def check_log_order(life: str, asked: Iterable[str], lines: Iterable[tuple[Any, ...]]) -> None:
    """What is urgent of one request is judged first. `lines` are those of the log since then."""
    sent = set(asked)
    lanes = [
        lane
        for _, replica, lane, n, _, raw, *_ in lines
        if raw is not None and f"{replica}/{lane}/{n}" in sent
    ]
    _check_ascending(lanes, f"the log took from {life}")


def _check_ascending(lanes: list[int], what: str) -> None:
    if lanes != sorted(lanes):
        raise Broken("lane_order", f"{what} {lanes}")


def check_answer(asked: dict[str, Any], reply: dict[str, Any]) -> None:
    """Urgent lanes first, and none while a more urgent one is cut off; within the budget."""
    pages = reply["pages"]
    _check_ascending([page["lane"] for page in pages], "an answer tells")
    complete = {(scope, lane) for scope, lanes in reply["complete"].items() for lane in lanes}
    told = complete | {(one["scope"], one["lane"]) for one in reply["snapshots"]}
    scopes = {*asked["cursors"], *reply["gained"]} - set(reply["revoked"])
    lanes = [lane for lane in LANES if asked.get("lanes") is None or lane in asked["lanes"]]
    cut = [lane for scope in scopes for lane in lanes if (scope, lane) not in told]
    late = [lane for _, lane in told | {(page["scope"], page["lane"]) for page in pages}]
    if cut and max(late, default=0) > min(cut):
        raise Broken("lane_order", f"lane {max(late)} is told, {min(cut)} is not")
    _check_budget(asked.get("max_bytes", ASKED_BYTES), pages)


def _check_budget(max_bytes: int, pages: list[dict[str, Any]]) -> None:
    """Nothing but the rest of a seq is told beyond what was asked for."""
    if not pages:
        return
    *whole, last = pages
    before = [row for page in whole for row in page["rows"]]
    before += [
        row for row in last["rows"] if row["seq"] < last["next"] and row["entity"] not in CARRIED
    ]
    size = sum(len(_text(row)) for row in before)
    if size >= min(max(max_bytes, PULL_BYTES_MIN), PULL_BYTES_MAX):
        raise Broken("budget", f"{size} bytes of rows, {max_bytes} were asked for")


def _text(row: dict[str, Any]) -> str:
    return WRITER.encode(row)


def check_unserved(life: str, reply: dict[str, Any]) -> None:
    """Who is revoked is told nothing of what is here."""
    for name in ("pages", "snapshots", "complete", "gained"):
        if reply[name]:
            raise Broken("revoked_served", f"{life} was given {name}")


def check_gone(device: Device, said: Iterable[Said]) -> None:
    """Nothing shows of a row that the centre has removed, though words about it still wait."""
    rows = device.inspect().rows
    changes = [change for one in said for change in one.mutation["changes"]]
    for key in {(change["entity"], change["id"]) for change in changes}:
        if key in rows and rows[key].removed and device.view(*key) is not None:
            raise Broken("ghost", f"{key} shows though it was removed")


def check_own_work(device: Device, changes: Iterable[Change]) -> None:
    """Whoever saves sees it at once."""
    known = device.inspect().rows
    for change in changes:
        row = device.view(change.entity, change.id)
        shown = row.fields if row else {}
        seen = {
            "create": row is not None or (change.entity, change.id) in known,
            "remove": row is None,
            "set": {**shown, **change.fields} == shown,
        }
        if not seen[change.op]:
            raise Broken("own_work", f"{change.op} {change.entity} {change.id} is not shown")
