"""Which mutations the signatures of their lane's runs prove, read in the order of the log."""

from collections.abc import Iterator

from msgspec import Struct, field

from server.audit.words import Link

OPEN_MAX = 10_000
"""So many of one lane wait for a signature at most; behind so many, the first never had one."""


class Break(Struct, frozen=True):
    """The mutation `n`, logged as `seq`, does not name the one before it."""

    n: int
    seq: int


class Stretch(Struct, frozen=True):
    """Mutations of one lane that no signature proves: numbers `first` to `last`, and their seqs."""

    first: int
    last: int
    seqs: tuple[int, ...]


class Lane(Struct):
    """One lane of one replica, whose mutations may come in any order.

    `open` are those that nothing proves yet; `wanted` are the numbers that a proven one names as
    the one before it and that have not come; `edge` are proven ones whose next has not come.
    """

    open: dict[int, Link] = field(default_factory=dict)
    wanted: dict[int, tuple[str, Link]] = field(default_factory=dict)
    edge: dict[int, Link] = field(default_factory=dict)

    def take(self, n: int, link: Link, signed: bool) -> Iterator[Break]:
        """Note a mutation; `signed` when a signature of its own proves it. Says what breaks."""
        named, after = self.wanted.pop(n, (None, None))
        if after and _breaks(link, named, after):
            yield Break(n + 1, after.seq)
        if signed or (named is not None and named == link.proof):
            if after is None:
                self.edge[n] = link
            yield from self._cover(n, link)
        else:
            self.open[n] = link

    def _cover(self, n: int, link: Link) -> Iterator[Break]:
        """Everything that this proven one proves, one after the other, is proven too."""
        while link.prev is not None:
            if n == 1:
                if link.strict and link.prev:
                    yield Break(n, link.seq)
                return
            before = self.edge.pop(n - 1, None) or self.open.get(n - 1)
            if before is None:
                self.wanted[n - 1] = (link.prev, link)
                return
            if _breaks(before, link.prev, link):
                yield Break(n, link.seq)
            if n - 1 not in self.open or before.proof != link.prev:
                return
            del self.open[n - 1]
            n, link = n - 1, before
        self.edge.pop(n - 1, None)

    def overflowing(self) -> Iterator[Stretch]:
        """What has waited behind too many others is given up."""
        if len(self.open) > OPEN_MAX:
            yield from self.left()

    def left(self) -> Iterator[Stretch]:
        """What nothing proves, in stretches of numbers that follow each other; forgotten then."""
        numbers, first = sorted(self.open), 0
        for at, n in enumerate(numbers, 1):
            if at == len(numbers) or numbers[at] != n + 1:
                some = numbers[first:at]
                yield Stretch(some[0], some[-1], tuple(self.open[one].seq for one in some))
                first = at
        self.open.clear()


def _breaks(before: Link, named: str | None, after: Link) -> bool:
    """True when `after` should have named what `before` stands for."""
    held = before.strict and after.strict and before.stands_for is not None
    return held and named != before.stands_for
