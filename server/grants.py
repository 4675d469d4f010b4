"""Who may have what changes in the transaction that causes it: rights of the past, scopes held."""

from schema.roles import Role
from schema.scopes import DEVICE_KINDS
from schema.wire import Row
from server.accounts.people import roles_of, unit_of
from server.holders import regranted, replicas_of
from server.store.protocol import Doc, Txn
from sync.known import Rights

PAST_MAX = 50


def past_of(doc: Doc | None) -> tuple[Rights, ...]:
    """The rights that a person had, oldest first."""
    known = {str(role) for role in Role}
    return tuple(
        Rights(
            one["until"],
            one["unit"],
            frozenset(Role(name) for name in one["roles"] if name in known),
        )
        for one in (doc or {}).get("past", ())
    )


def note_person(txn: Txn, before: Row | None, after: Row, now_ms: int) -> None:
    """A person's row changed: remember what they could do, and move their devices' scopes."""
    if after.entity != "person" or before is None:
        return
    had = (unit_of(before) or "", sorted(roles_of(before)))
    has = ("", []) if after.removed else (unit_of(after) or "", sorted(roles_of(after)))
    if had == has:
        return
    past = (txn.get("rights", after.id) or {"past": []})["past"]
    past.append({"until": now_ms, "unit": had[0], "roles": [str(role) for role in had[1]]})
    txn.put("rights", after.id, {"past": past[-PAST_MAX:]})
    roles = set(has[1])
    for replica, doc in replicas_of(txn, after.id).items():
        if not doc["revoked_at"]:
            unit = has[0] if roles & set(DEVICE_KINDS[doc["kind"]].roles) else ""
            txn.put("replica", replica, regranted(doc, replica, unit, txn.head().seq))
