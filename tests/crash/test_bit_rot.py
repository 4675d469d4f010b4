"""One flipped bit in database, write-ahead log or photo: found or harmless, never served."""

import asyncio
import sqlite3
from random import Random

import pytest
from msgspec import MsgspecError

from server.audit.finding import Flaw
from server.config import Config
from server.log import set_up
from server.store.protocol import Damaged, NewerDatabase, UnsafeSettings
from server.store.sqlite.inspect import SqliteInspector
from server.store.wal import DamagedLog, check_log
from tests.crash.kept import Answers, altered, kept, served, wrong
from tests.crash.rot import copied, flipped, named, rotten

PHOTO, DATABASE, LOG = "[0-9a-f]" * 64, "lingda.db", "lingda.db-wal"
FRAME_BYTES, HEADER_BYTES = 4096 + 24, 32
SUITE, LONG = range(10), range(100, 280)
DATABASE_SUITE, DATABASE_LONG, LONG_PARTS = range(60), range(1_000, 1_500), 25
PARTS = 3
"""The seeds are shared out among so many tests, so that none takes long."""

seeds = pytest.mark.parametrize("part", range(PARTS))


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    set_up("CRITICAL")
    return kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def right(centre, tmp_path_factory) -> Answers:
    """What the undamaged centre serves, whether it was closed or cut off."""
    folder = tmp_path_factory.mktemp("right")
    answers = asyncio.run(served(copied(centre.closed, folder / "closed"), centre))
    assert answers == asyncio.run(served(copied(centre.cut_off, folder / "cut_off"), centre))
    return answers


@pytest.fixture(scope="module")
def last_lost(centre, tmp_path_factory) -> tuple[int, Answers]:
    """Where the last transaction of the write-ahead log begins, and what is served without it."""
    folder = copied(centre.cut_off, tmp_path_factory.mktemp("last") / "cut_off")
    log = folder / LOG
    begins = transactions(log.read_bytes())[-2]
    with log.open("r+b") as file:
        file.truncate(begins)
    return begins, asyncio.run(served(folder, centre))


def transactions(log: bytes) -> list[int]:
    """Where each transaction ends, of those that belong to the log's header."""
    ends, at = [HEADER_BYTES], HEADER_BYTES
    while log[at + 8 : at + 16] == log[16:24]:
        at += FRAME_BYTES
        if log[at - FRAME_BYTES + 4 : at - FRAME_BYTES + 8] != bytes(4):
            ends.append(at)
    return ends


def every(part, seeds):
    return [seed for seed in seeds if seed % PARTS == part]


def test_an_audit_of_what_is_sound_names_nothing(centre, tmp_path):
    for folder in (centre.closed, centre.cut_off):
        assert named(copied(folder, tmp_path / "copy")) == []


@seeds
def test_a_flipped_bit_of_a_photo_is_named_and_its_photo_never_sent(centre, right, tmp_path, part):
    look_at_photos(centre, right, tmp_path, every(part, SUITE))


@pytest.mark.long("rot")
@seeds
def test_many_flipped_bits_of_photos_are_named(centre, right, tmp_path, part):
    look_at_photos(centre, right, tmp_path, every(part, LONG))


def look_at_photos(centre, right, tmp_path, seeds):
    for seed in seeds:
        bit = rotten(centre.closed, tmp_path / "copy", PHOTO, seed)
        [finding] = named(bit.folder)
        assert (finding.flaw, finding.at["file"]) == (
            Flaw.BLOB,
            bit.file.relative_to(bit.folder).as_posix(),
        ), seed
        answers = asyncio.run(served(bit.folder, centre))
        assert answers[f"blob {bit.file.name}"].why == "blob_damaged", seed
        assert wrong(answers, right) == [], seed


@seeds
def test_a_flipped_bit_of_the_database_is_named_or_harmless_and_nothing_altered_is_served(
    centre, right, tmp_path, part
):
    look_at_database(centre, right, tmp_path, every(part, DATABASE_SUITE))


@pytest.mark.long("rot")
@pytest.mark.parametrize("part", range(LONG_PARTS))
def test_many_flipped_bits_of_the_database_are_named_or_harmless(centre, right, tmp_path, part):
    look_at_database(centre, right, tmp_path, DATABASE_LONG[part::LONG_PARTS])


