"""A bundle is opened whole and unchanged, or refused by name; never anything else."""

import hashlib
import json
import struct

import pytest
from msgspec.structs import replace

from schema.versions import BLOB_BYTES_MAX, BLOB_CHUNK_BYTES_MAX, N_MAX
from schema.words import LANGUAGES, say
from sync import bundle as container
from sync.bundle import MAGIC, header_of, pack, unpack
from sync.bundle_page import Said, page_of
from sync.bundle_parts import BundleError, BundleFault, Contents, Coverage, Have, coverage_of
from tests.sync.bundles import (
    CITY,
    CITY_KEY,
    COUNTY,
    EPOCH,
    REALM,
    STICK,
    TRUST,
    chunk,
    contents,
    heading,
    page,
    signed_run,
    signer,
    verdict,
    verify,
)

GOOD = pack(heading(), contents(), signer(CITY_KEY))
DIGEST_BYTES = 32


def opened(data, trust=TRUST):
    return unpack(data, trust, verify)


def fault_of(data, trust=TRUST):
    """The fault that a file is refused with; a file that opens fails the test."""
    with pytest.raises(BundleError) as error:
        opened(data, trust)
    return error.value.fault


def digested(data):
    """The file with the closing digest that its bytes call for."""
    return data[:-DIGEST_BYTES] + hashlib.sha256(data[:-DIGEST_BYTES]).digest()


def taken_apart(data=GOOD):
    """Header and sections of a file, read by nothing of the product."""
    _, _, _, text_size, sig_size = struct.unpack_from(">8sHQIH", data)
    header = json.loads(data[24 : 24 + text_size])
    at, sections = 24 + text_size + sig_size, {}
    for section in header["sections"]:
        sections[section["kind"]] = data[at : at + section["size"]]
        at += section["size"]
    return header, sections


