"""The model of a disk itself: what it may lose, what it may not, and that it does lose."""

import os
from pathlib import Path
from random import Random

import pytest

from tests.crash.disk import Line
from tests.crash.images import PAGE, SECTOR, File, Model, pieces

UNDER = Path("/disk")
ENOUGH = 100


class Written:
    """A record that a test writes by hand."""

    def __init__(self):
        self.model = Model(UNDER)
        self.syncs = 0

    def take(self, kind, fd=-1, number=0, first="", second=b""):
        self.model.take(Line(kind, 1, fd, number, first, second))

    def open(self, name, fd, flags=os.O_RDWR | os.O_CREAT):
        self.take("o", fd, flags, str(UNDER / name) if name else str(UNDER))

    def write(self, fd, at, data):
        self.take("w", fd, at, second=data)

    def sync(self, fd):
        self.syncs += 1
        self.take("b", fd, self.syncs)
        self.take("s", fd, self.syncs)

    def fail_sync(self, fd):
        self.syncs += 1
        self.take("b", fd, self.syncs)
        self.take("e", fd, self.syncs)

    def sync_folder(self, name=""):
        self.open(name, 99, os.O_RDONLY)
        self.sync(99)
        self.take("c", 99)

    def rename(self, old, fresh):
        self.take("r", first=str(UNDER / old), second=str(UNDER / fresh).encode())

    def unlink(self, name):
        self.take("u", first=str(UNDER / name))

    def mkdir(self, name):
        self.take("d", first=str(UNDER / name))


@pytest.fixture
def written():
    return Written()


@pytest.fixture
def images(written, tmp_path):
    """Every folder that many draws make of what was written."""

    def draw():
        found = []
        for seed in range(ENOUGH):
            into = tmp_path / str(seed)
            written.model.image(into, Random(seed))
            paths = [path for path in into.rglob("*") if path.is_file()]
            found.append({str(path.relative_to(into)): path.read_bytes() for path in paths})
        return found

    return draw


def kept(written, name="a", data=b"old"):
    """A file that is surely there."""
    written.open(name, 3)
    written.write(3, 0, data)
    written.sync(3)
    written.sync_folder(os.path.dirname(name))


def test_a_write_that_was_not_synced_may_be_lost_or_kept(written, images):
    kept(written)
    written.write(3, 0, b"new")
    assert {image["a"] for image in images()} == {b"old", b"new"}


def test_a_write_that_was_synced_is_never_lost(written, images):
    kept(written)
    written.write(3, 0, b"new")
    written.sync(3)
    assert {image["a"] for image in images()} == {b"new"}


def test_what_is_written_while_a_sync_runs_is_not_covered_by_it(written, images):
    kept(written)
    written.take("b", 3, 7)
    written.write(3, 0, b"new")
    written.take("s", 3, 7)
    assert {image["a"] for image in images()} == {b"old", b"new"}


def test_a_sync_that_failed_covers_nothing(written, images):
    kept(written)
    written.write(3, 0, b"new")
    written.fail_sync(3)
    assert {image["a"] for image in images()} == {b"old", b"new"}


def test_no_later_sync_makes_up_for_one_that_failed(written, images):
    kept(written)
    written.write(3, 0, b"new")
    written.fail_sync(3)
    written.write(3, PAGE, b"far")
    written.sync(3)
    found = images()
    assert {image["a"][:3] for image in found} == {b"old", b"new"}
    assert {image["a"][PAGE:] for image in found} == {b"far"}


def test_what_a_sync_failed_to_bring_is_brought_when_its_page_is_written_again(written, images):
    kept(written)
    written.write(3, 0, b"new")
    written.fail_sync(3)
    written.write(3, 1, b"E")
    written.sync(3)
    assert {image["a"] for image in images()} == {b"nEw"}


def test_a_sync_of_a_folder_that_failed_keeps_no_name(written, images):
    written.open("a", 3)
    written.open("", 99, os.O_RDONLY)
    written.fail_sync(99)
    assert {tuple(image) for image in images()} == {(), ("a",)}


