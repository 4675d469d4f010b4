"""`verify`: what was altered is named by its entry, what is signed is proven; nothing changes."""

import hashlib
import json
import sqlite3
from random import Random
from string import Formatter

import msgspec
import pytest
from click.testing import CliRunner

from schema.words import LANGUAGES, words
from server.audit.finding import Flaw
from server.audit.walk import PARTS, Looked
from server.audit.words import chain_after
from server.blobs import Blobs
from server.cli.verify import SHOWN_MAX, command
from server.config import Config
from server.data_folder import Settings, locked
from server.node import public_key, verifies
from server.store.checksums import line_crc, row_crc, side_crc
from server.store.inspect import CannotRead, Unreadable, walk
from server.store.sqlite.inspect import SqliteInspector
from sync.mutation import decode_mutation, hash_of, signing_bytes
from tests.crash.kept import kept, photos
from tests.crash.rot import copied, named
from tests.server.altering import alter

PAGE = 4096
SEED_OF_PAGES = 5


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def folder(centre, tmp_path):
    return copied(centre.closed, tmp_path / "copy")


def lines_of(folder):
    inspector = SqliteInspector(Config(folder).database)
    found = list(inspector.lines(0, inspector.head()[1]))
    inspector.close()
    return found


def found_in(folder):
    return [(one.flaw, one.at) for one in named(folder)]


def flaws(folder):
    return {one.flaw for one in named(folder)}


def said(folder, *options):
    return CliRunner().invoke(command, ["--data", str(folder), *options])


def told(folder, *options):
    result = said(folder, "--json", *options)
    return result.exit_code, json.loads(result.stdout)


# --- The log ------------------------------------------------------------------------------------


def test_a_changed_verdict_breaks_the_chain_at_its_line(folder):
    alter(folder, "UPDATE log SET verdict='refused' WHERE seq=20")
    line = lines_of(folder)[19]
    at = {"seq": 20, "dot": line.dot}
    assert found_in(folder) == [(Flaw.CHAIN, at), (Flaw.CHECKSUM, at)]


@pytest.mark.parametrize("column", ["detail", "tags"])
def test_what_is_told_of_a_line_again_has_a_checksum(folder, column):
    alter(folder, f"UPDATE log SET {column}='x' WHERE seq=20")
    line = lines_of(folder)[19]
    assert found_in(folder) == [(Flaw.CHECKSUM, {"seq": 20, "dot": line.dot})]


def test_a_deleted_line_is_named_by_its_seq(folder):
    alter(folder, "DELETE FROM log WHERE seq=50")
    assert (Flaw.GAP, {"seq": 50}) in found_in(folder)


def test_a_log_whose_last_line_was_cut_off_does_not_match_its_head(folder):
    last = lines_of(folder)[-1]
    alter(folder, "DELETE FROM log WHERE seq=?", last.seq)
    assert Flaw.HEAD in flaws(folder)
    alter(folder, "UPDATE head SET seq=seq-1")
    assert (Flaw.HEAD, {"seq": last.seq - 1}) in found_in(folder)


@pytest.mark.parametrize("change", ["durable=seq+1", "floor=-1", "seq=seq+1", "chain='x'"])
def test_a_head_that_claims_what_cannot_be_is_named(folder, change):
    alter(folder, f"UPDATE head SET {change}")
    assert flaws(folder) == {Flaw.HEAD}


@pytest.mark.parametrize("change", ["epoch='9-x'", "durable=seq", "floor=1", "realm='x'"])
def test_a_head_that_claims_what_was_not_written_is_named(folder, change):
    alter(folder, f"UPDATE head SET {change}", fitting=False)
    assert Flaw.HEAD in flaws(folder)