def composed(header, sections, key=CITY_KEY, text=None):
    """A file laid down by hand as the format says, every digest and the signature right."""
    header["sections"] = [
        {"kind": kind, "size": len(part), "sha256": hashlib.sha256(part).hexdigest()}
        for kind, part in sections.items()
    ]
    canonical = json.dumps(header, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    text = canonical.encode() if text is None else text
    sig = signer(key)(b"lingda-bundle-1\n" + text).encode() if key else b""
    body = b"".join([text, sig, *sections.values()])
    size = 24 + len(body) + DIGEST_BYTES
    data = struct.pack(">8sHQIH", b"\x89LDB\r\n\x1a\n", 1, size, len(text), len(sig)) + body
    return data + hashlib.sha256(data).digest()


def with_header(**changes):
    header, sections = taken_apart()
    return composed(header | changes, sections)


def with_section(kind, data, **changes):
    header, sections = taken_apart()
    return composed(header | changes, sections | {kind: data})


def frames(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def as_json(value):
    return json.dumps(value).encode()


# --- There and back ---------------------------------------------------------------------------


def test_a_bundle_opens_to_what_was_packed():
    bundle = opened(GOOD)
    assert bundle.contents == contents()
    assert bundle.header.content == coverage_of(contents())
    assert bundle.header.basis == heading().basis
    assert (bundle.header.origin, bundle.header.to, bundle.header.number) == (CITY, COUNTY, 3)


def test_mutations_keep_their_exact_bytes_and_arrival_times():
    run = replace(signed_run("phone", 0, 1, 2), mutations=(b"\xff\x00", b" {} "))
    run = replace(run, arrived=({COUNTY: 5}, {COUNTY: 6, CITY: 9}))
    data = pack(heading(), Contents((run,)), signer(CITY_KEY))
    assert opened(data).contents.runs == (run,)


@pytest.mark.parametrize(
    "asks",
    [
        Have({"tab": {"9": [[1, 3]]}}),
        Have(seqs={CITY: {EPOCH: [[0, 3]]}}),
        Have(blobs={"ab": {"4": [[3, 2]]}}),
        Have(blobs={"ab": {"4": [[-1, 2]]}}),
    ],
)
def test_no_bundle_asks_for_what_cannot_be(asks):
    with pytest.raises(BundleError) as caught:
        pack(heading(asks=asks), contents(), signer(CITY_KEY))
    assert caught.value.fault == BundleFault.HEADER


def test_a_bundle_of_nothing_is_a_bundle():
    data = pack(heading(basis=Coverage(), carrier=None), Contents(), signer(CITY_KEY))
    assert opened(data, replace(TRUST, carriers=None)).contents == Contents()


def test_the_same_contents_in_any_order_are_the_same_file():
    more = Contents(
        (signed_run("phone", 0, 1, 2), signed_run("phone", 1, 4, 1), signed_run("a", 0, 1, 1)),
        (verdict("tab/1/4", 6), verdict("tab/1/5", 7)),
        (page(5, 7), page(0, 5)),
        (chunk(b"ab", 2, 4), chunk(b"ab", 0, 4)),
    )
    turned = Contents(*(part[::-1] for part in (more.runs, more.verdicts, more.rows, more.chunks)))
    sign = signer(CITY_KEY)
    assert pack(heading(), more, sign) == pack(heading(), turned, sign)


def test_the_file_is_laid_down_as_the_format_says():
    assert composed(*taken_apart()) == GOOD


def test_a_file_says_what_it_is_to_anybody():
    assert header_of(pack(heading(to="nobody", realm="other"), Contents(), signer("x"))).number == 3


# --- What a stick, a hand or an enemy does to it -----------------------------------------------


def test_a_file_cut_at_any_byte_is_named_truncated():
    assert {fault_of(GOOD[:size]) for size in range(len(GOOD))} == {BundleFault.TRUNCATED}


def test_one_flipped_bit_anywhere_is_refused_by_name():
    found = set()
    for bit in range(8 * len(GOOD)):
        data = bytearray(GOOD)
        data[bit // 8] ^= 1 << bit % 8
        found.add(fault_of(bytes(data)))
    assert BundleFault.DAMAGED in found and BundleFault.MAGIC in found
    assert BundleFault.SIGNATURE not in found, "a bad copy is not called a forgery"


def test_one_changed_bit_is_refused_although_the_digest_was_made_to_fit():
    found = set()
    for bit in range(8 * (len(GOOD) - DIGEST_BYTES)):
        data = bytearray(GOOD)
        data[bit // 8] ^= 1 << bit % 8
        found.add(fault_of(digested(bytes(data))))
    assert {BundleFault.HEADER, BundleFault.SIGNATURE, BundleFault.SECTION} <= found


def test_a_file_cut_anywhere_is_refused_although_its_size_and_digest_were_made_to_fit():
    for size in range(24 + DIGEST_BYTES, len(GOOD)):
        data = bytearray(GOOD[:size])
        data[10:18] = size.to_bytes(8, "big")
        assert fault_of(digested(bytes(data))) in (BundleFault.HEADER, BundleFault.SIGNATURE)


def test_bytes_after_the_end_are_refused():
    assert fault_of(GOOD + b"\0") is BundleFault.TRAILING
    assert fault_of(GOOD + GOOD) is BundleFault.TRAILING


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"\x89PNG\r\n\x1a\n" + bytes(99), b"{}", b"\n"])
def test_another_kind_of_file_is_not_a_bundle(data):
    assert fault_of(data) is BundleFault.MAGIC


def test_a_transfer_that_rewrites_line_ends_is_seen_at_once():
    assert fault_of(GOOD.replace(b"\r\n", b"\n", 1)) is BundleFault.MAGIC


def test_a_newer_format_is_named_before_anything_of_it_is_read():
    assert fault_of(MAGIC + b"\x00\x02") is BundleFault.FORMAT
    assert fault_of(MAGIC + b"\x00\x02" + b"anything at all") is BundleFault.FORMAT
    assert fault_of(MAGIC + b"\x00\x00" + GOOD[10:]) is BundleFault.DAMAGED


def test_sections_of_the_same_size_cannot_change_places():
    at = GOOD.index(contents().inside.encode())
    swapped = GOOD[: at - 2] + GOOD[at : at + 2] + GOOD[at - 2 : at] + GOOD[at + 2 :]
    assert fault_of(digested(swapped)) is BundleFault.SECTION


def test_sections_cannot_lie_in_another_order():
    header, sections = taken_apart()
    turned = dict(reversed(sections.items()))
    assert fault_of(composed(header, turned)) is BundleFault.HEADER


def test_a_section_of_another_bundle_cannot_be_put_in():
    other = taken_apart(pack(heading(number=4), replace(contents(), inside="x"), signer(CITY_KEY)))
    header, sections = taken_apart()
    spliced = composed(header, {**sections, "inside": other[1]["inside"]}, key="key of a thief")
    assert fault_of(spliced) is BundleFault.SIGNATURE
    kept = GOOD[: -DIGEST_BYTES - len(sections["inside"])]
    same_size = kept + "令达摆渡句\n".encode() + bytes(DIGEST_BYTES)
    assert fault_of(digested(same_size)) is BundleFault.SECTION


# --- From whom, for whom, by whom -------------------------------------------------------------


def test_a_file_without_a_signature_is_refused():
    assert fault_of(pack(heading(), contents(), lambda data: "")) is BundleFault.UNSIGNED


def test_a_centre_that_is_not_known_is_refused():
    data = pack(heading(origin="stranger"), contents(), signer(CITY_KEY))
    assert fault_of(data) is BundleFault.SIGNER
    assert fault_of(GOOD, replace(TRUST, keys={CITY: ()})) is BundleFault.SIGNER


def test_a_signature_by_another_key_is_refused():
    assert fault_of(pack(heading(), contents(), signer("thief"))) is BundleFault.SIGNATURE
    _, _, _, text_size, sig_size = struct.unpack_from(">8sHQIH", GOOD)
    at = 24 + text_size
    for sig in ("é" * 32).encode(), b"\xff" * sig_size:
        assert len(sig) == sig_size
        data = digested(GOOD[:at] + sig + GOOD[at + sig_size :])
        with pytest.raises(BundleError) as error:
            unpack(data, TRUST, lambda key, sig, data: not sig.isascii())
        assert error.value.fault is BundleFault.SIGNATURE


def test_each_key_that_a_centre_has_had_is_good():
    trust = replace(TRUST, keys={CITY: ("newer key", CITY_KEY)})
    assert opened(GOOD, trust).contents == contents()


def test_another_installation_or_centre_does_not_take_it():
    assert fault_of(pack(heading(realm="other"), contents(), signer("x"))) is BundleFault.REALM
    assert fault_of(GOOD, replace(TRUST, centre="neighbour")) is BundleFault.TARGET


def test_only_a_registered_stick_is_taken_and_over_the_wire_none_is_asked_for():
    assert fault_of(GOOD, replace(TRUST, carriers={"stick-8"})) is BundleFault.CARRIER
    without = pack(heading(carrier=None), contents(), signer(CITY_KEY))
    assert fault_of(without) is BundleFault.CARRIER
    assert opened(without, replace(TRUST, carriers=None)).header.carrier is None
    assert opened(GOOD, replace(TRUST, carriers=None)).header.carrier == STICK


def test_a_centre_speaks_for_itself_and_for_those_that_it_passes_on():
    for part in (Contents(rows=(page(0, 1, "far"),)), Contents((), (verdict("a/0/1", 1, "far"),))):
        data = pack(heading(), part, signer(CITY_KEY))
        assert fault_of(data) is BundleFault.SPEAKER
        assert opened(data, replace(TRUST, passes_on={CITY: {"far"}})).contents == part


# --- A signed header that does not fit ---------------------------------------------------------

BAD_HEADERS = {
    "another format": {"format": 2},
    "no realm": {"realm": None},
    "an origin that is no name": {"origin": "../city"},
    "an endless target": {"to": "x" * 65},
    "an empty carrier": {"carrier": ""},
    "bundle nought": {"number": 0},
    "a time before all": {"made_at": -1},
    "a fraction": {"number": 1.5},
    "more than we know": {"extra": 1},
    "a basis that is no vector": {"basis": {"vector": {"a": {"0": [[2, 1]]}}, "seqs": {}}},
    "seqs that are no ranges": {"basis": {"vector": {}, "seqs": {"city": {"1": [[0, 1]]}}}},
    "content that is no vector": {"content": {"vector": {"a": {"9": [[1, 1]]}}, "seqs": {}}},
    "no basis": {"basis": None},
}


@pytest.mark.parametrize("changes", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_header_that_does_not_fit_is_refused(changes):
    assert fault_of(with_header(**changes)) is BundleFault.HEADER


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"format":1}', b" " + b"{}"]
)
def test_a_header_that_is_none_is_refused(text):
    header, sections = taken_apart()
    assert fault_of(composed(header, sections, text=text)) is BundleFault.HEADER


def test_a_header_in_another_form_is_refused():
    header, sections = taken_apart()
    assert fault_of(composed(header, sections, text=as_json(header))) is BundleFault.HEADER


def test_a_section_of_less_than_nothing_is_refused():
    header, sections = taken_apart()
    composed(header, sections)
    first, second = header["sections"][:2]
    first["size"], second["size"] = first["size"] + second["size"] + 1, -1
    text = json.dumps(header, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert fault_of(composed(header, sections, text=text.encode())) is BundleFault.HEADER


@pytest.mark.parametrize(
    ("at", "size"), [(10, 8), (18, 4), (22, 2)], ids=["file", "header", "signature"]
)
def test_declared_sizes_are_checked_before_anything_is_read(at, size):
    """The file here is tiny: only what it declares is too large."""
    data = GOOD[:at] + b"\xff" * size + GOOD[at + size :]
    assert fault_of(data) is BundleFault.TOO_LARGE


def test_what_would_be_too_large_is_not_written(monkeypatch):
    monkeypatch.setattr(container, "BUNDLE_BYTES_MAX", len(GOOD))
    assert pack(heading(), contents(), signer(CITY_KEY)) == GOOD
    with pytest.raises(BundleError) as error:
        pack(heading(), replace(contents(), inside="令达摆渡包。\n"), signer(CITY_KEY))
    assert error.value.fault is BundleFault.TOO_LARGE


# --- Signed sections that do not fit -----------------------------------------------------------

HEAD = {"replica": "phone", "lane": 0, "first": 1, "key": "k", "sig": "s", "arrived": []}
PAGE = {"home": CITY, "epoch": EPOCH, "after": 5, "upto": 7, "rows": [], "out": []}
ROW = {
    **{"entity": "contact", "id": "c", "seq": 7, "dot": "a/0/1", "stamp": "s", "actor": "p"},
    **{"arrived": 1, "fields": {}, "home": CITY},
}
VERDICT = {"dot": "a/0/1", "hash": "h", "verdict": "applied", "seq": 1}
BLOB = {"sha256": "a" * 64, "offset": 0, "total": 2}


def run_section(count=1, **changes):
    return frames(as_json(HEAD | {"count": count} | changes), b"{}")


def page_section(row=None, **changes):
    return frames(as_json(PAGE | {"rows": [ROW | row] if row is not None else []} | changes))


def verdict_section(home=CITY, epoch=EPOCH, **changes):
    return frames(as_json({"home": home, "epoch": epoch, "verdict": VERDICT | changes}))


def blob_section(data=b"ab", **changes):
    return frames(as_json(BLOB | changes), data)


BAD_SECTIONS = {
    "a length without a frame": ("verdicts", b"\x00\x00\x00\x09"),
    "half a length": ("verdicts", b"\x00\x00"),
    "a frame longer than all": ("rows", b"\xff\xff\xff\xff{}"),
    "no JSON": ("verdicts", frames(b"{")),
    "JSON without end": ("rows", frames(b'{"rows":' + b"[" * 100_000)),
    "a run without its mutations": ("mutations", frames(as_json(HEAD | {"count": 1}))),
    "a run of none": ("mutations", frames(as_json(HEAD | {"count": 0}))),
    "a run of less than none": ("mutations", frames(as_json(HEAD | {"count": -1}))),
    "a run that never ends": ("mutations", run_section(count=2**40)),
    "a replica that is no name": ("mutations", run_section(replica="a/b")),
    "a lane that there is not": ("mutations", run_section(lane=5)),
    "a number nought": ("mutations", run_section(first=0)),
    "a number beyond all": ("mutations", run_section(first=N_MAX + 1)),
    "an endless key": ("mutations", run_section(key="k" * 201)),
    "arrivals of others": ("mutations", run_section(arrived=[{}, {}])),
    "an arrival before all": ("mutations", run_section(arrived=[{"city": -1}])),
    "an arrival at no server": ("mutations", run_section(arrived=[{"a b": 1}])),
    "a verdict that there is not": ("verdicts", verdict_section(verdict="maybe")),
    "a verdict below nought": ("verdicts", verdict_section(seq=-1)),
    "a verdict of nobody": ("verdicts", verdict_section(home="")),
    "a verdict of no epoch": ("verdicts", verdict_section(epoch="")),
    "a page that goes back": ("rows", page_section(after=7, upto=7)),
    "a page of nobody": ("rows", page_section(home="a b")),
    "a row beyond its page": ("rows", page_section({"seq": 8})),
    "a row before its page": ("rows", page_section({"seq": 5})),
    "a row of another home": ("rows", page_section({"home": COUNTY})),
    "a provisional row": ("rows", page_section({"provisional": True})),
    "a fraction in a row": ("rows", page_section({"fields": {"n": 1.5}})),
    "a blob that is no hash": ("blobs", blob_section(sha256="A" * 64)),
    "a chunk beyond its blob": ("blobs", blob_section(offset=1)),
    "a chunk before its blob": ("blobs", blob_section(offset=-1)),
    "a chunk of nothing": ("blobs", blob_section(b"")),
    "a chunk without bytes": ("blobs", frames(as_json(BLOB))),
    "an endless blob": ("blobs", blob_section(total=BLOB_BYTES_MAX + 1)),
    "a blob of two sizes": ("blobs", blob_section() + blob_section(total=3)),
    "a page of no text": ("inside", b"\xff"),
    "an endless page": ("inside", b"x" * 70_000),
}


@pytest.mark.parametrize(("kind", "data"), BAD_SECTIONS.values(), ids=BAD_SECTIONS.keys())
def test_a_section_that_does_not_fit_is_refused_although_signed(kind, data):
    assert fault_of(with_section(kind, data)) is BundleFault.CONTENT


@pytest.mark.parametrize(
    ("kind", "data", "content"),
    [
        ("mutations", run_section(), {"vector": {"phone": {"0": [[1, 1]]}}}),
        ("rows", page_section({}), {"seqs": {CITY: {EPOCH: [[6, 7]]}}}),
        ("verdicts", verdict_section(), {}),
        ("blobs", blob_section(), {}),
    ],
)
def test_the_same_sections_without_the_fault_are_taken(kind, data, content):
    header, _ = taken_apart()
    opened(with_section(kind, data, content=header["content"] | content))


@pytest.mark.parametrize("claimed", [3, 1])
def test_a_bundle_that_claims_other_mutations_than_it_holds_is_refused(claimed):
    content = {"vector": {"phone": {"0": [[1, claimed]]}}, "seqs": {CITY: {EPOCH: [[6, 7]]}}}
    assert fault_of(with_header(content=content)) is BundleFault.CONTENT


def test_a_chunk_may_be_as_long_as_any_upload_s_and_no_longer():
    longest = Contents(chunks=(chunk(bytes(BLOB_CHUNK_BYTES_MAX)),))
    assert opened(pack(heading(), longest, signer(CITY_KEY))).contents == longest
    with pytest.raises(BundleError) as error:
        pack(heading(), Contents(chunks=(chunk(bytes(BLOB_CHUNK_BYTES_MAX + 1)),)), signer("x"))
    assert error.value.fault is BundleFault.CONTENT


# --- Words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("fault", BundleFault)
def test_every_fault_has_a_sentence(fault, language):
    assert len(say(language, f"bundle.{fault}")) > 8


def test_the_page_inside_says_in_chinese_first_what_is_there():
    said = Said("市应急指挥中心", "宁安\n中心", "2026-03-01 08:00")
    text = page_of(heading(), contents(), said)
    chinese, english = text.split("\n\n")
    assert chinese.splitlines()[:3] == [
        "令达摆渡包：这里面有什么",
        "发自：市应急指挥中心 (city)",
        "送往：宁安 中心 (county)",
    ]
    assert "指令、签收等急件：2 条" in chinese and "第 3 包" in chinese and STICK in chinese
    assert "台账改动" not in chinese, "what is not there is not counted"
    assert "Orders and their answers: 2" in english and "Rows: 1" in english


def test_the_page_of_a_bundle_fits_into_it():
    made = page_of(heading(), contents(), Said("甲", "乙", "今日"))
    data = pack(heading(), replace(contents(), inside=made), signer(CITY_KEY))
    assert opened(data).contents.inside == made


def test_realms_are_told_apart_before_signers():
    """Somebody else's bundle is no attack, and is not called one."""
    data = pack(heading(realm="other", origin="stranger"), contents(), signer("x"))
    assert fault_of(data) is BundleFault.REALM
    assert header_of(GOOD).realm == REALM
