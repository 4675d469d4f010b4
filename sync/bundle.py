"""Bundles (摆渡包): immutable signed files by which centres without a network reach each other.

magic, format, lengths · header (canonical JSON) · signature over it · sections, each covered by its
digest in the header · SHA-256 of all before, which tells a bad copy from a changed one.
"""

import struct
from collections.abc import Callable, Collection, Mapping

import msgspec
from msgspec import Struct

from sync.bundle_frames import KINDS, read, written
from sync.bundle_parts import (
    NAME,
    BundleError,
    BundleFault,
    Contents,
    Coverage,
    Have,
    check,
    coverage_of,
)
from sync.canonical import canonical, sha256_hex
from sync.mutation import Refusal
from sync.vector import decode_blobs, decode_seqs, decode_vector

MAGIC = b"\x89LDB\r\n\x1a\n"
"""As PNG's: shows a transfer that strips a bit or rewrites ends of lines."""

FORMAT = 1
BUNDLE_BYTES_MAX = 64 * 1024 * 1024
"""What does not fit goes into the next one: a bundle is opened in memory."""

HEADER_BYTES_MAX = 4 * 1024 * 1024
SIG_BYTES_MAX = 512

_PREAMBLE = struct.Struct(">8sHQIH")
"""Magic, format, bytes in all, bytes of the header, bytes of the signature."""

_VERSIONED_BYTES = len(MAGIC) + 2
_DIGEST_BYTES = 32

Sign = Callable[[bytes], str]
Verify = Callable[[str, str, bytes], bool]
"""`(public key, signature, signed bytes)`."""


class Heading(Struct, frozen=True):
    """Whence and whither. `number` counts the bundles of `origin` for `to`; `basis` is what the
    receiver is known to have, so that it can tell what it lacks; `carrier` is the registered stick.
    `asks` is what the receiver has sent, and never came: it is to be sent again.
    """

    realm: str
    origin: str
    epoch: str
    number: int
    made_at: int
    to: str
    carrier: str | None = None
    basis: Coverage = Coverage()
    asks: Have = Have()


class Section(Struct, frozen=True):
    """One section as the header vouches for it."""

    kind: str
    size: int
    sha256: str


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """What the signature covers, and through the digests of `sections` everything else."""

    format: int
    realm: str
    origin: str
    epoch: str
    number: int
    made_at: int
    to: str
    carrier: str | None
    basis: Coverage
    asks: Have
    content: Coverage
    sections: tuple[Section, ...]


class Trust(Struct, frozen=True):
    """Who opens bundles here: whose keys are good for which origin, and which carriers may come.

    `carriers` is None for a bundle that came over the wire: then no carrier is asked for. A centre
    speaks for itself as a home, and for those that it passes on by `passes_on`.
    """

    realm: str
    centre: str
    keys: Mapping[str, Collection[str]]
    carriers: Collection[str] | None
    passes_on: Mapping[str, Collection[str]] = {}


class Bundle(Struct, frozen=True):
    """A bundle that was opened: its signature, target, carrier and every section are good."""

    header: Header
    contents: Contents


def pack(heading: Heading, contents: Contents, sign: Sign) -> bytes:
    """The file. The same for the same input, and one that `unpack` opens, else BundleError."""
    check(contents)
    sections = written(contents)
    header = Header(
        FORMAT,
        heading.realm,
        heading.origin,
        heading.epoch,
        heading.number,
        heading.made_at,
        heading.to,
        heading.carrier,
        heading.basis,
        heading.asks,
        coverage_of(contents),
        tuple(Section(kind, len(data), sha256_hex(data)) for kind, data in sections.items()),
    )
    _check_header(header)
    text = _header_bytes(header)
    sig = sign(signed_bytes(text)).encode("ascii")
    size = _PREAMBLE.size + len(text) + len(sig) + sum(map(len, sections.values())) + _DIGEST_BYTES
    preamble = _PREAMBLE.pack(MAGIC, FORMAT, size, len(text), len(sig))
    _check_sizes(size, len(text), len(sig))
    data = b"".join([preamble, text, sig, *sections.values()])
    return data + bytes.fromhex(sha256_hex(data))


def signed_bytes(header: bytes) -> bytes:
    """What the signature of a bundle covers, unlike anything else that is signed."""
    return b"lingda-bundle-1\n" + header


def header_of(data: bytes) -> Header:
    """What the file says of itself, whoever it is from and for. BundleError unless it is whole."""
    return _opened(data).header


