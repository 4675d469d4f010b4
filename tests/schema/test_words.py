"""Both languages say everything, with the same placeholders, and every code has its sentence."""

from string import Formatter

import pytest

from schema.codes import Code
from schema.words import LANGUAGES, say, words


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_both_languages_have_the_same_words():
    first, second = (set(words(language)) for language in LANGUAGES)
    assert first ^ second == set()


def test_both_languages_have_the_same_placeholders():
    first, second = (words(language) for language in LANGUAGES)
    differ = [key for key in first if placeholders(first[key]) != placeholders(second.get(key, ""))]
    assert differ == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty(language):
    assert [key for key, sentence in words(language).items() if not sentence.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_sentence(code, language):
    assert len(say(language, f"error.{code}")) > 8
