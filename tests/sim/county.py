"""A county's server that stores and forwards: it keeps signed words exactly, and judges nothing."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sync.bundle import Heading, Trust, pack, unpack
from sync.bundle_parts import Contents, HomeVerdict, SignedRun
from sync.bundle_plan import Have, basis_of, heard, plan_export, plan_import
from sync.vector import Vector, union
from tests.sim.broken import Broken
from tests.sim.disk import CENTRE
from tests.sim.landing import check_gaps, verify


class Book(Struct):
    """What a county holds of one log of the centre. `peer` is what the centre should have of it."""

    runs: list[SignedRun] = []
    vector: Vector = {}
    peer: Vector = {}
    verdicts: dict[str, HomeVerdict] = {}


class County:
    """One county's server. Nothing that it was given ever leaves it."""

    def __init__(self, name: str, realm: str, seal: Any) -> None:
        self.name = name
        self.realm = realm
        self.seal = seal
        self.epoch = ""
        self.books: dict[str, Book] = {}

    @property
    def book(self) -> Book:
        """That of the log which the centre has spoken of last.

        Which of two logs is the newer one does not show: both may have begun from one backup.
        """
        return self.books.setdefault(self.epoch, Book())

    def take(self, data: bytes, keys: Mapping[str, str]) -> Vector:
        """Keep the words of a device. The receipt: all that is held here of what it brought."""
        trust = Trust(self.realm, self.name, {one: (key,) for one, key in keys.items()}, None)
        bundle = unpack(data, trust, verify)
        self.epoch = self.epoch or bundle.header.epoch
        book = self.books.setdefault(bundle.header.epoch, Book())
        plan = plan_import(bundle, Have(book.vector), keys, verify)
        check_gaps(bundle, plan, book.vector)
        if plan.refused:
            raise Broken("unproven", f"{plan.refused[0].run.replica} at {self.name}")
        book.runs = [*book.runs, *plan.fresh.runs]
        book.vector = plan.after.vector
        return union(*(run.vector for run in bundle.contents.runs))

    def export(self, heading: Heading, room: int) -> bytes | None:
        """The next bundle for the centre, taken as known there from now on; None before any words.

        One that is lost shows there as a gap, and is asked back. The answer to an empty one says
        which log the centre has now.
        """
        if not self.epoch:
            return None
        book = self.book
        stock, peer = Contents(tuple(book.runs)), Have(book.peer)
        # A run that is larger than the room goes alone.
        sent = plan_export(stock, peer, room).contents
        sent = sent if sent.runs else Contents(plan_export(stock, peer).contents.runs[:1])
        book.peer = union(book.peer, *(run.vector for run in sent.runs))
        told = replace(heading, epoch=self.epoch, basis=basis_of(peer))
        return pack(told, sent, self.seal.sign)

    def hear(self, data: bytes, key: str, carriers: Any) -> int:
        """Keep the centre's verdicts, and note what it asks back. How many verdicts came."""
        bundle = unpack(data, Trust(self.realm, self.name, {CENTRE: (key,)}, carriers), verify)
        fresh = plan_import(bundle, Have(), {}, verify).fresh.verdicts
        self.epoch = bundle.header.epoch
        book = self.book
        book.peer = heard(Have(book.peer), bundle.header).vector
        for one in fresh:
            held = book.verdicts.get(one.verdict.dot)
            if held is None or held.verdict.seq <= one.verdict.seq:
                book.verdicts = {**book.verdicts, one.verdict.dot: one}
        return len(fresh)

    def verdicts_for(self, replica: str, epoch: str) -> tuple[HomeVerdict, ...]:
        """What it has heard of one device's words in one log."""
        book = self.books.get(epoch, Book())
        own = [one for dot, one in book.verdicts.items() if dot.startswith(f"{replica}/")]
        return tuple(sorted(own, key=lambda one: one.verdict.seq))
