"""Who contradicts whom about where a machine is, from what people filed. Knows no `sync/`.

All places of this world lie on one meridian, so that a distance is a difference.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tests.sim.broken import Broken

if TYPE_CHECKING:
    from tests.sim.model import Fact, Model

ONE_TIME_MS = 120 * 60_000
ONE_PLACE_M = 500
FASTEST_KMH = 200
SLACK_MS = 120_000
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
    """The filings in dispute, by their dots, and the one that stands for now."""

    dots: tuple[str, ...]
    winner: str


def dispute(filings: Iterable["Fact"], rulings: Iterable["Fact"]) -> Dispute | None:
    """What a person has to check about one machine; None where nobody contradicts anybody."""
    tale = _believed(sorted(_words(filings, _against(rulings)), key=lambda one: (one.at, one.dot)))
    groups = _groups([one for one in tale if not one.out])
    if not groups:
        return None
    latest = {one.who: one for one in tale}
    kept = [some for some in groups if all(latest[one.who] is one for one in some)] or groups
    top = max(kept, key=_age)
    rivals = [top, *(some for some in kept if _deny(some, top))]
    best = max([some for some in rivals if _best(some).lat is not None] or [top], key=_age)
    against = [some for some in kept if _deny(some, best)]
    if not against:
        return None
    dots = sorted(one.dot for some in (best, *against) for one in some)
    return Dispute(tuple(dots), _best(best).dot)


def _observed(fact: "Fact") -> int:
    return min(fact.first["at"], fact.claim[1] + SLACK_MS)


def _against(rulings: Iterable["Fact"]) -> set[str]:
    """Filings that the last ruling about them is against."""
    found: set[str] = set()
    for one in sorted(rulings, key=lambda fact: (_observed(fact), fact.dot)):
        found = (found | set(one.first["over"])) - {one.first["filing"]}
    return found


def _words(filings: Iterable["Fact"], against: set[str]) -> list[Word]:
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


def note_filings(model: "Model", changes: Iterable[dict[str, Any]]) -> None:
    """Expect the Conflict about each machine that was filed or ruled on, if people disagree."""
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
        model.expect_dispute(machine, dispute(filings, rulings))
        model.count("move_ruled" if rulings else "move_filed")


def check_open(docs: Iterable[dict[str, Any]], wanted: tuple[str, str] | None, of: str) -> None:
    """Of all Conflicts about a machine, the one that is open is what people disagree about now.

    `wanted` is its id, and the dot of the filing that stands for now.
    """
    found = [
        (one["id"], one["fields"]["winner"])
        for one in docs
        if one["fields"]["rule"] == RULE
        and one["fields"]["state"] == "open"
        and one["fields"]["row_id"] == of
    ]
    if found != ([wanted] if wanted else []):
        raise Broken("inbox", f"open about {of}: {found}, wanted {wanted}")
