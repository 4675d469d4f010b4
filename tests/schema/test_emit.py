"""What the PWA is given of schema/, and the pin of the wire contract."""

import re
from pathlib import Path

import msgspec
import pytest

from schema import versions, wire
from schema.codes import Code
from schema.emit import (
    ACTS,
    CONTRACT,
    OF_THE_CENTRE,
    ROWS,
    acts,
    comment,
    contract,
    contract_hash,
    emit_all,
    laid_out,
    rows,
    ts_type,
)
from schema.entities import ENTITIES
from schema.fields import KINDS
from schema.intents import INTENTS
from schema.policies import Policy

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = re.compile(r"import (?:type )?\{([^}]*)\} from '[^']*/contract\.ts'")


@pytest.mark.parametrize(("path", "emitted"), [(CONTRACT, contract), (ROWS, rows), (ACTS, acts)])
def test_the_emitted_file_says_what_schema_says(path, emitted):
    assert (ROOT / path).read_text(encoding="utf-8") == emitted(), "run: python3 run.py emit"
    assert "python3 run.py emit" in emitted().splitlines()[0]


def test_emitting_twice_gives_the_same_text():
    assert emit_all() == emit_all()


def test_a_change_of_the_wire_must_be_pinned_on_purpose():
    assert contract_hash() == versions.CONTRACT_HASH, (
        "The wire has changed. If an older peer can still read and write it, pin the new hash in "
        "schema/versions.py; if not, raise PROTOCOL_VERSION and add a line to its history too."
    )


def test_the_hash_sees_a_new_field(monkeypatch):
    before = contract_hash()
    grown = msgspec.defstruct("Poke", [("scope", str)], module=wire.__name__)
    monkeypatch.setattr(wire, "Poke", grown)
    assert contract_hash() != before


def test_every_version_of_the_protocol_has_a_line_of_history():
    text = (ROOT / "schema/versions.py").read_text(encoding="utf-8")
    history = text.partition("History:")[2].partition('"""')[0]
    assert [int(n) for n in re.findall(r"(\d+) —", history)] == list(
        range(1, versions.PROTOCOL_VERSION + 1)
    )


def test_every_message_table_and_word_is_there():
    for struct in vars(wire).values():
        if isinstance(struct, type) and struct.__module__ == wire.__name__:
            assert f"export interface {struct.__name__} {{" in contract()
    text = rows() + acts()
    for word in [*Code, *Policy, *KINDS, *ENTITIES, *INTENTS]:
        assert f"'{word}'" in text, word
    for entity in ENTITIES.values():
        for field in entity.fields:
            assert f"{field}: {{ policy:" in text or f"{field}: {{\n" in text, field


def test_no_line_is_wider_than_prettier_allows():
    lines = (contract() + rows() + acts()).splitlines()
    assert [line for line in lines if len(line) > 120] == []


def test_the_app_is_given_every_limit_that_it_asks_for_and_no_other():
    asked: set[str] = set()
    for path in (ROOT / "pwa/src").rglob("*.ts"):
        for names in IMPORTED.findall(path.read_text(encoding="utf-8")):
            asked |= set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", names))
    emitted = set(re.findall(r"^export const (\w+) =", contract(), re.MULTILINE))
    assert emitted ^ asked == set()
    assert emitted & OF_THE_CENTRE == set()
    assert set(vars(versions)) >= OF_THE_CENTRE


def test_types_of_the_wire_become_types_of_typescript():
    assert ts_type(dict[str, tuple[str, ...]]) == "Record<string, string[]>"
    assert ts_type(list[tuple[str, str]]) == "[string, string][]"
    assert ts_type(int | None) == "number | null"
    assert ts_type(list[int] | None) == "number[] | null"
    assert ts_type(list[int | None]) == "(number | null)[]"


def test_data_is_laid_out_as_prettier_would():
    assert laid_out({"a": 1, "b-c": ["x", "it's"]}, 0, 0, 0) == "{ a: 1, 'b-c': ['x', 'it\\'s'] }"
    assert laid_out([["a", "b"], ["c", "d"]], 0, 0, 0) == "[\n  ['a', 'b'],\n  ['c', 'd'],\n]"
    assert laid_out({"a": {"b": 1}}, 0, 0, 0) == "{\n  a: { b: 1 },\n}"
    assert comment("One.") == "/** One. */\n"
