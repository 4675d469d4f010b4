"""What tests need of the machine: Chromium and a Chinese font, a C compiler, PostgreSQL."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from server.cli.setup_words import (
    ASK_INSTALL,
    CANNOT_INSTALL,
    INSTALL_BY_HAND,
    MISSING_SYSTEM,
    NO_APT,
    both,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FONT_PACKAGE = "fonts-noto-cjk"
COMPILERS = ("gcc", "cc", "clang")


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def find_browser() -> str | None:
    """The Chromium that the tests drive."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def has_chinese_font() -> bool:
    """Asked of fontconfig; systems without it (macOS, Windows) bring Chinese fonts themselves."""
    if not shutil.which("fc-list"):
        return sys.platform != "linux"
    told = subprocess.run(["fc-list", ":lang=zh-cn", "family"], capture_output=True, text=True)
    return bool(told.stdout.strip())


def find_compiler() -> str | None:
    """The C compiler that makes the recorder of the crash tests."""
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def has_c_headers() -> bool:
    """Asked of the compiler, which knows where it looks for them."""
    compiler = find_compiler()
    if compiler is None:
        return False
    command = [compiler, "-E", "-x", "c", "-"]
    told = subprocess.run(command, input="#include <stdio.h>\n", capture_output=True, text=True)
    return told.returncode == 0


def has_postgres() -> bool:
    """The programs of a PostgreSQL server; Debian keeps them off the path."""
    return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))


def missing() -> list[str]:
    """Debian's names of what is not here."""
    here = {
        "chromium": find_browser() is not None,
        FONT_PACKAGE: has_chinese_font(),
        "gcc": find_compiler() is not None,
        "libc6-dev": has_c_headers(),
        "postgresql": has_postgres(),
    }
    return [name for name, found in here.items() if not found]


def install_commands(names: Sequence[str]) -> list[list[str]]:
    """The lists first: on a new machine apt knows no package before that."""
    sudo = [] if not hasattr(os, "geteuid") or os.geteuid() == 0 else ["sudo"]
    return [
        [*sudo, "apt-get", "update"],
        [*sudo, "apt-get", "install", "-y", "--no-install-recommends", *names],
    ]


def install(names: Sequence[str]) -> bool:
    """True when all of it is there afterwards."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for line in install_commands(names):
        try:
            if subprocess.run(line, env=env, stdin=subprocess.DEVNULL).returncode:
                return False
        except FileNotFoundError:
            return False
    return not missing()


def ensure() -> bool:
    """Whether the browser tests can run. Under CI installs what is missing, or fails loudly.

    Tests that lack something else say so themselves.
    """
    names = missing()
    if not names:
        return True
    shown = " && ".join(" ".join(line) for line in install_commands(names))
    facts = {"names": " ".join(names), "command": shown}
    click.echo(both(MISSING_SYSTEM).format(**facts), err=True)
    if in_ci():
        if not install(names):
            raise click.ClickException(both(CANNOT_INSTALL).format(**facts))
        return True
    offer(names, facts)
    return not {"chromium", FONT_PACKAGE} & set(missing())


def offer(names: Sequence[str], facts: dict[str, str]) -> None:
    """Install only after a person's yes; otherwise say what to type."""
    if not shutil.which("apt-get"):
        click.echo(both(NO_APT).format(**facts), err=True)
    elif sys.stdin.isatty() and click.confirm(both(ASK_INSTALL, " ").format(**facts)):
        install(names)
    else:
        click.echo(both(INSTALL_BY_HAND).format(**facts), err=True)
