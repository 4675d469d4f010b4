"""The proof of one mutation: its bytes, those up to the end of a signed run, and a public key."""

from collections.abc import Iterator

from msgspec import Struct

from server.audit.finding import Flaw
from server.audit.signatures import Signatures
from server.audit.words import Link, link_of
from server.store.inspect import Inspector, Line
from sync.mutation import dot_of, split_dot

LINES_MAX = 10_000
"""A run is far shorter; behind so many unsigned ones there is none."""


class Proof(Struct):
    """What proves a mutation, or the flaw that keeps it from being proven.

    `words` are its bytes and those of each later one up to number `last`, whose hash `sig` covers:
    each names the hash of the one before as its `prev`. Nothing else is needed to check it.
    """

    dot: str
    flaw: Flaw | None
    seq: int = 0
    verdict: str = ""
    hash: str = ""
    realm: str = ""
    key: str = ""
    first: int = 0
    last: int = 0
    sig: str = ""
    words: list[str] = []

    @property
    def proven(self) -> bool:
        return self.flaw is None


def prove(inspector: Inspector, dot: str) -> Proof:
    """Prove the mutation with this dot. ValueError when it is none."""
    replica, lane, n = split_dot(dot)
    head = inspector.head()[0]
    realm = head.realm if head else ""
    signatures = Signatures(inspector, realm)
    proof = Proof(dot, Flaw.ABSENT, realm=realm, key=signatures.public(replica) or "")
    line = _line(inspector, dot)
    if line is None:
        return proof
    proof.seq, proof.verdict, proof.hash = line.seq, line.verdict, line.hash
    proof.first = _first(inspector, signatures, dot)
    if not signatures.has_key(replica):
        proof.flaw = Flaw.KEY
        return proof
    for one, link, flaw in _behind(inspector, replica, lane, n):
        proof.flaw = flaw
        if flaw or one.raw is None or link is None:
            return proof
        proof.words.append(one.raw.decode(errors="backslashreplace"))
        sig = signatures.sig_of(one.dot)
        if sig:
            proof.last, proof.sig = split_dot(one.dot)[2], sig
            proof.flaw = None if signatures.proves(one.dot, one.hash, sig) else Flaw.SIGNATURE
        if sig and proof.proven:
            return proof
    proof.flaw = proof.flaw or Flaw.UNPROVEN
    return proof


def _behind(
    inspector: Inspector, replica: str, lane: int, n: int
) -> Iterator[tuple[Line, Link | None, Flaw | None]]:
    """The mutation and those that follow it in its lane, as long as each names the one before."""
    before: Link | None = None
    for number in range(n, n + LINES_MAX):
        line = _line(inspector, dot_of(replica, lane, number))
        if line is None:
            return
        if line.raw is None:
            yield line, None, Flaw.PURGED if before is None else Flaw.UNPROVEN
            return
        link, finding = link_of(line, line.raw)
        if before and link and link.prev != before.proof:
            yield line, link, Flaw.UNPROVEN if link.prev is None else Flaw.PREV
            return
        yield line, link, finding.flaw if finding else None
        before = link


def _first(inspector: Inspector, signatures: Signatures, dot: str) -> int:
    """The number at which the run that this mutation is in begins."""
    replica, lane, n = split_dot(dot)
    for number in range(n - 1, max(0, n - LINES_MAX), -1):
        before = dot_of(replica, lane, number)
        if _line(inspector, before) is None or signatures.sig_of(before):
            return number + 1
    return max(1, n - LINES_MAX + 1)


def _line(inspector: Inspector, dot: str) -> Line | None:
    """The line with a mutation's own words; None where it never came."""
    lines = inspector.lines_of(dot)
    return lines[0] if lines else None
