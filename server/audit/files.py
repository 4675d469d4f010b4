"""Files beside the database: each photo and each part of a snapshot is named by its hash."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from server.audit.finding import Finding, Flaw
from server.blobs import SHA256, digest_of_file

UNDER_WAY = re.compile(r".*\.(part|whole|new)")
"""What is being written this very moment."""

SizeOf = Callable[[str], int | None]
"""The size that the centre noted of a photo; None when it knows of none."""


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below a folder, one folder's names in memory at a time; none where there is no
    such folder."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from files_in(path)
        else:
            yield path


def look_at_blob(root: Path, path: Path, size_of: SizeOf) -> Iterator[Finding]:
    """Compare a photo with its name and with the size that was noted when it came."""
    at: dict[str, str | int] = {"file": path.relative_to(root).as_posix()}
    if not SHA256.fullmatch(path.name) or path.parent.name != path.name[:2]:
        yield Finding(Flaw.BLOB_STRANGE, at)
        return
    size, found = size_of(path.name), path.stat().st_size
    if digest_of_file(path) != path.name:
        yield Finding(Flaw.BLOB, at)
    elif size is not None and size != found:
        yield Finding(Flaw.BLOB_SIZE, at, f"{found} ≠ {size}")


def look_at_aside(root: Path, path: Path) -> Iterator[Finding]:
    """A photo that was set aside because its bytes were not its own any more."""
    yield Finding(Flaw.BLOB_ASIDE, {"file": path.relative_to(root).as_posix()})


def look_at_snapshot(root: Path, path: Path) -> Iterator[Finding]:
    """Compare a part of a snapshot with its name."""
    if not UNDER_WAY.fullmatch(path.name) and digest_of_file(path) != path.name:
        yield Finding(Flaw.SNAPSHOT, {"file": path.relative_to(root).as_posix()})
