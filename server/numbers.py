"""Human numbers: 令〔2026〕0001 and the like, from the block reserved for this centre."""

from datetime import UTC, datetime

from msgspec.structs import replace

from schema.wire import Change
from schema.words import say
from server.node import Wish
from server.store.protocol import Txn

NUMBERED = ("directive", "incident")
LANGUAGE = "zh-CN"
"""Numbers are printed on official papers, so they have one form in every language."""


def numbered(txn: Txn, wish: Wish, now_ms: int) -> Wish:
    """The wish with a number for each order and incident it creates; none is given twice."""
    changes = tuple(_numbered(txn, change, now_ms) for change in wish.changes)
    return replace(wish, changes=changes)


def _numbered(txn: Txn, change: Change, now_ms: int) -> Change:
    if change.op != "create" or change.entity not in NUMBERED:
        return change
    year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    key = f"{change.entity}/{year}"
    last = (txn.get("number", key) or txn.get("number_skip", "") or {"last": 0})["last"]
    txn.put("number", key, {"last": last + 1})
    no = say(LANGUAGE, f"number.{change.entity}", year=year, n=f"{last + 1:04d}")
    return replace(change, fields={**change.fields, "no": no})