def unpack(data: bytes, trust: Trust, verify: Verify) -> Bundle:
    """The bundle in the file. BundleError, and never another exception, when it is not good."""
    opened = _opened(data)
    header = opened.header
    if header.realm != trust.realm:
        raise BundleError(BundleFault.REALM, header.realm)
    _check_signature(opened, trust, verify)
    if header.to != trust.centre:
        raise BundleError(BundleFault.TARGET, header.to)
    if trust.carriers is not None and header.carrier not in trust.carriers:
        raise BundleError(BundleFault.CARRIER, header.carrier or "")
    sections, at = {}, opened.sections_at
    for section in header.sections:
        part = data[at : at + section.size]
        if sha256_hex(part) != section.sha256:
            raise BundleError(BundleFault.SECTION, section.kind)
        sections[section.kind] = part
        at += section.size
    contents = read(sections)
    if coverage_of(contents) != header.content:
        raise BundleError(BundleFault.CONTENT, "coverage")
    _check_speaker(header.origin, contents, trust)
    return Bundle(header, contents)


class _Opened(Struct, frozen=True):
    header: Header
    text: bytes
    sig: bytes
    sections_at: int


def _opened(data: bytes) -> _Opened:
    """The outer frame: nothing beyond what the file declares is read, and all of it is there."""
    if not data.startswith(MAGIC):
        short = len(data) < len(MAGIC) and MAGIC.startswith(data)
        raise BundleError(BundleFault.TRUNCATED if short else BundleFault.MAGIC)
    if len(data) >= _VERSIONED_BYTES:
        format = int.from_bytes(data[len(MAGIC) : _VERSIONED_BYTES], "big")
        if format != FORMAT:
            raise BundleError(BundleFault.FORMAT if format else BundleFault.DAMAGED, str(format))
    if len(data) < _PREAMBLE.size:
        raise BundleError(BundleFault.TRUNCATED)
    _, _, size, text_size, sig_size = _PREAMBLE.unpack_from(data)
    _check_sizes(size, text_size, sig_size)
    if len(data) != size:
        raise BundleError(BundleFault.TRUNCATED if len(data) < size else BundleFault.TRAILING)
    if sha256_hex(data[:-_DIGEST_BYTES]) != data[-_DIGEST_BYTES:].hex():
        raise BundleError(BundleFault.DAMAGED)
    sig_at = _PREAMBLE.size + text_size
    sections_at = sig_at + sig_size
    text = data[_PREAMBLE.size : sig_at]
    header = _header(text)
    if sections_at + sum(one.size for one in header.sections) + _DIGEST_BYTES != size:
        raise BundleError(BundleFault.HEADER, "size")
    return _Opened(header, text, data[sig_at:sections_at], sections_at)


def _check_sizes(size: int, text_size: int, sig_size: int) -> None:
    if size > BUNDLE_BYTES_MAX or text_size > HEADER_BYTES_MAX or sig_size > SIG_BYTES_MAX:
        raise BundleError(BundleFault.TOO_LARGE, str(size))


def _header_bytes(header: Header) -> bytes:
    return canonical(msgspec.to_builtins(header)).encode()


def _header(text: bytes) -> Header:
    """The header in its one form."""
    try:
        header = msgspec.json.decode(text, type=Header)
        if _header_bytes(header) != text:
            raise BundleError(BundleFault.HEADER, "form")
    except (ValueError, RecursionError) as error:
        raise BundleError(BundleFault.HEADER, str(error)[:200]) from None
    _check_header(header)
    return header


def _check_header(header: Header) -> None:
    names = [header.realm, header.origin, header.epoch, header.to]
    names += [] if header.carrier is None else [header.carrier]
    if header.format != FORMAT or not all(map(NAME.fullmatch, names)):
        raise BundleError(BundleFault.HEADER, "names")
    if header.number < 1 or header.made_at < 0:
        raise BundleError(BundleFault.HEADER, "number")
    if tuple(one.kind for one in header.sections) != KINDS:
        raise BundleError(BundleFault.HEADER, "sections")
    if any(not 0 <= one.size <= BUNDLE_BYTES_MAX for one in header.sections):
        raise BundleError(BundleFault.HEADER, "size")
    try:
        for one in (header.basis, header.content, header.asks):
            decode_vector(one.vector)
            decode_seqs(one.seqs)
        decode_blobs(header.asks.blobs)
    except Refusal as refusal:
        raise BundleError(BundleFault.HEADER, refusal.detail or "") from None


def _check_signature(opened: _Opened, trust: Trust, verify: Verify) -> None:
    origin = opened.header.origin
    if not opened.sig:
        raise BundleError(BundleFault.UNSIGNED)
    keys = trust.keys.get(origin, ())
    if not keys:
        raise BundleError(BundleFault.SIGNER, origin)
    sig = opened.sig.decode("ascii", "replace")
    signed = signed_bytes(opened.text)
    if not (sig.isascii() and any(verify(key, sig, signed) for key in keys)):
        raise BundleError(BundleFault.SIGNATURE, origin)


def _check_speaker(origin: str, contents: Contents, trust: Trust) -> None:
    """Rows and verdicts carry no signature of their own: whose are they to give?"""
    homes = {one.home for one in contents.verdicts} | {page.home for page in contents.rows}
    for home in sorted(homes - {origin, *trust.passes_on.get(origin, ())}):
        raise BundleError(BundleFault.SPEAKER, home)