def test_a_file_s_own_sync_does_not_keep_its_name(written, images):
    written.open("a", 3)
    written.write(3, 0, b"new")
    written.sync(3)
    assert {image.get("a") for image in images()} == {None, b"new"}


def test_a_name_is_kept_by_a_sync_of_its_folder_and_its_bytes_are_not(written, images):
    written.open("a", 3)
    written.write(3, 0, b"new")
    written.sync_folder()
    assert {image["a"] for image in images()} == {b"", bytes(3), b"new"}


def test_a_rename_without_a_sync_of_the_folder_may_be_lost_but_is_never_half_there(written, images):
    kept(written, "a", b"old")
    kept(written, "a.new", b"new")
    written.rename("a.new", "a")
    assert {tuple(sorted(image.items())) for image in images()} == {
        (("a", b"old"), ("a.new", b"new")),
        (("a", b"new"),),
    }


def test_a_rename_into_another_folder_loses_the_file_from_neither(written, images):
    written.mkdir("here")
    written.mkdir("there")
    written.sync_folder()
    kept(written, "here/a", b"new")
    written.rename("here/a", "there/a")
    found = {tuple(sorted(image)) for image in images()}
    assert found == {("here/a",), ("here/a", "there/a"), ("there/a",)}


def test_a_sync_of_the_folder_it_left_keeps_a_rename_too(written, images):
    written.mkdir("here")
    written.mkdir("there")
    written.sync_folder()
    kept(written, "here/a", b"new")
    written.rename("here/a", "there/a")
    written.sync_folder("here")
    assert [tuple(image) for image in images()] == [("there/a",)] * ENOUGH


def test_a_file_that_was_removed_may_come_back(written, images):
    kept(written)
    written.unlink("a")
    assert {image.get("a") for image in images()} == {None, b"old"}


def test_what_lies_in_a_folder_whose_name_is_lost_is_lost_with_it(written, images):
    written.mkdir("here")
    kept(written, "here/a")
    assert {tuple(image) for image in images()} == {(), ("here/a",)}


def test_sectors_are_kept_one_by_one_and_each_as_it_once_stood(written, images):
    kept(written, "a", bytes(3 * SECTOR))
    written.write(3, 0, b"1" * 3 * SECTOR)
    written.write(3, SECTOR, b"2" * SECTOR)
    seen = {tuple(image["a"][at] for at in range(0, 3 * SECTOR, SECTOR)) for image in images()}
    assert len(seen) > 6 and {one[1] for one in seen} == {0, ord("1"), ord("2")}
    assert {one[0] for one in seen} == {0, ord("1")}


def test_a_file_may_be_longer_than_its_bytes_and_holds_zeros_then(written, images):
    kept(written, "a", b"")
    written.write(3, 0, b"1" * 2 * SECTOR)
    found = {image["a"] for image in images()}
    assert bytes(2 * SECTOR) in found and b"" in found
    assert all(set(one) <= {0, ord("1")} for one in found)


def test_a_cut_of_a_file_may_be_lost_and_never_overtakes_a_sync(written, images):
    kept(written, "a", b"old")
    written.take("t", 3, 1)
    assert {image["a"] for image in images()} == {b"old", b"o"}
    written.sync(3)
    file = written.model.root.names["a"]
    assert isinstance(file, File) and file.durable == b"o"


def test_the_same_seed_makes_the_same_image(written, tmp_path):
    kept(written, "a", bytes(4 * SECTOR))
    written.write(3, 0, b"1" * 4 * SECTOR)
    for name in ("one", "two"):
        written.model.image(tmp_path / name, Random(5))
    assert (tmp_path / "one/a").read_bytes() == (tmp_path / "two/a").read_bytes()


def test_a_write_is_cut_where_sectors_end():
    found = pieces(SECTOR - 2, b"x" * (SECTOR + 5))
    assert [(at, len(data)) for at, data in found] == [
        (SECTOR - 2, 2),
        (SECTOR, SECTOR),
        (2 * SECTOR, 3),
    ]
