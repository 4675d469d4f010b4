"""What a power cut may leave of a folder: the images that a record allows at any of its lines.

What was synced is there. Of what was not, each file keeps all, nothing, the beginning, or any of
its sectors of 512 bytes, each as it stood at some moment since; each folder keeps any of the names
that came or went since it was last synced itself. A rename is never half there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.crash.disk import Line

SECTOR = 512
PAGE = 4096
"""What the system keeps in memory and writes as one."""


class File:
    """What is surely on the disk, and what was done since, in order: writes and cuts.

    `doomed` is what a sync failed to bring there: no later one tries again, until somebody writes
    to the same page once more.
    """

    def __init__(self) -> None:
        self.durable = bytearray()
        self.doomed: list[tuple[int, bytes]] = []
        self.pending: list[tuple[int, bytes | None]] = []
        self.done = 0

    def write(self, at: int, data: bytes) -> None:
        self.pending.append((at, data))

    def truncate(self, size: int) -> None:
        self.pending.append((size, None))

    def mark(self) -> int:
        """How much was done by now: a sync that begins here covers it."""
        return self.done + len(self.pending)

    def sync(self, mark: int) -> None:
        for at, data in self._covered(mark):
            if data is None:
                self.doomed = [piece for piece in self.doomed if piece[0] < at]
            else:
                self._rewrite_pages(at, data)
            apply(self.durable, at, data)

    def fail(self, mark: int) -> None:
        """A sync that covered so much has failed. Of a cut the journal takes care all the same."""
        for at, data in self._covered(mark):
            if data is None:
                apply(self.durable, at, data)
                self.doomed = [piece for piece in self.doomed if piece[0] < at]
            else:
                self.doomed += pieces(at, data, PAGE)

    def _covered(self, mark: int) -> list[tuple[int, bytes | None]]:
        covered = self.pending[: max(mark - self.done, 0)]
        del self.pending[: len(covered)]
        self.done += len(covered)
        return covered

    def _rewrite_pages(self, at: int, data: bytes) -> None:
        """What was doomed on the same pages goes to the disk with what is written there now."""
        touched = range(at // PAGE, (at + max(len(data), 1) - 1) // PAGE + 1)
        for piece in [one for one in self.doomed if one[0] // PAGE in touched]:
            apply(self.durable, *piece)
            self.doomed.remove(piece)

    def seen(self) -> bytes:
        """What processes read."""
        found = bytearray(self.durable)
        for at, data in [*self.doomed, *self.pending]:
            apply(found, at, data)
        return bytes(found)

    def image(self, random: Random) -> bytes:
        """What may be left."""
        found = bytearray(self.durable)
        for at, data in self.doomed:
            if random.random() < 0.5:
                apply(found, at, data)
        kinds = [self._all, self._nothing, self._beginning, self._sectors]
        if self.pending:
            random.choice(kinds)(found, random)
        return bytes(found)

    def _all(self, found: bytearray, random: Random) -> None:
        for at, data in self.pending:
            apply(found, at, data)

    def _nothing(self, found: bytearray, random: Random) -> None:
        pass

    def _beginning(self, found: bytearray, random: Random) -> None:
        kept = random.randrange(len(self.pending) + 1)
        for at, data in self.pending[:kept]:
            apply(found, at, data)
        if kept < len(self.pending):
            at, data = self.pending[kept]
            if data is not None:
                whole = pieces(at, data)
                for piece in whole[: random.randrange(len(whole) + 1)]:
                    apply(found, *piece)

    def _sectors(self, found: bytearray, random: Random) -> None:
        """Each sector as it stood after any number of its writes."""
        if any(data is None for _, data in self.pending):
            self._beginning(found, random)
            return
        size = max(len(found), *(at + len(data or b"") for at, data in self.pending))
        touched: dict[int, list[tuple[int, bytes]]] = {}
        for at, data in self.pending:
            for piece in pieces(at, data or b""):
                touched.setdefault(piece[0] // SECTOR, []).append(piece)
        for wrote in touched.values():
            for piece in wrote[: random.randrange(len(wrote) + 1)]:
                apply(found, *piece)
        if random.random() < 0.5:
            found.extend(bytes(size - len(found)))


def apply(content: bytearray, at: int, data: bytes | None) -> None:
    """A write at its place, zeros before it where the file was shorter; None cuts or fills up."""
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data


def pieces(at: int, data: bytes, size: int = SECTOR) -> list[tuple[int, bytes]]:
    """A write in pieces, none of which reaches over the end of a sector, or of another size."""
    found, done = [], 0
    while done < len(data):
        room = size - (at + done) % size
        found.append((at + done, data[done : done + room]))
        done += room
    return found


class Naming:
    """A name that came (to a node) or went (None). `after` is the other half of a rename."""

    def __init__(self, folder: "Folder", name: str, node: "Node | None", after: "Naming | None"):
        self.folder = folder
        self.name = name
        self.node = node
        self.after = after
        self.durable = False


class Folder:
    """The names that are surely there, those that processes see, and what was done since."""

    def __init__(self) -> None:
        self.durable: dict[str, Node] = {}
        self.names: dict[str, Node] = {}
        self.pending: list[Naming] = []
        self.done = 0

    def name(self, name: str, node: "Node | None", after: Naming | None = None) -> Naming:
        naming = Naming(self, name, node, after)
        self.pending.append(naming)
        rename(self.names, naming)
        return naming

    def mark(self) -> int:
        return self.done + len(self.pending)

    def sync(self, mark: int) -> None:
        """Also the name that the other half of a rename gave, in whatever folder."""
        covered = self.pending[: max(mark - self.done, 0)]
        del self.pending[: len(covered)]
        self.done += len(covered)
        for naming in covered:
            other = naming.after
            if other and not other.durable and other.folder is not self:
                at = other.folder.pending.index(other)
                other.folder.sync(other.folder.done + at + 1)
            if not naming.durable:
                rename(self.durable, naming)
                naming.durable = True

    def fail(self, mark: int) -> None:
        """A sync of the folder has failed: its names are as unsure as before."""

    def image(self, random: Random, kept: "Kept") -> dict[str, "Node"]:
        found = dict(self.durable)
        for naming in self.pending:
            if kept.keeps(naming, random):
                rename(found, naming)
        return found


Node = File | Folder


def rename(names: dict[str, Node], naming: Naming) -> None:
    if naming.node is None:
        names.pop(naming.name, None)
    else:
        names[naming.name] = naming.node


class Kept:
    """Which of the names that are not sure one image keeps: all, none, or any."""

    def __init__(self, random: Random) -> None:
        self.share = random.choice((0.0, 0.5, 0.5, 1.0))
        self.drawn: dict[int, bool] = {}

    def keeps(self, naming: Naming, random: Random) -> bool:
        """The old name of a rename goes with the new one in one folder, and never without it."""
        other = naming.after
        if id(naming) not in self.drawn:
            kept = random.random() < self.share
            if other and not other.durable:
                with_it = self.keeps(other, random)
                kept = with_it if other.folder is naming.folder else kept and with_it
            self.drawn[id(naming)] = kept
        return self.drawn[id(naming)]


class Model:
    """A folder that was empty, as its processes and its disk have it, line by line of a record."""

    def __init__(self, under: Path) -> None:
        self.under = under
        self.root = Folder()
        self.open: dict[tuple[int, int], Node] = {}
        self.syncing: dict[tuple[int, int, int], int] = {}
        self.syncs = 0

    def take(self, line: Line) -> None:
        """One more thing was done. What a client was told is nothing to the disk."""
        key, syncing = (line.pid, line.fd), (line.pid, line.fd, line.number)
        match line.kind:
            case "o":
                self._open(line)
            case "c":
                self.open.pop(key, None)
            case "w":
                self._file(key).write(line.number, line.second)
            case "t":
                self._file(key).truncate(line.number)
            case "b":
                self.syncing[syncing] = self.open[key].mark()
            case "s":
                self.syncs += 1
                self.open[key].sync(self.syncing.pop(syncing))
            case "e":
                self.open[key].fail(self.syncing.pop(syncing))
            case "r":
                self._rename(line.first, line.second.decode())
            case "u":
                folder, name = self._place(line.first)
                folder.name(name, None)
            case "d":
                folder, name = self._place(line.first)
                folder.name(name, Folder())

    def _open(self, line: Line) -> None:
        if Path(line.first) == self.under:
            self.open[line.pid, line.fd] = self.root
            return
        folder, name = self._place(line.first)
        node = folder.names.get(name)
        if node is None:
            node = File()
            folder.name(name, node)
        elif line.number & os.O_TRUNC and isinstance(node, File):
            node.truncate(0)
        self.open[line.pid, line.fd] = node

    def _file(self, key: tuple[int, int]) -> File:
        node = self.open[key]
        assert isinstance(node, File)
        return node

    def _rename(self, old: str, fresh: str) -> None:
        source, name = self._place(old)
        target, called = self._place(fresh)
        source.name(name, None, target.name(called, source.names[name]))

    def _place(self, path: str) -> tuple[Folder, str]:
        """The folder that holds this path, and its name there."""
        *above, name = Path(path).relative_to(self.under).parts
        node: Node = self.root
        for part in above:
            assert isinstance(node, Folder)
            node = node.names[part]
        assert isinstance(node, Folder)
        return node, name

    def seen(self) -> dict[Path, bytes]:
        """Every file as processes read it, by its path."""
        return dict(_seen(self.root, self.under))

    def image(self, into: Path, random: Random) -> None:
        """Make one folder that a power cut at this moment may leave."""
        _write(self.root, into, random, Kept(random))


def _seen(folder: Folder, path: Path) -> Iterator[tuple[Path, bytes]]:
    for name, node in folder.names.items():
        if isinstance(node, Folder):
            yield from _seen(node, path / name)
        else:
            yield path / name, node.seen()


def _write(folder: Folder, into: Path, random: Random, kept: Kept) -> None:
    into.mkdir()
    for name, node in folder.image(random, kept).items():
        if isinstance(node, Folder):
            _write(node, into / name, random, kept)
        else:
            (into / name).write_bytes(node.image(random))