def rewritten(folder, seq):
    """Other words in place of these, their hash and the chain from there on made to fit."""
    lines = lines_of(folder)
    line = lines[seq - 1]
    raw = line.raw.replace("示例".encode(), "篡改".encode())
    assert raw != line.raw and decode_mutation(raw)
    alter(folder, "UPDATE log SET raw=?, hash=? WHERE seq=?", raw, hash_of(raw), seq)
    before = lines[seq - 2].chain
    for one in lines_of(folder)[seq - 1 :]:
        before = chain_after(before, one)
        alter(folder, "UPDATE log SET chain=? WHERE seq=?", before, one.seq)
    alter(folder, "UPDATE head SET chain=?", before)
    return line


def fed_back(folder, is_signed):
    """A mutation with words of its own that ends a run, or does not."""
    db = sqlite3.connect(Config(folder).database)
    runs = {key for (key,) in db.execute("SELECT key FROM side WHERE kind='run'")}
    db.close()
    return next(
        line.seq
        for line in lines_of(folder)
        if "示例反馈".encode() in line.raw and (line.dot in runs) == is_signed
    )


def test_words_rewritten_with_all_hashes_do_not_fit_their_signature(folder):
    line = rewritten(folder, fed_back(folder, True))
    assert (Flaw.SIGNATURE, {"seq": line.seq, "dot": line.dot}) in found_in(folder)


def test_words_rewritten_within_a_run_are_not_those_that_the_next_one_names(folder):
    line = rewritten(folder, fed_back(folder, False))
    replica, lane, n = line.dot.split("/")
    found = found_in(folder)
    assert [at["dot"] for flaw, at in found if flaw is Flaw.PREV] == [
        f"{replica}/{lane}/{int(n) + 1}"
    ]
    assert (Flaw.UNPROVEN, {"seq": line.seq, "dot": line.dot}) in found


def test_mutations_whose_signature_is_gone_are_named_apart_from_what_is_broken(folder):
    dot = max(line.dot for line in lines_of(folder) if "/1/" in line.dot)
    replica = dot.split("/")[0]
    last = max(
        (line for line in lines_of(folder) if line.dot.startswith(f"{replica}/1/")),
        key=lambda line: int(line.dot.split("/")[2]),
    )
    alter(folder, "DELETE FROM side WHERE kind='run' AND key=?", last.dot)
    found = named(folder)
    assert {one.flaw for one in found} == {Flaw.UNPROVEN}
    assert last.dot in {one.at["dot"] for one in found}
    code, report = told(folder)
    assert code == 1 and report["findings"][0]["gravity"] == "unproven"


def test_a_replica_whose_key_is_gone_is_named_once(folder):
    replica = lines_of(folder)[-1].dot.split("/")[0]
    alter(folder, "DELETE FROM side WHERE kind IN ('replica', 'node_key') AND key=?", replica)
    found = named(folder)
    assert [one.at for one in found if one.flaw is Flaw.KEY] == [{"replica": replica}]
    assert {one.flaw for one in found} == {Flaw.KEY, Flaw.UNPROVEN}


def test_words_that_were_purged_leave_the_rest_proven(folder):
    line = lines_of(folder)[fed_back(folder, False) - 1]
    alter(folder, "UPDATE log SET raw=NULL WHERE seq=?", line.seq)
    report = told(folder)[1]
    assert report["looked"]["purged"] == 1
    assert {one["flaw"] for one in report["findings"]} <= {Flaw.UNPROVEN}
    assert told(folder, "--dot", line.dot)[1]["flaw"] == "purged"


def test_a_later_verdict_of_the_same_mutation_is_no_line_too_many(folder):
    first = lines_of(folder)[30]
    head = lines_of(folder)[-1]
    later = msgspec.structs.replace(first, seq=head.seq + 1, raw=None, verdict="merged")
    chain = chain_after(head.chain, later)
    alter(
        folder,
        "INSERT INTO log SELECT centre, ?, replica, lane, n, hash, NULL, 'merged', code, detail,"
        " received, ?, tags, ? FROM log WHERE seq=?",
        later.seq,
        chain,
        line_crc(later.seq, first.dot, (first.hash, "merged", first.code, None, None)),
        first.seq,
    )
    alter(folder, "UPDATE head SET seq=?, chain=?", later.seq, chain)
    assert named(folder) == []


