"""`emit`: writes the files that are generated from schema/."""

from pathlib import Path

import click

from server.cli.setup import ROOT
from server.cli.setup_words import COMMANDS, STALE, both


def stale_files(root: Path, wanted: dict[str, str]) -> list[str]:
    """The paths whose file is missing or says something else."""
    return [path for path, text in wanted.items() if read(root / path) != text]


def read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


@click.command(help=both(COMMANDS["emit"][1:]))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a file is stale.")
def command(check: bool) -> None:
    from schema.emit import emit_all

    wanted = emit_all()
    stale = stale_files(ROOT, wanted)
    if check and stale:
        click.echo("\n".join([both(STALE), *stale]), err=True)
        raise SystemExit(1)
    for path in stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(wanted[path], encoding="utf-8", newline="\n")
        click.echo(path)
