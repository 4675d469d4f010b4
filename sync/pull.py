"""What a pull reads, in which order, and how a device takes a page."""

from msgspec import Struct

from schema.versions import LANES, PULL_BYTES_MAX, PULL_BYTES_MIN
from schema.wire import Cursors, Pair, Row
from sync.rows import Key


class Want(Struct, frozen=True):
    """One (scope, lane) to read, above cursor `after`; from nothing when that is 0."""

    scope: str
    lane: int
    after: int

    @property
    def pair(self) -> Pair:
        return self.scope, self.lane


class PullPlan(Struct, frozen=True):
    """What to read, urgent lanes first; scopes the device does not know yet, and lost ones."""

    wants: list[Want]
    gained: list[str]
    revoked: list[str]


def plan_pull(
    granted: list[str],
    cursors: Cursors,
    lanes: list[int] | None,
    told: tuple[int, int],
    bad: list[Pair],
) -> PullPlan:
    """Rights come from `granted` alone; what a device asks for can only narrow it.

    `told` are the lowest and the highest seq that this log can tell about. A cursor beyond the end
    is one that this log never gave: it is taken as the end. One below the horizon, or of a pair
    whose digest does not match, begins from nothing.
    """
    floor, upto = told
    chosen = [lane for lane in LANES if lanes is None or lane in lanes]
    wants = []
    for lane in chosen:
        for scope in granted:
            after = min(max(0, cursors.get(scope, {}).get(str(lane), 0)), upto)
            again = after < floor or (scope, lane) in bad
            wants.append(Want(scope, lane, 0 if again else after))
    gained = [scope for scope in granted if scope not in cursors]
    revoked = [scope for scope in cursors if scope not in granted]
    return PullPlan(wants, gained, revoked)


def budget(max_bytes: int) -> int:
    """The byte budget of one answer, from what the device asked for."""
    return min(max(max_bytes, PULL_BYTES_MIN), PULL_BYTES_MAX)


def advance(cursors: Cursors, scope: str, lane: int, seq: int) -> Cursors:
    """The cursors once everything of (scope, lane) up to `seq` is stored. Never moves back."""
    lanes = cursors.get(scope, {})
    moved = lanes | {str(lane): max(lanes.get(str(lane), 0), seq)}
    return cursors | {scope: moved}


def reached(cursors: Cursors, lane: int) -> int:
    """The seq up to which every held scope is complete in this lane."""
    return min((lanes.get(str(lane), 0) for lanes in cursors.values()), default=0)


def take_rows(held: dict[Key, Row], rows: list[Row]) -> dict[Key, Row]:
    """The rows of a page that are not older than those held: entering a scope changes no seq."""
    taken = {}
    for row in rows:
        key = (row.entity, row.id)
        if key not in held or row.seq >= held[key].seq:
            taken[key] = row
    return taken