# --- What stands --------------------------------------------------------------------------------

ROW = "entity='contact' AND id='c-7'"
HERE = {"entity": "contact", "id": "c-7"}


def test_a_row_whose_words_were_changed_does_not_match_its_digest(folder):
    alter(folder, f"UPDATE row SET doc=replace(doc, 'head', 'hand') WHERE {ROW}")
    assert found_in(folder) == [(Flaw.CHECKSUM, HERE), (Flaw.DIGEST, HERE)]


def test_a_checksum_made_to_fit_does_not_make_the_digest_fit(folder):
    row = alter(folder, f"UPDATE row SET doc=replace(doc, 'head', 'hand') WHERE {ROW}")
    doc, history = (one.encode() if one else None for one in row[6:8])
    alter(folder, f"UPDATE row SET crc=? WHERE {ROW}", row_crc(doc, history, row[8], row[10]))
    assert found_in(folder) == [(Flaw.DIGEST, HERE)]


def test_the_history_of_a_row_has_a_checksum(folder):
    alter(folder, "UPDATE row SET history=replace(history, '示例', '篡改') WHERE id='c1'")
    at = {"entity": "contact", "id": "c1"}
    assert found_in(folder) == [(Flaw.CHECKSUM, at)]


def test_a_digest_made_to_fit_does_not_match_the_sum_of_its_scope(folder):
    alter(folder, f"UPDATE row SET digest=digest+1 WHERE {ROW}")
    assert flaws(folder) == {Flaw.DIGEST, Flaw.SUM}


@pytest.mark.parametrize("doc", ["", "{", "[]", '{"entity":1}', "[" * 100_000])
def test_a_row_that_cannot_be_understood_is_named_and_the_rest_is_looked_at(folder, doc):
    alter(folder, f"UPDATE row SET doc=? WHERE {ROW}", doc)
    alter(folder, "UPDATE row SET digest=0 WHERE entity='contact' AND id='c-9'")
    found = found_in(folder)
    assert (Flaw.ROW, HERE) in found
    assert (Flaw.DIGEST, {"entity": "contact", "id": "c-9"}) in found


@pytest.mark.parametrize("change", ["history='{'", "parent='x'", "id='c-x'"])
def test_what_is_kept_beside_a_row_belongs_to_it(folder, change):
    alter(folder, f"UPDATE row SET {change} WHERE {ROW}")
    assert Flaw.ROW in flaws(folder)


def test_a_row_of_another_seq_than_it_says_is_named(folder):
    alter(folder, f"UPDATE row SET seq=seq-1 WHERE {ROW}")
    assert found_in(folder) == [(Flaw.ROW_SEQ, HERE)]


MEMBER = f"row=(SELECT no FROM row WHERE {ROW})"
PAIR = "lane=1 AND scope=(SELECT no FROM scope WHERE name='unit/u1')"
U1 = {"scope": "unit/u1", "lane": 1}


@pytest.mark.parametrize(
    ("query", "flaw"),
    [
        (f"DELETE FROM member WHERE {MEMBER}", Flaw.SUM),
        (f"UPDATE member SET present=0 WHERE {MEMBER}", Flaw.SUM),
        (f"UPDATE member SET seq=seq-1 WHERE {MEMBER}", Flaw.MEMBER),
        (f"UPDATE member SET seq=seq+100000 WHERE {MEMBER}", Flaw.MEMBER),
        (f"DELETE FROM row WHERE {ROW}", Flaw.MEMBER),
    ],
)
def test_a_member_that_is_gone_or_out_of_place_is_missed(folder, query, flaw):
    alter(folder, query)
    assert flaw in flaws(folder)


