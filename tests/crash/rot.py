"""One flipped bit in a copy of a centre's folder, drawn from a seed."""

import shutil
from pathlib import Path
from random import Random

from msgspec import Struct

from server.audit.finding import Finding, Gravity
from server.audit.walk import audit
from server.config import Config

BITS = 8


class Rotten(Struct, frozen=True):
    """A copy with one flipped bit: in which file, which byte of it and which bit."""

    folder: Path
    file: Path
    at: int
    bit: int


def copied(folder: Path, to: Path) -> Path:
    """A fresh copy in place of whatever was there."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to))


def rotten(folder: Path, to: Path, name: str, seed: int) -> Rotten:
    """A copy in which a bit of one file of this name is flipped; big files are hit more often."""
    copy, random = copied(folder, to), Random(f"{name} {seed}")
    files = sorted(path for path in copy.rglob(name) if path.is_file())
    [file] = random.choices(files, [path.stat().st_size for path in files])
    return flipped(copy, file, random.randrange(file.stat().st_size), random.randrange(BITS))


def flipped(copy: Path, file: Path, at: int, bit: int) -> Rotten:
    """Flip this bit of this file."""
    with file.open("r+b") as opened:
        opened.seek(at)
        was = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([was ^ 1 << bit]))
    return Rotten(copy, file, at, bit)


def named(folder: Path, store: str = "") -> list[Finding]:
    """The flaws that an audit of the folder names."""
    found: list[Finding] = []
    audit(Config(folder, store=store), found.append, lambda part, done, total: None)
    return [one for one in found if one.gravity is not Gravity.NOTE]
