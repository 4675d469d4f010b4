"""`docs/protocol.md` says what the server does, `docs/invariants.md` names what there is."""

import ast
import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from msgspec.structs import fields

from schema import versions, wire
from schema.policies import Policy
from schema.tags import Tag
from sync.judge import QUARANTINED
from tests.protocol_page import BLOCK, PAGE, page_with, tell

ROOT = PAGE.parents[1]
PAGE_TEXT = PAGE.read_text(encoding="utf-8")
INVARIANTS = " ".join((ROOT / "docs/invariants.md").read_text(encoding="utf-8").split())
MESSAGES = (
    *(wire.Change, wire.Guard, wire.Mutation, wire.Proof, wire.Run, wire.Row, wire.SyncRequest),
    *(wire.Verdict, wire.Page, wire.SyncReply, wire.EnrolRequest, wire.OutboxReport),
)
LIMITS = {
    "CHANGES_PER_MUTATION_MAX": "512",
    "LANE_0_MUTATION_BYTES_MAX": "2,048",
    "MUTATION_BYTES_MAX": "131,072",
    "MUTATIONS_PER_PUSH_MAX": "500",
    "TIME_MS_MIN": "946,684,800,000",
    "TIME_MS_MAX": "4,102,444,800,000",
}
IN_MIB = {"PUSH_BYTES_MAX": 4, "BLOB_BYTES_MAX": 32, "BLOB_CHUNK_BYTES_MAX": 1}
IN_DAYS = {"HELD_MS": 5, "SENT_MS": 14, "GONE_MS": 90}


def block(name):
    """An example of the page, as a reader has it."""
    return next(found[4] for found in BLOCK.finditer(PAGE_TEXT) if found[2] == name).strip()


@cache
def told():
    return tell()


# --- The examples -----------------------------------------------------------------------------


def test_every_example_is_what_the_server_says():
    assert page_with(PAGE_TEXT, told()) == PAGE_TEXT, "run: python -m tests.protocol_page"


def test_every_example_has_its_place_in_the_page():
    assert sorted(told()) == sorted(found[2] for found in BLOCK.finditer(PAGE_TEXT))


def test_the_story_is_the_same_each_time():
    assert tell() == told()


# --- What a reader can check without any code of ours -----------------------------------------


def signed():
    """The lines of the worked signature by their names."""
    return {line[:13].strip(): line[13:] for line in block("signature").splitlines()}


def from_b64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_worked_hashes_chain_the_bytes_that_are_shown():
    first, second = (line.encode() for line in block("chain").splitlines())
    assert hashlib.sha256(first).hexdigest() == signed()["hash of n=1"]
    assert json.loads(second)["prev"] == signed()["hash of n=1"]
    assert hashlib.sha256(second).hexdigest() == signed()["hash of n=2"]
    assert json.loads(second) == json.loads(block("mutation"))


@pytest.mark.parametrize("change", ["", "x"])
def test_the_worked_signature_proves_the_worked_text_and_no_other(change):
    key = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), from_b64url(signed()["public key"])
    )
    raw = from_b64url(signed()["signature"])
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    text = json.loads(signed()["text"]) + change
    if change:
        with pytest.raises(InvalidSignature):
            key.verify(der, text.encode(), ec.ECDSA(hashes.SHA256()))
    else:
        key.verify(der, text.encode(), ec.ECDSA(hashes.SHA256()))
        private = ec.derive_private_key(int(signed()["private key"], 16), ec.SECP256R1())
        assert private.public_key() == key


def test_the_worked_text_is_made_of_the_parts_that_the_page_names():
    second = json.loads(block("mutation"))
    parts = ["lingda-run-1", second["realm"], second["replica"], "0", "2", signed()["hash of n=2"]]
    assert json.loads(signed()["text"]) == "\n".join(parts)


def test_the_worked_digest_is_what_the_page_says():
    digest = hashlib.sha256(block("digest-row").encode()).hexdigest()[:16]
    *rows, sum_line = block("digest-sum").splitlines()
    assert f"{digest}  step/s-signed-1" in rows
    total = sum(int(row.split()[0], 16) for row in rows)
    assert total >= 2**64, "the example is to show that the sum wraps"
    assert sum_line.split()[0] == f"{total % 2**64:x}"
    assert json.loads(block("push-reply"))["digests"]["unit/u-07"]["0"] == sum_line.split()[0]