def test_a_scope_of_another_name_is_missed_by_each_row_that_belongs_in_it(folder):
    alter(folder, "UPDATE scope SET name='unit/u3' WHERE name='unit/u2'")
    found = named(folder)
    assert {(one.flaw, one.detail) for one in found} == {(Flaw.MEMBER, "unit/u2")}


@pytest.mark.parametrize(
    ("change", "flaw"),
    [("sum=sum+1", Flaw.SUM), ("seq=seq-1", Flaw.MEMBER), ("seq=seq+100000", Flaw.MEMBER)],
)
def test_what_is_kept_of_a_pair_is_named_by_scope_and_lane(folder, change, flaw):
    alter(folder, f"UPDATE pair SET {change} WHERE {PAIR}")
    assert found_in(folder) == [(flaw, U1)]


def test_a_record_of_the_server_s_own_that_was_altered_is_named(folder):
    alter(folder, "UPDATE side SET doc='x' WHERE kind='node' AND key='self'")
    here = {"kind": "node", "key": "self"}
    assert found_in(folder) == [(Flaw.CHECKSUM, here)]
    fitting = side_crc("node", "self", b"x")
    alter(folder, "UPDATE side SET crc=? WHERE kind='node' AND key='self'", fitting)
    assert found_in(folder) == [(Flaw.RECORD, here)]


def test_records_of_another_centre_are_named_by_their_table(folder):
    alter(folder, "UPDATE side SET centre='other' WHERE kind='node' AND key='tips'")
    assert (Flaw.OTHER_CENTRE, {"table": "side"}) in found_in(folder)


def test_the_folder_s_settings_say_which_centre_is_meant(folder):
    settings = folder / "settings.json"
    settings.write_bytes(msgspec.json.encode(Settings("centre", "示例")))
    assert named(folder) == []
    settings.write_bytes(msgspec.json.encode(Settings("north", "示例")))
    assert Flaw.OTHER_CENTRE in flaws(folder)


# --- Files --------------------------------------------------------------------------------------

PHOTO = photos()[1][1]


def test_a_photo_is_compared_with_its_name_and_with_what_was_noted(folder):
    path = Blobs(folder / "blobs").path(PHOTO)
    alter(
        folder,
        "UPDATE side SET doc=replace(doc, '5000', '5001') WHERE kind='blob' AND key=?",
        PHOTO,
    )
    assert flaws(folder) == {Flaw.CHECKSUM, Flaw.BLOB_SIZE}
    path.write_bytes(path.read_bytes()[:-1])
    assert (Flaw.BLOB, {"file": path.relative_to(folder).as_posix()}) in found_in(folder)


def test_a_photo_that_was_here_and_is_not_is_lost(folder):
    Blobs(folder / "blobs").path(PHOTO).unlink()
    assert found_in(folder) == [(Flaw.BLOB_LOST, {"photo": PHOTO})]


def test_a_photo_that_was_set_aside_is_named_until_a_sound_one_has_come(folder):
    blobs = Blobs(folder / "blobs")
    blobs.path(PHOTO).write_bytes(b"x")
    blobs.look(PHOTO)
    assert found_in(folder) == [(Flaw.BLOB_ASIDE, {"file": f"blobs/damaged/{PHOTO}"})]


def test_a_file_among_the_photos_that_is_none_is_named(folder):
    (folder / "blobs/whole/notes.txt").write_text("x")
    assert found_in(folder) == [(Flaw.BLOB_STRANGE, {"file": "blobs/whole/notes.txt"})]


def test_a_photo_that_has_not_come_yet_is_missing_and_no_flaw(folder):
    Blobs(folder / "blobs").path(PHOTO).unlink()
    alter(folder, "DELETE FROM side WHERE kind='blob' AND key=?", PHOTO)
    code, report = told(folder)
    assert (code, report["ok"]) == (0, True)
    assert {one["flaw"] for one in report["findings"]} == {"photo"}
    assert report["looked"]["missing"] == len(report["findings"]) > 0


