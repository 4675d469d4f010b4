"""What the pages about orders show: pure projections of one consistent read."""

from collections.abc import Iterable

from msgspec import Struct

from schema.clocks import URGENCIES
from schema.steps import RANKS
from schema.wire import Row
from server.store.protocol import Read
from server.web.lookup import Lookup, UnitName, text, unit_name
from sync.fold import Clock, Facts, Progress, directive_state, overdue, progress_of

LIGHTS = ("waiting", "unread", "read", "signed", "fed-back")
LIGHT_OF_RANK = (0, 1, 2, 3, 3, 3, 4, 4, 4)
"""Index into `LIGHTS` of each rank; `pwa/src/ui/parts/light.ts` holds the same."""

FINISHED = ("closed", "recalled")
CLOSED_SHOWN_MAX = 100


class TargetView(Struct, frozen=True):
    """One unit's part of an order."""

    target: Row
    directive: Row
    unit: UnitName
    progress: Progress
    facts: Facts
    clocks: list[Clock]

    @property
    def light(self) -> str:
        return LIGHTS[LIGHT_OF_RANK[self.progress.rank]]

    @property
    def lead(self) -> bool:
        return bool(self.target.fields.get("lead"))

    @property
    def running(self) -> Clock | None:
        """The deadline that comes next, or has passed unmet."""
        return min(
            (clock for clock in self.clocks if clock.met is None),
            key=lambda clock: clock.due,
            default=None,
        )

    def late(self, now: int) -> bool:
        return self.running is not None and overdue(self.running, now)


class DirectiveView(Struct, frozen=True):
    """An order with all of its units and the state that follows from them."""

    row: Row
    incident: Row | None
    issuer: str
    state: str
    targets: list[TargetView]

    @property
    def level(self) -> str:
        """The level of its incident; empty while it has none."""
        return text(self.incident, "level")

    @property
    def signed(self) -> int:
        return sum(one.progress.rank >= RANKS["signed"] for one in self.targets)

    @property
    def counts(self) -> dict[str, int]:
        """How many units show each light, weakest first; lights that nobody shows are left out."""
        lights = [one.light for one in self.targets]
        return {light: lights.count(light) for light in LIGHTS if light in lights}

    @property
    def running(self) -> Clock | None:
        running = [one.running for one in self.targets if one.running]
        return min(running, key=lambda clock: clock.due, default=None)

    def late(self, now: int) -> int:
        return sum(one.late(now) for one in self.targets)


class HelpView(Struct, frozen=True):
    """A call for help and its answers, the newest last."""

    call: Row
    caller: str
    unit: str
    directive: Row | None
    incident: Row | None
    answers: list[tuple[Row, str]]


class IncidentView(Struct, frozen=True):
    """An incident: its summary shares its id and may be missing for a moment."""

    row: Row
    summary: Row | None
    reporter: str
    directives: int = 0

    @property
    def open(self) -> bool:
        return self.row.fields.get("state") != "closed"

    @property
    def title(self) -> str:
        return text(self.summary, "title")

    @property
    def level(self) -> str:
        return text(self.summary, "level")


def facts_of(look: Lookup, target: str) -> Facts:
    """All facts that name one target."""
    entities = ("step", "round", "recall", "stop", "ruling", "feedback")
    return Facts(*(look.children(entity, target) for entity in entities))


def clocks_shown(directive: Row, progress: Progress, facts: Facts) -> list[Clock]:
    """The deadlines that still mean something: a recall replaces them by the one to confirm it."""
    if progress.recall == "recalling":
        recall = next(row for row in facts.recalls if row.id == progress.recall_id)
        allowed = directive.fields["clocks"].get("stop")
        since = recall.fields["at"]
        return [Clock("stop", since, since + allowed, None)] if allowed else []
    if progress.recall in ("stopped", "done_before") or progress.rank >= RANKS["closed"]:
        return [clock for clock in progress.clocks if clock.met is not None]
    return progress.clocks


def target_view(look: Lookup, directive: Row, target: Row) -> TargetView:
    facts = facts_of(look, target.id)
    progress = progress_of(directive, facts)
    unit = look.row("unit", target.fields["unit"])
    name = target.fields["unit"]
    shown = unit_name(unit) if unit else UnitName(name, "", name, "", "", "", "", False, None)
    clocks = clocks_shown(directive, progress, facts)
    return TargetView(target, directive, shown, progress, facts, clocks)


def directive_view(look: Lookup, directive: Row) -> DirectiveView:
    """The order as it stands; the lead unit first, then by the register."""
    targets = [target_view(look, directive, row) for row in look.children("target", directive.id)]
    targets.sort(key=lambda one: (not one.lead, one.unit.code, one.unit.name))
    return DirectiveView(
        directive,
        look.row("incident_summary", directive.fields.get("incident")),
        look.person(directive.actor),
        directive_state([one.progress for one in targets]),
        targets,
    )


def one_directive(txn: Read, id: str) -> DirectiveView | None:
    look = Lookup(txn)
    row = look.row("directive", id)
    return directive_view(look, row) if row else None


def incident_view(look: Lookup, row: Row, directives: int = 0) -> IncidentView:
    summary = look.row("incident_summary", row.id)
    return IncidentView(row, summary, look.person(row.actor), directives)


def help_view(look: Lookup, call: Row) -> HelpView:
    target = look.row("target", call.fields.get("target"))
    directive = look.row("directive", target.fields["directive"]) if target else None
    incident = look.row("incident_summary", target.fields.get("incident")) if target else None
    answers = [(row, look.person(row.actor)) for row in look.children("help_answer", call.id)]
    caller, unit = look.person(call.actor), look.unit(call.fields.get("unit"))
    return HelpView(call, caller, unit, directive, incident, answers)


def unanswered(look: Lookup) -> list[HelpView]:
    """Calls for help that nobody at the centre has answered, the oldest first."""
    calls = [help_view(look, row) for row in look.children("help_call", None)]
    return sorted((one for one in calls if not one.answers), key=lambda one: one.call.fields["at"])


def in_order(directives: Iterable[DirectiveView]) -> list[DirectiveView]:
    """The most urgent first, then the newest."""
    return sorted(
        directives,
        key=lambda one: (URGENCIES.index(one.row.fields["urgency"]), -one.row.fields["at"]),
    )


class Board(Struct, frozen=True):
    """The situation: open incidents and their orders, and what cries for a person."""

    incidents: list[IncidentView]
    directives: list[DirectiveView]
    help: list[HelpView]
    conflicts: int
    contested: list[tuple[DirectiveView, TargetView]]


def board(txn: Read, closed: bool, conflicts: int) -> Board:
    """Open: orders not yet finished under open incidents. Closed: the newest of the others."""
    look = Lookup(txn)
    shown, directives = [], []
    for row in reversed(look.children("incident", None)):
        is_open = row.fields.get("state") != "closed"
        if not closed and not is_open:
            continue
        orders = [directive_view(look, one) for one in look.children("directive", row.id)]
        kept = [one for one in orders if (one.state in FINISHED or not is_open) == closed]
        directives += kept
        if is_open != closed:
            shown.append(incident_view(look, row, len(orders)))
        if len(directives) + len(shown) >= CLOSED_SHOWN_MAX and closed:
            break
    contested = [
        (one, target)
        for one in directives
        for target in one.targets
        if target.progress.recall == "contested"
    ]
    return Board(shown, in_order(directives), unanswered(look), conflicts, contested)
