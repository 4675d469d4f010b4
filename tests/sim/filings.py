"""Who contradicts whom about where a machine is, from what people filed. Knows no `sync/`.

All places of this world lie on one meridian, so that a distance is a difference.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tests.sim.broken import Broken
from tests.sim.writes import Fact

if TYPE_CHECKING:
    from tests.sim.model import Model

ONE_TIME_MS = 120 * 60_000
ONE_PLACE_M = 500
FASTEST_KMH = 200
SLACK_MS = 120_000
EACH = 20
PEOPLE = 50
RULE = "4.3#12"


class Word(Struct, frozen=True):
    """One filing. `lat` is None where it was not measured, or is not believed."""

    id: str
    dot: str
    who: str
    kind: str
    at: int
    place: str | None
    lat: int | None
    out: bool
    """A person ruled against it."""


class Dispute(Struct, frozen=True):
    """The filings in dispute, by their dots, the one that stands for now, and who says what."""

    dots: tuple[str, ...]
    winner: str
    said: dict[str, Word]

    def goes_on(self, past: "Dispute") -> bool:
        """The same people say the same of the machine as in a dispute that is open already."""
        return self.said.keys() == past.said.keys() and all(
            _again(past.said[who], word) for who, word in self.said.items()
        )


class Open(Struct, frozen=True):
    """The Conflict that must be open about a machine, and what it is about."""

    id: str
    about: Dispute


def dispute(filings: Iterable[Fact], rulings: Iterable[Fact]) -> Dispute | None:
    """What a person has to check about one machine; None where nobody contradicts anybody."""
    words = _words(_newest(filings, _filed), _against(rulings))
    tale = _believed(sorted(words, key=lambda one: (one.at, one.dot, one.id)))
    sound = [one for one in tale if not one.out]
    groups = _groups(sound)
    if not groups:
        return None
    kept = _last_words(groups, tale) or _last_words(groups, sound)
    top = max(kept, key=_age)
    rivals = [top, *(some for some in kept if _deny(some, top))]
    best = max([some for some in rivals if _best(some).lat is not None] or [top], key=_age)
    against = [some for some in kept if _deny(some, best)]
    if not against:
        return None
    every = [one for some in (best, *against) for one in some]
    dots = sorted(one.dot for one in every)
    return Dispute(tuple(dots), _best(best).dot, {one.who: one for one in every})


def _last_words(groups: list[list[Word]], tale: list[Word]) -> list[list[Word]]:
    latest = {one.who: one for one in tale}
    return [some for some in groups if all(latest[one.who] is one for one in some)]


def _again(before: Word, now: Word) -> bool:
    same = (before.kind, before.place) == (now.kind, now.place)
    if before.lat is None or now.lat is None:
        return same and before.lat is now.lat
    return same and _far(before.lat, now.lat) <= ONE_PLACE_M


def _observed(fact: Fact) -> int:
    return min(fact.first["at"], fact.claim[1] + SLACK_MS)


def _filed(fact: Fact) -> tuple[Any, ...]:
    return _observed(fact), fact.dot, fact.id


def _ruled(fact: Fact) -> tuple[Any, ...]:
    """A stamp may run ahead, but nobody rules after the centre has heard of it."""
    return min(int(fact.stamp[:12], 16), fact.claim[1]), fact.stamp, fact.dot, fact.id


def _newest(facts: Iterable[Fact], key: Callable[[Fact], tuple[Any, ...]]) -> list[Fact]:
    """What counts: so many of each person, and so many people."""
    found: list[Fact] = []
    theirs: dict[str, int] = {}
    for fact in sorted(facts, key=key, reverse=True):
        if fact.actor not in theirs and len(theirs) == PEOPLE:
            continue
        theirs[fact.actor] = theirs.get(fact.actor, 0) + 1
        if theirs[fact.actor] <= EACH:
            found.append(fact)
    return found


def _against(rulings: Iterable[Fact]) -> set[str]:
    """Filings that the last ruling about them is against."""
    found: set[str] = set()
    for one in reversed(_newest(rulings, _ruled)):
        found = (found | set(one.first["over"])) - {one.first["filing"]}
    return found


def _words(filings: Iterable[Fact], against: set[str]) -> list[Word]:
    return [
        Word(
            fact.id,
            fact.dot,
            fact.actor,
            fact.first["kind"],
            _observed(fact),
            fact.first.get("place"),
            fact.first.get("lat_e6"),
            fact.id in against,
        )
        for fact in filings
        if fact.first.get("place") or fact.first.get("lat_e6") is not None
    ]


def _far(a: int, b: int) -> int:
    return abs(a - b) * 111_195 // 1_000_000


def _believed(tale: list[Word]) -> list[Word]:
    """Without the filings that nobody can have gone from one's own, or an older, place to."""
    sound: list[Word] = []
    doubted: Word | None = None
    wrong: list[Word] = []
    for one in tale:
        if one.out or one.lat is None:
            continue
        known = [past for past in sound if past.who == one.who or past.at < one.at - ONE_TIME_MS]
        if known and not _goes(known[-1], one):
            if doubted is None or not _goes(doubted, one):
                doubted = one
                wrong.append(one)
                continue
            wrong.remove(doubted)
        sound.append(one)
        doubted = None
    return [one for one in tale if one not in wrong]