def look_at_database(centre, right, tmp_path, seeds):
    for seed in seeds:
        bit = rotten(centre.closed, tmp_path / "copy", DATABASE, seed)
        is_named = bool(named(bit.folder))
        answers = answers_of(bit.folder, centre)
        assert altered(answers, right) == [], seed
        assert is_named or (answers and wrong(answers, right) == []), seed


def answers_of(folder, centre) -> Answers:
    """None at all of a centre that refuses to open, by a name that the command line tells."""
    try:
        return asyncio.run(served(folder, centre))
    except (sqlite3.DatabaseError, Damaged, UnsafeSettings, NewerDatabase, MsgspecError):
        return {}


@seeds
def test_a_flipped_bit_of_logged_words_is_named_by_seq_and_dot(centre, tmp_path, part):
    look_at_words(centre, tmp_path, every(part, SUITE))


@pytest.mark.long("rot")
@seeds
def test_many_flipped_bits_of_logged_words_are_named(centre, tmp_path, part):
    look_at_words(centre, tmp_path, every(part, LONG))


def look_at_words(centre, tmp_path, seeds):
    """Bits are flipped where words lie in the file, as far as they lie there in one piece."""
    data = (centre.closed / DATABASE).read_bytes()
    inspector = SqliteInspector(Config(centre.closed).database)
    lines = [one for one in inspector.lines(0, inspector.head()[1]) if data.count(one.raw) == 1]
    inspector.close()
    assert len(lines) > 150
    for seed in seeds:
        line = lines[seed * 37 % len(lines)]
        copy = copied(centre.closed, tmp_path / "copy")
        at = data.index(line.raw) + seed * 101 % len(line.raw)
        flipped(copy, copy / DATABASE, at, seed % 8)
        found = {(one.flaw, one.at["seq"], one.at["dot"]) for one in named(copy)}
        assert (Flaw.BYTES, line.seq, line.dot) in found, seed
        assert {flaw for flaw, *_ in found} <= {Flaw.BYTES, Flaw.UNPROVEN}, seed


@seeds
def test_a_flipped_bit_of_the_write_ahead_log_loses_nothing_unsaid(
    centre, right, last_lost, tmp_path, part
):
    look_at_log(centre, right, last_lost, tmp_path, every(part, SUITE))


@pytest.mark.long("rot")
@seeds
def test_many_flipped_bits_of_the_write_ahead_log_lose_nothing_unsaid(
    centre, right, last_lost, tmp_path, part
):
    look_at_log(centre, right, last_lost, tmp_path, every(part, LONG))


def look_at_log(centre, right, last_lost, tmp_path, seeds):
    """In the very last transaction damage looks like a power cut: it is there, or all of it not."""
    begins, without_last = last_lost
    ends = transactions((centre.cut_off / LOG).read_bytes())[-1]
    refused = 0
    for seed in seeds:
        copy = copied(centre.cut_off, tmp_path / "copy")
        random = Random(seed)
        bit = flipped(copy, copy / LOG, random.randrange(ends), random.randrange(8))
        flaws = {one.flaw for one in named(bit.folder)}
        try:
            answers = asyncio.run(served(bit.folder, centre))
        except DamagedLog:
            assert Flaw.WAL in flaws, seed
            refused += 1
            continue
        assert Flaw.WAL not in flaws and bit.at >= begins, seed
        assert answers in (right, without_last), seed
    assert refused


def test_a_centre_whose_write_ahead_log_was_only_cut_short_opens(centre, tmp_path):
    log = (centre.cut_off / LOG).read_bytes()
    begins = transactions(log)[-2]
    for cut in (0, 16, HEADER_BYTES, begins, begins + 1, begins + 24, len(log) - 1):
        copy = copied(centre.cut_off, tmp_path / "copy")
        (copy / LOG).write_bytes(log[:cut])
        check_log(copy / DATABASE)


@pytest.mark.parametrize("at", range(HEADER_BYTES))
def test_a_flipped_bit_in_the_header_of_the_write_ahead_log_is_named(centre, tmp_path, at):
    copy = copied(centre.cut_off, tmp_path / "copy")
    flipped(copy, copy / LOG, at, at % 8)
    with pytest.raises(DamagedLog) as refused:
        check_log(copy / DATABASE)
    assert refused.value.lost > 0