# --- What the page must not leave out ---------------------------------------------------------


@pytest.mark.parametrize("message", MESSAGES)
def test_every_part_of_a_message_is_spoken_of(message):
    prose = re.sub(r"```.*?```", "", PAGE_TEXT, flags=re.DOTALL)
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", prose))))
    assert {one.encode_name for one in fields(message)} - words == set()


def test_every_tag_policy_and_reason_of_quarantine_is_explained():
    for word in [*Tag, *Policy, *QUARANTINED]:
        assert f"`{word}`" in PAGE_TEXT, word


def test_the_limits_are_those_of_the_wire():
    table = PAGE_TEXT.partition("## 22. Limits")[2].partition("## 23.")[0]
    for name, text in LIMITS.items():
        assert f"{getattr(versions, name):,}" == text and text in table, name
    for name, mib in IN_MIB.items():
        assert getattr(versions, name) == mib * 1024 * 1024 and f"{mib} MiB" in table, name
    for name, days in IN_DAYS.items():
        assert getattr(versions, name) == days * versions.DAY_MS and f"{days} days" in table, name


def test_the_page_is_of_the_present_version():
    assert PAGE_TEXT.startswith(f"# The LingDa protocol, version {versions.PROTOCOL_VERSION}\n")


def test_every_section_that_is_named_is_there():
    heads = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\b", PAGE_TEXT, re.MULTILINE))
    named = set(re.findall(r"§(\d+(?:\.\d+)?)", PAGE_TEXT))
    assert named - heads == set()


# --- Invariants -------------------------------------------------------------------------------


@cache
def names_in(path):
    """Every function and class that a Python file defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def broken_promises(source):
    """Every name that a check of the simulation may raise or give, as a pattern."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Broken":
            yield from spelled(node.args[0])
        elif isinstance(node, ast.keyword) and node.arg == "broken":
            yield from spelled(node.value)


def spelled(node):
    """The texts that an expression may come to; what is filled in is any word."""
    if isinstance(node, ast.IfExp):
        yield from (*spelled(node.body), *spelled(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+"
            for part in node.values
        )
    elif isinstance(node, ast.Constant) and node.value:
        yield re.escape(node.value)


def test_invariants_are_numbered_without_a_gap():
    text = (ROOT / "docs/invariants.md").read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r"^### I(\d+) ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert text.count("- Kept in: ") == text.count("- Held by: ") == len(numbers)


def test_every_function_and_test_that_an_invariant_names_is_there():
    named = re.findall(r"`([\w/]+\.py):(:?)(\w+)`", INVARIANTS)
    assert len(named) > 60
    gone = [f"{path}:{name}" for path, _, name in named if not Path(ROOT, path).is_file()]
    gone += [f"{path}:{name}" for path, _, name in named if name not in names_in(path)]
    assert gone == []
    assert all(name.startswith("test_") == bool(colon) for _, colon, name in named)


def test_every_promise_of_the_simulation_belongs_to_an_invariant_and_is_checked():
    lists = re.findall(r"- Promises: ((?:`\w+`(?:, )?)+)", INVARIANTS)
    named = {name for one in lists for name in re.findall(r"`(\w+)`", one)}
    sources = [path.read_text("utf-8") for path in (ROOT / "tests/sim").glob("*.py")]
    kept = {pattern for source in sources for pattern in broken_promises(source)}
    assert [one for one in named if not any(re.fullmatch(pattern, one) for pattern in kept)] == []
    assert [one for one in kept if not any(re.fullmatch(one, name) for name in named)] == []


def test_a_promise_is_seen_however_its_name_is_put_together():
    source = """
raise Broken("plain", what)
raise Broken("one" if bad else "other", what)
raise Broken(f"{entity}_unrecorded", what)
found = replace(found, broken=f"alike_{name}", what=what)
"""
    patterns = ["plain", "one", "other", r"\w+_unrecorded", r"alike_\w+"]
    assert list(broken_promises(source)) == patterns
