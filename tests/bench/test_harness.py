"""The bench itself: its arithmetic, what its page says, and one small run from end to end."""

import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from server.cli.setup_words import COMMANDS
from tests.bench import rows
from tests.bench.__main__ import MEASUREMENTS, asked, attempt, main
from tests.bench.centre import Size, make
from tests.bench.facts import Mix, mixed_pushes
from tests.bench.figures import FIGURES, Figure
from tests.bench.harness import QUICK, Bench, BenchFailed, Result, Samples, percentile, plain, ratio
from tests.bench.line import Answer, LineCut, parsed
from tests.bench.machine import Machine
from tests.bench.page import write_page
from tests.bench.push import stands
from tests.bench.report import Report, bar_of, line_of, shown
from tests.postgres import NoPostgres

TINY = replace(QUICK, rounds=2, raw_rows=1_000, batches=1)
MACHINE = Machine("a cpu", 2, 24.0, "Linux 6", "3.11.7", "3.40.1", "", "", 1.2, 0.5)


def samples(side, *values):
    return Samples(side, "rows/s", list(values))


def report(*results):
    return Report("2026-01-01T00:00:00+00:00", MACHINE, "full", 60.0, {}, list(results))


# --- Arithmetic ---------------------------------------------------------------------------------


def test_a_ratio_is_one_of_medians_and_its_spread_that_of_rounds_in_succession():
    found = ratio("push_vs_raw", samples("facts", 30, 10, 20), samples("raw", 100, 50, 60))
    assert found.value == 20 / 60
    assert found.spread == (10 / 50, 20 / 60)


async def test_sides_take_turns_and_every_other_round_goes_backwards():
    heard = []

    def side(name):
        async def once():
            heard.append(name)
            return float(len(heard))

        return once

    bench = Bench(None, replace(QUICK, rounds=3), False, frozenset(), lambda *_: None, print)
    found = await bench.interleaved("x", {"a": side("a"), "b": side("b")})
    assert found == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}
    assert "".join(heard) == "abbaab"


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(0.3, True, True), (0.29, True, False), (0.3, False, True), (0.31, False, False)],
)
def test_a_bar_is_reached_at_the_bar_itself(value, at_least, met):
    assert Figure("x", "x", 0.3, at_least).met(value) is met


def test_a_bar_of_zero_counts():
    assert plain("herd_failed", Samples("failed", "", [0.0])).met is True
    assert plain("herd_failed", Samples("failed", "", [1.0])).met is False


def test_what_did_less_than_the_bar_asks_neither_meets_nor_misses_it():
    found = plain("sockets", Samples("alive", "", [1_000.0]), small="1,000 sockets")
    assert found.met is None
    assert "not at full size: 1,000 sockets" in line_of(found)


def test_the_ninety_ninth_of_a_hundred_is_passed_by_one():
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (1.5, "1.50"), (33.6, "33.6"), (412.4, "412"), (61_234.5, "61,234")],
)
def test_numbers_show_the_digits_that_count(value, text):
    assert shown(value) == text


# --- What a run says ----------------------------------------------------------------------------


def test_the_page_says_a_missed_bar_plainly_and_draws_it(tmp_path):
    missed = ratio("push_vs_raw", samples("facts", 10), samples("raw", 100))
    met = plain("idle_rss_mib", Samples("idle", "MiB", [64.5]))
    text = write_page(report(missed, met), tmp_path).read_text(encoding="utf-8")
    assert "Figures measured: 2; bars met: 1, missed: 1 (`push_vs_raw`)" in text
    assert "1 项达标,1 项未达标(`push_vs_raw`)" in text
    line = next(line for line in text.splitlines() if line.startswith("| `push_vs_raw`"))
    assert "MISSED" in line and "≥ 0.3 × (stretch 0.4)" in line
    assert MACHINE.line() in text
    assert "push_vs_raw" in (tmp_path / "img/bench-bars.svg").read_text(encoding="utf-8")
    assert ">push: raw<" in (tmp_path / "img/bench-rates.svg").read_text(encoding="utf-8")


def test_the_page_names_no_figure_that_was_not_measured(tmp_path):
    rates = ratio("push_vs_raw", samples("facts", 10), samples("raw", 100))
    write_page(report(rates), tmp_path)
    idle = plain("idle_rss_mib", Samples("idle", "MiB", [64.5]))
    text = write_page(report(idle), tmp_path).read_text(encoding="utf-8")
    assert [name for name in FIGURES if f"`{name}`" in text] == ["idle_rss_mib"]
    assert not (tmp_path / "img/bench-rates.svg").exists(), "of the run before"


def test_sides_of_one_name_that_did_different_things_are_drawn_apart(tmp_path):
    push = ratio("push_vs_raw", samples("facts", 10), samples("raw", 100))
    pull = ratio("pull_vs_raw", samples("pull", 10), samples("raw", 100))
    write_page(report(push, pull), tmp_path)
    drawn = (tmp_path / "img/bench-rates.svg").read_text(encoding="utf-8")
    assert [f">{name}<" in drawn for name in ("push: raw", "pull: raw")] == [True, True]


def test_every_figure_belongs_to_one_measurement():
    named = [name for _, names in MEASUREMENTS for name in names]
    assert sorted(named) == sorted(FIGURES)