def _goes(a: Word, b: Word) -> bool:
    assert a.lat is not None and b.lat is not None
    return _far(a.lat, b.lat) <= ONE_PLACE_M + (b.at - a.at) * FASTEST_KMH // 3_600


def _groups(tale: list[Word]) -> list[list[Word]]:
    """Those who say the same of one time."""
    groups: list[list[Word]] = []
    said: dict[str, Word] = {}
    for one in tale:
        fitting = [
            some
            for some in groups
            if one.at - some[0].at <= ONE_TIME_MS
            and one.kind == some[0].kind
            and _alike(some[0], one)
            and all(said[other.who] is other and other.who != one.who for other in some)
        ]
        if fitting:
            fitting[-1].append(one)
        else:
            groups.append([one])
        said[one.who] = one
    return groups


def _alike(a: Word, b: Word) -> bool:
    if a.lat is not None and b.lat is not None:
        return _far(a.lat, b.lat) <= ONE_PLACE_M
    return bool(a.place) and a.place == b.place


def _age(some: list[Word]) -> tuple[int, str]:
    return some[-1].at, some[-1].dot


def _best(some: list[Word]) -> Word:
    return ([one for one in some if one.lat is not None] or some)[-1]


def _deny(a: list[Word], b: list[Word]) -> bool:
    near = abs(a[-1].at - b[-1].at) <= ONE_TIME_MS
    return a is not b and a[-1].kind == b[-1].kind and near and not _alike(_best(a), _best(b))


# --- Against the server's rows --------------------------------------------------------------------


def note_filings(model: "Model", changes: Iterable[dict[str, Any]], dot: str) -> None:
    """Expect the Conflict about each machine that was filed or ruled on, if people disagree.

    A ruling reaches those whose filings it names.
    """
    touched = {
        one["fields"]["equipment"]
        for one in changes
        if one["entity"] in ("equipment_move", "move_ruling")
    }
    for machine in sorted(touched):
        filings, rulings = (
            [
                fact
                for (of, _), fact in model.rows.items()
                if of == entity and fact.first["equipment"] == machine
            ]
            for entity in ("equipment_move", "move_ruling")
        )
        for one in rulings:
            if one.dot == dot:
                named = (one.first["filing"], *one.first["over"])
                told = {fact.actor for fact in _newest(filings, _filed) if fact.id in named}
                one.first["shown_in"] = sorted(f"actor/{who}" for who in told)
        model.expect_dispute(machine, dispute(filings, rulings), dot)
        model.count("move_ruled" if rulings else "move_filed")


def check_open(docs: Iterable[dict[str, Any]], wanted: Open | None, of: str) -> None:
    """Of all Conflicts about a machine, the one that is open is what people disagree about now.

    Nobody but the centre and the unit's duty room is shown it.
    """
    found = [
        (
            one["id"],
            sorted(side["dot"] for side in one["fields"]["sides"]),
            one["fields"]["winner"],
            one["fields"]["scopes"] == ["centre", f"register/{one['fields']['unit']}"],
        )
        for one in docs
        if one["fields"]["rule"] == RULE
        and one["fields"]["state"] == "open"
        and one["fields"]["row_id"] == of
    ]
    about = [(wanted.id, [*wanted.about.dots], wanted.about.winner, True)] if wanted else []
    if found != about:
        raise Broken("inbox", f"open about {of}: {found}, wanted {wanted}")
