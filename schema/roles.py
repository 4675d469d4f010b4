"""Roles a person may hold, and the authority their writes carry."""

from enum import StrEnum


class Role(StrEnum):
    """One column of the permission matrix. The letter in the glossary is the matrix's."""

    DISPATCHER = "dispatcher"
    SHIFT_LEAD = "shift_lead"
    CENTRE_HEAD = "centre_head"
    DUTY = "duty"
    UNIT_HEAD = "unit_head"
    RESPONDER = "responder"
    OPERATOR = "operator"
    STEWARD = "steward"
    ADMIN = "admin"


CENTRE_ROLES = frozenset({Role.DISPATCHER, Role.SHIFT_LEAD, Role.CENTRE_HEAD, Role.ADMIN})
COMMAND = frozenset({Role.DISPATCHER, Role.SHIFT_LEAD, Role.CENTRE_HEAD})
"""Who may see what the centre commands; an administrator keeps accounts and devices only."""

UNIT_ROLES = frozenset({Role.DUTY, Role.UNIT_HEAD, Role.STEWARD})

AUTHORITY_CENTRE = 2
AUTHORITY_UNIT = 1
AUTHORITY_DEVICE = 0


def authority_of(roles: frozenset[Role]) -> int:
    """The weight of a person's write under the `authority` policy: centre 2, unit 1, device 0."""
    if roles & CENTRE_ROLES:
        return AUTHORITY_CENTRE
    return AUTHORITY_UNIT if roles & UNIT_ROLES else AUTHORITY_DEVICE