def test_every_bar_can_be_said():
    assert bar_of(FIGURES["push_vs_raw"]) == "≥ 0.3 × (stretch 0.4)"
    assert bar_of(FIGURES["sockets"]) == "≥ 10,000"
    assert bar_of(FIGURES["idle_rss_mib"]) == "≤ 90 MiB"
    assert bar_of(FIGURES["push_mixed_vs_raw"]) == "—"


def test_the_command_is_listed_in_both_languages():
    assert "bench" in COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "no_such_figure"],
        ["--large", "few"],
        ["--rounds", "0"],
        ["--only", "single_vs_kinto"],
    ],
)
def test_what_cannot_be_asked_for_is_named(arguments, capsys):
    with pytest.raises(SystemExit):
        asked(arguments)
    assert arguments[1] in capsys.readouterr().err


# --- What is measured ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"verdicts":[{"verdict":"refused"}]}',
        b'{"verdicts":[{"verdict":"applied","repeat":true}]}',
        b'{"verdicts":[]}',
    ],
)
def test_a_push_that_does_not_stand_ends_the_run(body):
    with pytest.raises(BenchFailed):
        stands(Answer(200, b"", body), 1)


def test_an_answer_is_taken_only_once_it_is_whole():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    assert parsed(head + b"abc") is None
    assert parsed(head + b"abcd") == Answer(200, head[:-4], b"abcd")
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parsed(chunked + b"3\r\nabc\r\n") is None
    assert parsed(chunked + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n").body == b"abcd"
    with pytest.raises(LineCut):
        parsed(b"what is this\r\n\r\n")


async def test_the_same_seed_makes_the_same_work(tmp_path):
    made = await make(tmp_path / "centre", Size(units=1, devices=2, targets=2, machines=4))
    again = [made.writers[0].reply.unit, made.size.devices]
    assert again == ["u000", 2]
    chosen = []
    for _ in range(2):
        mix = Mix(made, seed=7)
        chosen.append([(row["step"], row["target"]) for row in mix.rows(made.writers[0])])
    assert chosen[0] == chosen[1]
    pushed = list(mixed_pushes(Mix(made, seed=7), made.writers[0], (0, 2), 2))
    assert [b'"lane":2' in one for one in pushed] == [False, True]


def test_a_small_run_goes_from_end_to_end(tmp_path, capsys):
    file, page = tmp_path / "figures.json", tmp_path / "docs"
    words = ["--quick", "--only", "push_vs_raw", "--json", str(file), "--report", str(page)]
    assert main(words, TINY, tmp_path) in (0, 1)
    told = json.loads(file.read_text(encoding="utf-8"))
    (figure,) = told["results"]
    assert figure["name"] == "push_vs_raw" and figure["value"] > 0
    assert [len(side["values"]) for side in figure["sides"]] == [2, 2]
    assert "push_vs_raw" in capsys.readouterr().out
    assert "--quick --only push_vs_raw" in (page / "performance.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("bench-")] == []


def test_what_cannot_be_measured_is_named_and_the_rest_goes_on(tmp_path):
    async def broken(bench):
        (bench.folder / "left").mkdir()
        raise BenchFailed("it did not answer")

    async def sound(bench):
        bench.found(plain("sockets", Samples("alive", "", [1.0])))

    bench = Bench(tmp_path, QUICK, False, frozenset(FIGURES), lambda *_: None, lambda _: None)
    attempt(broken, bench)
    attempt(sound, bench)
    assert bench.failed == {"broken": "BenchFailed: it did not answer"}
    assert [one.name for one in bench.results] == ["sockets"]
    assert list(tmp_path.iterdir()) == [], "nothing stays for the next measurement"
    told = replace(report(*bench.results), failed=bench.failed)
    text = write_page(told, tmp_path).read_text(encoding="utf-8")
    assert "**not measured**: broken: BenchFailed: it did not answer" in text


def test_whoever_stops_the_run_keeps_what_was_measured(tmp_path):
    async def long(bench):
        bench.found(plain("sockets", Samples("alive", "", [1.0])))
        raise KeyboardInterrupt

    bench = Bench(tmp_path, QUICK, False, frozenset(FIGURES), lambda *_: None, lambda _: None)
    attempt(long, bench)
    assert bench.failed == {"stopped by hand": "long"}
    assert [one.name for one in bench.results] == ["sockets"]


async def test_a_peer_that_does_not_start_is_named_and_the_others_take_part(tmp_path, monkeypatch):
    @asynccontextmanager
    async def absent(folder):
        raise NoPostgres("none here")
        yield

    @asynccontextmanager
    async def there(folder):
        yield SimpleNamespace(name="pouchdb", settings="as it comes")

    monkeypatch.setattr(rows, "PEERS", {"kinto": absent, "pouchdb": there})
    bench = Bench(tmp_path, QUICK, True, frozenset(FIGURES), lambda *_: None, lambda _: None)
    async with rows.started(bench) as peers:
        assert [one.name for one in peers] == ["pouchdb"]
    assert bench.failed == {"kinto": "none here"}
    assert bench.settings == {"pouchdb": "as it comes"}


def test_a_result_is_kept_only_when_it_was_asked_for():
    heard: list[Result] = []
    wanted = frozenset({"sockets"})
    bench = Bench(None, QUICK, False, wanted, lambda *_: None, heard.append)
    one = plain("sockets", Samples("alive", "", [1.0]))
    bench.found(one, plain("kib_per_socket", Samples("grown", "KiB", [1.0])))
    assert bench.results == heard == [one]
