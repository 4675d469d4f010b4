"""A walk over all that a centre keeps, in memory that does not grow with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from server.audit.files import files_in, look_at_aside, look_at_blob, look_at_snapshot
from server.audit.finding import At, Finding, Flaw, Sink
from server.audit.lanes import Lane, Stretch
from server.audit.opened import opened
from server.audit.rows import at_row, look_at_pair, look_at_row
from server.audit.signatures import Signatures
from server.audit.words import Link, at_line, follows, link_of
from server.config import Config
from server.store.inspect import CannotRead, Inspector, Line, Unreadable
from server.store.wal import lost_transactions
from sync.mutation import split_dot
from sync.rows import Key

Progress = Callable[[str, int, int], None]
"""Which part, how much of it is done, and of how much; 0 of 0 where nobody can tell."""

PARTS = ("database", "log", "row", "member", "side", "blob", "snapshot")

LOOKS_AGAIN = 3


class Looked(Struct):
    """How much was looked at. `words` are mutations whose bytes are here, `purged` all others.

    `missing` are photos that rows name and that have not come yet.
    """

    lines: int = 0
    words: int = 0
    purged: int = 0
    rows: int = 0
    pairs: int = 0
    records: int = 0
    photos: int = 0
    snapshots: int = 0
    missing: int = 0


def audit(config: Config, sink: Sink, progress: Progress) -> Looked:
    """Look at everything that a centre keeps and tell `sink` each flaw. Changes nothing.

    Trouble, or psycopg.OperationalError, where it is on a PostgreSQL that cannot be asked.
    """
    log = config.database.with_name(f"{config.database.name}-wal")
    if not config.store and (lost := lost_transactions(log)):
        sink(Finding(Flaw.WAL, {"file": log.name}, str(lost)))
    try:
        inspector = opened(config)
    except CannotRead as error:
        sink(Finding(Flaw.DATABASE, {"file": config.database.name}, str(error)))
        return _Files(config, sink, progress).look()
    try:
        return _Walker(config, inspector, sink, progress).look()
    finally:
        inspector.close()


class _Files:
    """What lies beside the database."""

    def __init__(self, config: Config, sink: Sink, progress: Progress) -> None:
        self.config = config
        self.sink = sink
        self.progress = progress
        self.looked = Looked()

    def look(self) -> Looked:
        self.blobs()
        self.snapshots()
        return self.looked

    def blobs(self) -> None:
        """The bytes of each photo, and those that were set aside."""
        root, folder = self.config.blobs.parent, self.config.blobs
        total = sum(1 for _ in files_in(folder / "whole"))
        for path in files_in(folder / "whole"):
            self._file(root, path, look_at_blob(root, path, self._size_of))
            self.looked.photos += 1
            self.progress("blob", self.looked.photos, total)
        for path in files_in(folder / "damaged"):
            self._file(root, path, look_at_aside(root, path))

    def _size_of(self, sha256: str) -> int | None:
        """The size of a photo as it was noted, where anybody can look it up."""
        return None

    def snapshots(self) -> None:
        """The bytes of each part of a snapshot."""
        root, folder = self.config.data, self.config.snapshots
        total = sum(1 for _ in files_in(folder))
        for path in files_in(folder):
            self._file(root, path, look_at_snapshot(root, path))
            self.looked.snapshots += 1
            self.progress("snapshot", self.looked.snapshots, total)

    def _file(self, root: Path, path: Path, findings: Iterator[Finding]) -> None:
        try:
            for finding in findings:
                self.sink(finding)
        except FileNotFoundError:
            pass  # A server at work made a better one meanwhile.
        except OSError as error:
            at: At = {"file": path.relative_to(root).as_posix()}
            self.sink(Finding(Flaw.UNREADABLE, at, str(error)))


class _Walker(_Files):
    """The database, and what lies beside it."""

    def __init__(
        self, config: Config, inspector: Inspector, sink: Sink, progress: Progress
    ) -> None:
        super().__init__(config, sink, progress)
        self.inspector = inspector
        self.lanes: dict[tuple[str, int], Lane] = {}
        self.keyless: set[str] = set()

    def look(self) -> Looked:
        for part in (self.database, self.log, self.rows, self.members, self.records):
            with self.naming({"part": part.__name__}):
                part()
        return super().look()

    @contextmanager
    def naming(self, at: At) -> Iterator[None]:
        """What the database cannot read here is a finding, and the walk goes on behind it."""
        try:
            yield
        except CannotRead as error:
            self.sink(Finding(Flaw.UNREADABLE, at, str(error)))

    def database(self) -> None:
        """The database's own check of itself."""
        self.progress("database", 0, 0)
        for why in self.inspector.integrity(lambda: self.progress("database", 0, 0)):
            self.sink(Finding(Flaw.DATABASE, self.inspector.name, why))
        self.progress("database", 1, 1)
        for table in self.inspector.strangers():
            self.sink(Finding(Flaw.OTHER_CENTRE, {"table": table}))

    def log(self) -> None:
        """The log from its first line to the last, and the signatures that prove it."""
        head, last = self.inspector.head()
        if head is None:
            self.sink(Finding(Flaw.HEAD, {"centre": self.inspector.centre}))
        elif not (head.seq == last and 0 <= head.floor <= last and 0 <= head.durable <= last):
            told = f"seq {head.seq}, log {last}, floor {head.floor}, durable {head.durable}"
            self.sink(Finding(Flaw.HEAD, {"centre": head.centre}, told))
        signatures = Signatures(self.inspector, head.realm if head else "")
        end = self._lines("", 0, last, signatures)
        if head and end is not None and end != head.chain:
            self.sink(Finding(Flaw.HEAD, {"seq": last}, "chain"))
        self._until_signed(end, last, signatures)
        for (replica, lane), one in sorted(self.lanes.items()):
            self._unproven(replica, lane, one.left())

    def _until_signed(self, chain: str | None, after: int, signatures: Signatures) -> None:
        """Look at what came meanwhile: a long push is signed by the last of its parts."""
        for _ in range(LOOKS_AGAIN):
            upto = self.inspector.head()[1]
            if upto <= after or not any(one.open for one in self.lanes.values()):
                return
            chain, after = self._lines(chain, after, upto, signatures), upto

    def _lines(
        self, chain: str | None, after: int, upto: int, signatures: Signatures
    ) -> str | None:
        """The chain hash of the last line; None when it cannot be read."""
        for one in self.inspector.lines(after, upto):
            if isinstance(one, Unreadable):
                chain, after = None, one.after + 1
                self.sink(Finding(Flaw.UNREADABLE, {"seq": after}, one.why))
                continue
            for finding in follows(chain, after, one):
                self.sink(finding)
            if not one.is_sound:
                self.sink(Finding(Flaw.CHECKSUM, at_line(one)))
            chain, after = one.chain, one.seq
            self.looked.lines += 1
            with self.naming(at_line(one)):
                self._words(one, signatures)
            self.progress("log", after, upto)
        return chain

    def _words(self, line: Line, signatures: Signatures) -> None:
        try:
            replica, lane, n = split_dot(line.dot)
        except ValueError:
            return  # The chain has named it.
        signed = False
        if line.raw is None:
            link = self._without_words(line)
            signed = link is not None
        else:
            self.looked.words += 1
            link, finding = link_of(line, line.raw)
            if finding:
                self.sink(finding)
            elif sig := signatures.sig_of(line.dot):
                signed = self._signed(line, sig, signatures)
        if link is None:
            return
        of = self.lanes.setdefault((replica, lane), Lane())
        for broken in of.take(n, link, signed):
            at: At = {"seq": broken.seq, "dot": f"{replica}/{lane}/{broken.n}"}
            self.sink(Finding(Flaw.PREV, at))
        self._unproven(replica, lane, of.overflowing())

    def _without_words(self, line: Line) -> Link | None:
        """A later verdict of a mutation adds no link; purged words are one that proves nothing."""
        first = self.inspector.lines_of(line.dot)[0]
        if first.seq == line.seq:
            self.looked.purged += 1
            return Link(line.seq, None, line.hash, None)
        if first.hash != line.hash:
            self.sink(Finding(Flaw.BYTES, at_line(line), first.hash))
        return None

    def _signed(self, line: Line, sig: str, signatures: Signatures) -> bool:
        replica = split_dot(line.dot)[0]
        if not signatures.has_key(replica):
            if replica not in self.keyless:
                self.keyless.add(replica)
                self.sink(Finding(Flaw.KEY, {"replica": replica}))
            return False
        proven = signatures.proves(line.dot, line.hash, sig)
        if not proven:
            self.sink(Finding(Flaw.SIGNATURE, at_line(line)))
        return proven

    def _unproven(self, replica: str, lane: int, stretches: Iterator[Stretch]) -> None:
        for one in stretches:
            for n, seq in zip(range(one.first, one.last + 1), one.seqs, strict=True):
                self.sink(Finding(Flaw.UNPROVEN, {"seq": seq, "dot": f"{replica}/{lane}/{n}"}))

    def rows(self) -> None:
        """Each row, and the photos that rows name."""
        total = self.inspector.counts()["row"]
        for one in self.inspector.rows():
            if isinstance(one, Unreadable):
                self._unreadable(one, ("entity", "id"))
                continue
            self.looked.rows += 1
            seen = look_at_row(one)
            for finding in seen.findings:
                self.sink(finding)
            with self.naming(at_row(one.key)):
                self._photos(one.key, seen.photos)
                for scope in sorted(seen.scopes - self.inspector.scopes(one.key)):
                    self.sink(Finding(Flaw.MEMBER, at_row(one.key), scope))
            self.progress("row", self.looked.rows, total)

    def _photos(self, key: Key, named: frozenset[str]) -> None:
        for sha256 in sorted(named):
            if self.inspector.get("blob", sha256) is None:
                self.looked.missing += 1
                self.sink(Finding(Flaw.PHOTO, at_row(key), sha256))

    def _unreadable(self, one: Unreadable[Key], names: tuple[str, str]) -> None:
        known = one.next if one.next and one.next[1] else one.after
        at: At = dict(zip(names, known, strict=True))
        if known == one.after:
            at = {"behind": "/".join(one.after), "next": one.next[0] if one.next else ""}
        self.sink(Finding(Flaw.UNREADABLE, at, one.why))

    def members(self) -> None:
        """The sum of each (scope, lane)."""
        pairs = self.inspector.pairs()
        for scope, lane in pairs:
            with (
                self.naming({"scope": scope, "lane": lane}),
                self.inspector.pair(scope, lane) as lines,
            ):
                for finding in look_at_pair(scope, lane, lines):
                    self.sink(finding)
            self.looked.pairs += 1
            self.progress("member", self.looked.pairs, len(pairs))

    def records(self) -> None:
        """The server's own records, and the photos that it says are here."""
        total = self.inspector.counts()["side"]
        for one in self.inspector.side():
            if isinstance(one, Unreadable):
                self._unreadable(one, ("kind", "key"))
                continue
            self.looked.records += 1
            at: At = {"kind": one.kind, "key": one.key}
            if not one.is_sound:
                self.sink(Finding(Flaw.CHECKSUM, at))
            elif _object(one.doc) is None:
                self.sink(Finding(Flaw.RECORD, at))
            elif one.kind == "blob" and not self._lies_here(one.key):
                self.sink(Finding(Flaw.BLOB_LOST, {"photo": one.key}))
            self.progress("side", self.looked.records, total)

    def _lies_here(self, sha256: str) -> bool:
        whole, aside = self.config.blobs / "whole", self.config.blobs / "damaged"
        return (whole / sha256[:2] / sha256).exists() or (aside / sha256).exists()

    def _size_of(self, sha256: str) -> int | None:
        size = None
        with self.naming({"kind": "blob", "key": sha256}):
            size = (_object(self.inspector.get("blob", sha256) or "") or {}).get("size")
        return size if isinstance(size, int) else None


def _object(doc: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(doc, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None
