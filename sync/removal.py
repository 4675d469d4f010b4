"""An edit meets a removal: the removal stands, and the words that it met are shown to a person."""

from typing import Any

from schema.wire import Row
from sync.conflict import conflict_row
from sync.merge import Write
from sync.mutation import split_dot
from sync.rows import Stored, side

RULE_REMOVAL = "removal"
FIELD = "removed"


def removal_conflict(tombstone: Row, sides: list[dict[str, Any]], now_ms: int) -> Stored:
    """The Conflict between a removal, which wins, and edits made without knowing of it."""
    stamp, dot = tombstone.writes.get(FIELD, (tombstone.stamp, tombstone.dot))[:2]
    gone = {"dot": dot, "value": None, "actor": tombstone.actor, "stamp": stamp, "at": now_ms}
    verdict = {"state": "auto", "winner": dot}
    return conflict_row(tombstone, FIELD, [gone, *sides], RULE_REMOVAL, verdict)


def unseen_heads(
    stored: Stored, base: dict[str, tuple[str, ...]], actor: str, dot: str
) -> list[dict[str, Any]]:
    """The edits that stand in a row and that whoever removes it had not seen."""
    found: dict[str, dict[str, Any]] = {}
    for name, written in stored.row.writes.items():
        seen = set(base.get(name, ()))
        for write in stored.history.get(name, ()):
            if write.dot in written[1:] and write.dot not in seen and not _own(write, actor, dot):
                one = found.setdefault(write.dot, side(write) | {"value": {}})
                one["value"][name] = write.value
    return list(found.values())


def _own(write: Write, actor: str, dot: str) -> bool:
    return write.actor == actor and split_dot(write.dot)[:2] == split_dot(dot)[:2]
