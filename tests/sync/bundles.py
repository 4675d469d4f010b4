"""Builders for tests of bundles: runs, pages and headings in a few words; keys are only text."""

import hashlib
import json

from schema.wire import Row, Verdict
from sync.bundle import Heading, Trust
from sync.bundle_parts import Chunk, Contents, Coverage, HomeRows, HomeVerdict, SignedRun
from sync.mutation import hash_of, signing_bytes

REALM, CITY, COUNTY, STICK = "realm-1", "city", "county", "stick-7"
EPOCH = "1-ab"
CITY_KEY = "key of the city"
TRUST = Trust(REALM, COUNTY, {CITY: (CITY_KEY,)}, {STICK})


def signer(key):
    return lambda data: hashlib.sha256(key.encode() + data).hexdigest()


def verify(key, sig, data):
    return sig == signer(key)(data)


def mutation_bytes(replica, lane, n, prev="", realm=REALM, text=""):
    link = {"replica": replica, "lane": lane, "n": n, "prev": prev, "realm": realm}
    return json.dumps(link | {"text": text}).encode()


def signed_run(replica, lane, first, count, key=None):
    """A good run; the key of a replica is its name unless another is given."""
    raws, prev = [], ""
    for n in range(first, first + count):
        raws.append(mutation_bytes(replica, lane, n, prev))
        prev = hash_of(raws[-1])
    key = key or f"key of {replica}"
    sig = signer(key)(signing_bytes(REALM, replica, lane, first + count - 1, prev))
    return SignedRun(replica, lane, first, key, sig, tuple(raws))


def page(after, upto, home=CITY, **more):
    row = Row("contact", f"c{upto}", upto, "a/2/1", "s", "p", 1, {"name": "王"}, home=home)
    return HomeRows(home, EPOCH, after, upto, (row,), **more)


def verdict(dot, seq, home=CITY):
    return HomeVerdict(home, EPOCH, Verdict(dot, "00" * 32, "applied", seq))


def chunk(data, offset=0, total=None, name="a"):
    return Chunk(name * 64, offset, len(data) if total is None else total, data)


def contents():
    """One of everything, small."""
    return Contents(
        (signed_run("phone", 0, 1, 2),),
        (verdict("tab/1/4", 6),),
        (page(5, 7, out=(("contact", "c1"),)),),
        (chunk(b"\x00\xff", 2, 4),),
        "令达摆渡包\n",
    )


def heading(**more):
    basis = Coverage({"tab": {"1": [[1, 3]]}}, {CITY: {EPOCH: [[1, 5]]}})
    fields = {"realm": REALM, "origin": CITY, "epoch": EPOCH, "number": 3, "made_at": 1_800_000}
    return Heading(**fields | {"to": COUNTY, "carrier": STICK, "basis": basis} | more)
