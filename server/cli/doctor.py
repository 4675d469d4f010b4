"""`doctor`: what an operator asks before and after trouble, with what to do about it."""

from pathlib import Path

import click
import msgspec
from msgspec import to_builtins

from schema.words import LANGUAGES, say
from server.cli.spoken import (
    blobs_option,
    check_address,
    data_option,
    spoken,
    store_option,
    telling,
)
from server.config import Config
from server.doctor import Answer, Machine, State, examine

MARKS = {State.FINE: "✓", State.WARNING: "!", State.BROKEN: "✗"}


@click.command(help=spoken("doctor.about", "\n\n"))
@data_option
@store_option
@blobs_option
@click.option("--json", "as_json", is_flag=True, help=spoken("cli.option.json"))
def command(data: Path, store: str, blobs: Path | None, as_json: bool) -> None:
    found: list[Answer] = []
    with telling(data):
        if store:
            check_address(store)
        config = Config(data, store=store, shared_blobs=blobs)
        for answer in examine(config, Machine()):
            found.append(answer)
            if not as_json:
                click.echo(f"{MARKS[answer.state]} {in_words(answer)}")
    broken = sum(one.state is State.BROKEN for one in found)
    warnings = sum(one.state is State.WARNING for one in found)
    if as_json:
        click.echo(msgspec.json.encode(told(found)).decode())
    else:
        click.echo("\n" + spoken("doctor.end", "\n", broken=broken, warnings=warnings))
    raise SystemExit(1 if broken else 0)


def in_words(answer: Answer) -> str:
    """The answer in both languages; once where both say the same."""
    said = (say(language, f"doctor.{answer.code}", **answer.facts) for language in LANGUAGES)
    return "\n  ".join(dict.fromkeys(said))


def told(found: list[Answer]) -> dict[str, object]:
    """The answers for scripts."""
    return {
        "ok": all(one.state is not State.BROKEN for one in found),
        "checks": [
            {
                **to_builtins(one),
                "zh": say("zh-CN", f"doctor.{one.code}", **one.facts),
                "en": say("en", f"doctor.{one.code}", **one.facts),
            }
            for one in found
        ],
    }
