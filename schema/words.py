"""The words that people see, zh-CN and en, one flat table each, shared with the PWA."""

import json
from functools import cache
from importlib.resources import files

LANGUAGES: tuple[str, ...] = ("zh-CN", "en")


@cache
def words(language: str) -> dict[str, str]:
    """Every sentence of one language. KeyError when the language is not one of `LANGUAGES`."""
    if language not in LANGUAGES:
        raise KeyError(language)
    text = files(__package__).joinpath("i18n", f"{language}.json").read_text(encoding="utf-8")
    table: dict[str, str] = json.loads(text)
    return table


def say(language: str, key: str, **values: object) -> str:
    """The sentence of `key` with its `{name}` placeholders filled. KeyError when there is none."""
    return words(language)[key].format_map({name: str(value) for name, value in values.items()})