def test_a_part_of_a_snapshot_is_compared_with_its_name(folder):
    parts = folder / "snapshots"
    parts.mkdir()
    sound = parts / hashlib.sha256(b"rows").hexdigest()
    sound.write_bytes(b"rows")
    (parts / f"{sound.name}.part").write_bytes(b"ro")
    assert named(folder) == []
    sound.write_bytes(b"r0ws")
    assert found_in(folder) == [(Flaw.SNAPSHOT, {"file": f"snapshots/{sound.name}"})]


# --- Trouble on the way -------------------------------------------------------------------------


def test_a_damaged_page_is_named_and_the_walk_goes_on(folder, centre, tmp_path):
    """Every page by turns: never a crash, never silence where the page was in use."""
    data, random = (centre.closed / "lingda.db").read_bytes(), Random(SEED_OF_PAGES)
    pages = random.sample(range(1, len(data) // PAGE), 25)
    for page in pages:
        spoilt = bytearray(data)
        spoilt[page * PAGE : (page + 1) * PAGE] = random.randbytes(PAGE)
        (folder / "lingda.db").write_bytes(spoilt)
        assert Flaw.DATABASE in flaws(folder), page
    Blobs(folder / "blobs").path(PHOTO).write_bytes(b"x")
    assert Flaw.BLOB in flaws(folder)


def test_what_is_no_database_is_named_and_photos_are_looked_at_all_the_same(folder):
    Config(folder).database.write_bytes(b"not a database" * 400)
    Blobs(folder / "blobs").path(PHOTO).write_bytes(b"x")
    assert flaws(folder) == {Flaw.DATABASE, Flaw.BLOB}


def test_a_walk_goes_past_what_cannot_be_read_and_says_where():
    def fetch(after, limit):
        found = [(n, n) for n in range(after + 1, min(after + limit, 20) + 1)]
        if any(n in (7, 8, 20) for n, _ in found):
            raise CannotRead("malformed")
        return found

    seen = list(walk(fetch, 0, lambda after: after + 1 if after < 19 else None))
    assert [one for one in seen if not isinstance(one, Unreadable)] == [
        n for n in range(1, 20) if n not in (7, 8)
    ]
    assert [(one.after, one.next) for one in seen if isinstance(one, Unreadable)] == [
        *((6, 7), (7, 8), (19, None))
    ]


def test_keys_that_do_not_rise_end_a_walk():
    seen = list(walk(lambda after, limit: [(5, 5)], 0, lambda after: None))
    assert seen[0] == 5 and isinstance(seen[1], Unreadable) and len(seen) == 2


def test_nothing_is_changed_by_looking(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert said(folder).exit_code == 0
    for path, data in before.items():
        assert path.read_bytes() == data or path.name.endswith("-shm")


def test_a_server_at_work_is_not_waited_for(folder):
    with locked(folder):
        db = sqlite3.connect(Config(folder).database, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE head SET floor=1")
        assert said(folder).exit_code == 0
        db.execute("ROLLBACK")
        db.close()


# --- One mutation -------------------------------------------------------------------------------


def test_a_mutation_is_proven_by_bytes_and_a_public_key_alone(folder):
    line = lines_of(folder)[fed_back(folder, False) - 1]
    code, proof = told(folder, "--dot", line.dot)
    assert (code, proof["proven"], proof["hash"]) == (0, True, line.hash)
    replica, lane, n = line.dot.split("/")
    assert proof["first"] <= int(n) < proof["last"]
    hashes = [hash_of(raw.encode()) for raw in proof["words"]]
    assert hashes[0] == line.hash
    for before, raw in zip(hashes, proof["words"][1:], strict=False):
        assert decode_mutation(raw.encode()).prev == before
    signed = signing_bytes(proof["realm"], replica, int(lane), proof["last"], hashes[-1])
    assert verifies(public_key(proof["key"]), proof["sig"], signed)


def test_every_mutation_of_a_sound_log_is_proven(folder):
    inspector = SqliteInspector(Config(folder).database)
    dots = [line.dot for line in lines_of(folder)]
    inspector.close()
    assert {told(folder, "--dot", dot)[0] for dot in dots[::9]} == {0}


@pytest.mark.parametrize(
    ("query", "flaw"),
    [
        ("UPDATE log SET raw=raw||'x' WHERE seq=?", "bytes"),
        ("UPDATE side SET doc='{\"sig\":\"AA\"}' WHERE kind='run' AND ?", "signature"),
        ("DELETE FROM side WHERE kind='run' AND ?", "unproven"),
        ("DELETE FROM side WHERE kind='replica' AND ?", "key"),
        ("DELETE FROM log WHERE seq=?", "absent"),
    ],
)
def test_what_is_not_proven_says_why(folder, query, flaw):
    line = lines_of(folder)[fed_back(folder, True) - 1]
    db = sqlite3.connect(Config(folder).database, isolation_level=None)
    db.execute(query, (line.seq,))
    db.close()
    code, proof = told(folder, "--dot", line.dot)
    assert (code, proof["proven"], proof["flaw"]) == (1, False, flaw)
    assert "✗" in said(folder, "--dot", line.dot).stdout


# --- The command --------------------------------------------------------------------------------


def test_a_sound_folder_is_called_so_in_both_languages(folder):
    result = said(folder)
    assert result.exit_code == 0 and result.stderr == ""
    for language in LANGUAGES:
        assert words(language)["verify.clean"] in result.stdout


def test_a_flaw_is_said_with_its_entry_and_what_to_do_in_both_languages(folder):
    alter(folder, f"UPDATE row SET doc=replace(doc, 'head', 'hand') WHERE {ROW}")
    result = said(folder)
    assert result.exit_code == 1
    assert "digest  entity=contact id=c-7" in result.stdout
    for language in LANGUAGES:
        assert words(language)["verify.flaw.digest"] in result.stdout


def test_of_very_many_flaws_of_a_kind_the_rest_is_counted(folder, monkeypatch):
    monkeypatch.setattr("server.cli.verify.SHOWN_MAX", 3)
    db = sqlite3.connect(Config(folder).database, isolation_level=None)
    n = db.execute("UPDATE row SET digest=digest+1").rowcount
    db.close()
    code, report = told(folder)
    assert code == 1 and report["left_off"]["digest"] == n - 3
    assert sum(one["flaw"] == "digest" for one in report["findings"]) == 3
    assert f"{n - 3}" in said(folder).stdout and SHOWN_MAX > 3


@pytest.mark.parametrize(
    ("options", "name"),
    [((), "no_database"), (("--dot", "a/9/1"), "no_dot"), (("--dot", "x"), "no_dot")],
)
def test_what_cannot_be_looked_at_is_said_with_exit_code_2(folder, options, name):
    if name == "no_database":
        Config(folder).database.unlink()
    result = said(folder, *options)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert result.stderr.count("\n") == 2


def test_a_centre_on_postgresql_is_not_looked_at_without_its_address(folder):
    settings = Settings("centre", "示例", on_postgres=True)
    (folder / "settings.json").write_bytes(msgspec.json.encode(settings))
    result = said(folder)
    assert result.exit_code == 2 and "PostgreSQL" in result.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_flaw_and_part_has_its_words(language):
    table = words(language)
    assert [flaw for flaw in Flaw if len(table.get(f"verify.flaw.{flaw}", "")) < 8] == []
    assert [part for part in PARTS if f"verify.part.{part}" not in table] == []
    named = {name for _, name, _, _ in Formatter().parse(table["verify.looked"]) if name}
    assert named == set(Looked.__struct_fields__)
