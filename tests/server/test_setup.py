"""Set-up on a bare machine: what is skipped, what is made again, what is said when it stops."""

import errno
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import run
from server.cli import dev, emit, main, setup, system_packages, test
from server.cli.setup import Node, SetupError, Step
from server.cli.setup_run import Board, ToolFailed, bar, one_at_a_time, run_logged, tool_env
from server.cli.setup_words import COMMANDS, ERRORS, STEPS, both

FACTS = {
    "free": 10,
    "log": "var/log/setup/x.log",
    "need": 1230,
    "package": "python3.11-venv",
    "path": "/somewhere",
    "reason": "broken",
    "setting": "PIP_INDEX_URL",
    "step": ("x", "x"),
}
ONE_PACKAGE = "somepackage==1.0 \\\n    --hash=sha256:00\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The tools that set-up would start. They make what the real ones make, without a network."""
    started: list[list[str]] = []

    def pretend(command, log, cwd, env, on_line=None) -> None:
        started.append([str(word) for word in command])
        if "venv" in command:
            python = setup.venv_python(Path(cwd))
            python.parent.mkdir(parents=True)
            python.touch()
        if "ci" in command:
            htmx = cwd / "node_modules/htmx.org/dist/htmx.min.js"
            htmx.parent.mkdir(parents=True, exist_ok=True)
            htmx.write_text("htmx")
        if "build" in command:
            built = cwd.parent / "static/app/index.html"
            built.parent.mkdir(parents=True, exist_ok=True)
            built.touch()

    monkeypatch.setattr(setup, "run_logged", pretend)
    monkeypatch.setattr(setup, "find_node", lambda root: Node(Path("node"), ("npm",)))
    return started


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for lock in ("requirements.lock", "requirements-dev.lock", "requirements-node.lock"):
        (tmp_path / lock).write_text(ONE_PACKAGE)
    for path in (
        "pwa/src/main.ts",
        "pwa/package.json",
        "pwa/package-lock.json",
        "schema/i18n/en.json",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    return tmp_path


def prepare(tree: Path, command: str = "demo") -> str:
    out = io.StringIO()
    setup.prepare(tree, command, out)
    return out.getvalue()


def last_words(calls: list[list[str]]) -> list[str]:
    return [command[-1] for command in calls]


# --- What is done, and what is done again -----------------------------------------------------


def test_a_first_start_does_every_step_and_a_second_one_does_and_says_nothing(tree, calls):
    said = prepare(tree)
    assert last_words(calls) == [str(tree / ".venv"), "requirements.lock", "ci", "build"]
    assert (tree / "static/vendor/htmx.min.js").read_text() == "htmx"
    assert "创建 Python 环境" in said and "build the app" in said
    calls.clear()
    assert prepare(tree) == ""
    assert calls == []


def test_a_half_made_venv_is_made_again(tree, calls):
    python = setup.venv_python(tree)
    python.parent.mkdir(parents=True)
    python.touch()
    (tree / ".venv/left-over").touch()
    prepare(tree, "emit")
    assert not (tree / ".venv/left-over").exists()
    assert last_words(calls) == [str(tree / ".venv"), "requirements.lock"]


def test_a_venv_whose_python_was_removed_is_made_again(tree, calls):
    prepare(tree, "emit")
    setup.venv_python(tree).unlink()
    calls.clear()
    prepare(tree, "emit")
    assert last_words(calls) == [str(tree / ".venv"), "requirements.lock"]


def test_a_changed_lock_installs_again_and_keeps_the_venv(tree, calls):
    prepare(tree, "emit")
    calls.clear()
    (tree / "requirements.lock").write_text(ONE_PACKAGE.replace("1.0", "1.1"))
    prepare(tree, "emit")
    assert last_words(calls) == ["requirements.lock"]


@pytest.mark.parametrize("path", ["pwa/src/new.ts", "pwa/vite.config.ts", "schema/i18n/en.json"])
def test_a_changed_source_builds_again_without_installing(tree, calls, path):
    prepare(tree)
    calls.clear()
    (tree / path).write_text("changed")
    prepare(tree)
    assert last_words(calls) == ["build"]


def test_a_step_that_was_killed_is_run_again(tree, calls, monkeypatch):
    def killed(*_arguments) -> None:
        raise KeyboardInterrupt

    prepare(tree, "emit")
    calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr(setup, "run_logged", killed)
        err = io.StringIO()
        assert setup.set_up(tree, "test", err) == setup.EXIT_STOPPED
    assert "Traceback" not in err.getvalue()
    prepare(tree, "test")
    assert last_words(calls) == ["requirements-dev.lock", "ci", "build"]


def test_a_build_that_fails_leaves_no_stamp_of_the_one_before(tree, calls, monkeypatch):
    prepare(tree)
    first = (tree / "pwa/src/main.ts").read_text()
    (tree / "pwa/src/main.ts").write_text("wrong")
    with monkeypatch.context() as patch:
        patch.setattr(setup, "run_logged", fail_with(tree, "syntax error"))
        assert setup.set_up(tree, "demo", io.StringIO()) == setup.EXIT_SETUP
    (tree / "pwa/src/main.ts").write_text(first)
    assert setup.build_stale(tree)


def test_only_commands_that_show_the_app_need_node(tree, calls, monkeypatch):
    monkeypatch.setattr(setup, "find_node", lambda root: pytest.fail("looked for Node"))
    prepare(tree, "emit")
    prepare(tree, setup.command_in(["demo", "--help"]))


def test_node_comes_from_the_lock_when_the_machine_has_none(tree, calls, monkeypatch):
    found = iter([None])
    monkeypatch.setattr(setup, "find_node", lambda root: next(found, Node(Path("node"), ("npm",))))
    prepare(tree)
    assert "requirements-node.lock" in last_words(calls)


def test_a_node_that_is_too_old_or_has_no_npm_is_passed_over(tmp_path, monkeypatch):
    old, lone, good = (tmp_path / name for name in ("old", "lone", "good"))
    npm = {old: ("npm",), lone: (), good: ("npm",)}
    versions = {old: (20, 18, 9), lone: (24, 0, 0), good: (20, 19, 0)}
    monkeypatch.setattr(setup, "node_candidates", lambda root: iter([old, lone, good]))
    monkeypatch.setattr(setup, "find_npm", npm.get)
    monkeypatch.setattr(setup, "node_version", versions.get)
    found = setup.find_node(tmp_path)
    assert found is not None and found.program == good


def test_a_program_that_does_not_start_has_no_version(tmp_path):
    assert setup.node_version(tmp_path / "absent") == (0,)
    assert setup.node_version(Path(sys.executable)) == (0,)


# --- What is said when it cannot go on --------------------------------------------------------


def fail_with(tree: Path, output: str):
    def fail(command, log, *_arguments) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output)
        raise ToolFailed(log, output.splitlines()[-15:])

    return fail


def sentences(text: str, full_stop: str) -> int:
    return text.rstrip().count(full_stop)


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_one_sentence_in_each_language_that_says_what_to_do(name):
    chinese, english = str(SetupError(name, **FACTS)).split("\n")
    assert chinese.endswith("。") and sentences(chinese, "。") == 1
    assert english.endswith(".") and sentences(english.replace(".log", ""), ". ") == 0
    assert "请" in chinese and ":" in english


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("ERROR: No space left on device", "disk_full"),
        ("npm error code ENOTFOUND", "no_registry"),
        ("Retrying after connection broken by 'NewConnectionError'", "no_registry"),
        ("ERROR: hashes do not match", "step_failed"),
    ],
)
def test_a_failed_tool_is_explained_by_its_output(tree, output, name):
    with pytest.raises(ToolFailed) as failure:
        fail_with(tree, output)([], tree / "var/log/setup/x.log")
    step = Step("packages", lambda: True, lambda board: None)
    assert setup.explain(tree, step, failure.value).name == name


def test_a_failed_step_shows_its_last_lines_and_its_log_and_exits_with_2(tree, calls, monkeypatch):
    output = "\n".join(f"line {n}" for n in range(40))
    monkeypatch.setattr(setup, "run_logged", fail_with(tree, output))
    err = io.StringIO()
    assert setup.set_up(tree, "emit", err) == setup.EXIT_SETUP
    said = err.getvalue()
    assert "var/log/setup/venv.log" in said and "| line 39" in said
    assert "| line 25" in said and "| line 24" not in said


def test_a_python_without_ensurepip_names_the_package_to_install(tree, monkeypatch):
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"python3\.\d+-venv"):
        setup.check_machine(tree, 1 << 40)


def test_too_little_disk_is_said_before_anything_is_installed(tree):
    with pytest.raises(SetupError, match="10 MiB free"):
        setup.check_machine(tree, 10 << 20)


def test_a_small_disk_does_not_stop_a_tree_that_is_set_up(tree, calls):
    prepare(tree, "emit")
    setup.check_machine(tree, 10 << 20)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (errno.EACCES, "no_write"),
        (errno.EROFS, "no_write"),
        (errno.ENOSPC, "disk_full"),
        (errno.EIO, "file_trouble"),
    ],
)
def test_a_refusal_of_the_system_has_a_name_and_exit_code_2(tree, monkeypatch, number, name):
    def refuse(*_arguments) -> None:
        raise OSError(number, os.strerror(number), "var")

    monkeypatch.setattr(setup, "prepare", refuse)
    err = io.StringIO()
    assert setup.set_up(tree, "demo", err) == setup.EXIT_SETUP
    assert (
        err.getvalue().count("\n") == 2
        and setup.name_os_error(tree, OSError(number, "")).name == name
    )


def test_an_old_python_gets_a_sentence_and_exit_code_2(monkeypatch, capsys):
    monkeypatch.setattr(run.sys, "version_info", (3, 7, 3))
    assert run.main() == setup.EXIT_SETUP
    assert "需要 Python ≥ 3.11" in (said := capsys.readouterr().err)
    assert "needs Python ≥ 3.11" in said


# --- Tools and words --------------------------------------------------------------------------


def test_a_tool_s_output_is_kept_and_its_last_lines_are_told(tmp_path):
    script = "import sys; [print('line', n) for n in range(20)]; sys.exit(3)"
    log, seen = tmp_path / "logs/tool.log", []
    with pytest.raises(ToolFailed) as failure:
        run_logged([sys.executable, "-c", script], log, tmp_path, dict(os.environ), seen.append)
    assert failure.value.tail == [f"line {n}" for n in range(5, 20)]
    assert log.read_text().count("\n") == len(seen) == 20


def test_tools_do_not_inherit_settings_that_leave_packages_out():
    outer = {"NODE_ENV": "production", "PIP_USER": "1", "PIP_CERT": "kept", "PATH": "/bin"}
    env = tool_env(outer, Path("/node/bin"))
    assert "NODE_ENV" not in env and "PIP_USER" not in env
    assert env["PIP_CERT"] == "kept" and env["PATH"].split(os.pathsep) == [
        str(Path("/node/bin")),
        "/bin",
    ]


@pytest.mark.skipif(os.name == "nt", reason="no file locks of this kind on Windows")
def test_a_second_set_up_waits_until_the_first_has_ended(tmp_path):
    script = (
        "import pathlib, sys; from server.cli.setup_run import one_at_a_time\n"
        "with one_at_a_time(pathlib.Path(sys.argv[1]), lambda: print('waiting', flush=True)):\n"
        "    print('in')"
    )
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", script, str(lock)]
    with one_at_a_time(lock, lambda: None):
        other = subprocess.Popen(command, cwd=setup.ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None and other.stdout.readline() == "waiting\n"
    assert other.communicate()[0] == "in\n"


def test_a_board_without_a_terminal_writes_plain_lines():
    out = io.StringIO()
    board = Board(out)
    with board.step("one"):
        board.count(1, 2)
    with pytest.raises(ValueError), board.step("two"):
        raise ValueError
    lines = out.getvalue().splitlines()
    assert lines[0] == "one …" and lines[1].startswith("✓ one") and lines[3].startswith("✗ two")
    assert "\033" not in out.getvalue()


def test_a_bar_is_as_full_as_the_work_is_done():
    assert bar((0, 4), 0).count("█") == 0 and bar((4, 4), 0).count("░") == 0
    assert bar(None, 0) != bar(None, 1) and bar((0, 0), 0).endswith("0/0")


def test_every_step_and_command_has_words_in_both_languages(tree):
    for words in [*STEPS.values(), *[entry[1:] for entry in COMMANDS.values()]]:
        chinese, english = words
        assert not chinese.isascii() and english.isascii() and both(words)
    assert {step.name for command in setup.NEEDS for step in setup.steps_for(tree, command)} == set(
        STEPS
    )


def test_set_up_needs_no_installed_package():
    script = "import server.cli.setup"
    told = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=setup.ROOT, capture_output=True, text=True
    )
    assert (told.returncode, told.stderr) == (0, "")


# --- The commands behind run.py ---------------------------------------------------------------


def test_only_commands_whose_module_is_there_are_listed():
    listed = main.main.list_commands(click.Context(main.main))
    here = {path.stem for path in (setup.ROOT / "server/cli").glob("*.py")}
    assert listed == [name for name, entry in COMMANDS.items() if entry[0] in here]
    assert {"test", "check", "emit", "dev"} <= set(listed)


@pytest.mark.parametrize(
    ("paths", "app", "server"),
    [
        ((), True, True),
        (("pwa/tests/a.test.ts",), True, False),
        (("tests/test_house.py",), False, True),
        (("pwa/tests/a.test.ts", "tests/test_house.py"), True, True),
    ],
)
def test_a_path_chooses_its_own_runner(paths, app, server):
    chosen = test.Selection(None, None, tuple(str(setup.ROOT / path) for path in paths))
    assert (chosen.wants_app(), chosen.wants_server()) == (app, server)


def test_a_whole_run_uses_workers_and_a_chosen_test_none():
    assert "-n" in test.whole_run_arguments()
    assert test.pytest_arguments(test.Selection("sim", "x", ()), browser=False) == [
        *("-m", "not e2e", "--long", "sim", "-k", "x")
    ]


def test_a_whole_run_has_the_browsers_tests_apart_and_last(monkeypatch):
    said = []

    def runs(name):
        said.append(name)
        return test.Outcome(name, 0, 1, 0)

    monkeypatch.setattr(test, "run_browser_tests", lambda: runs("browser"))
    monkeypatch.setattr(test, "run_app_tests", lambda paths: runs("vitest"))
    monkeypatch.setattr(test, "run_server_tests", lambda chosen, browser: [runs("pytest")])
    whole, chosen = test.Selection(None, None, ()), test.Selection(None, "x", ())
    told = test.run_tests(whole, browser=True)
    assert [one.name for one in told] == said == ["vitest", "pytest", "browser"]
    assert [one.name for one in test.run_tests(whole, browser=False)] == ["vitest", "pytest"]
    assert [one.name for one in test.run_tests(chosen, browser=True)] == ["pytest"]


def test_a_module_is_compiled_once_for_all_tests_and_beside_no_source_where_none_is_wanted():
    wanted, unwanted = {"PATH": "x"}, {"PATH": "x", "PYTHONDONTWRITEBYTECODE": "1"}
    assert test.with_bytecode(wanted) == wanted
    told = test.with_bytecode(unwanted)
    assert not told["PYTHONDONTWRITEBYTECODE"]
    assert Path(told["PYTHONPYCACHEPREFIX"]).is_relative_to(setup.ROOT / "var")


def test_the_last_line_counts_both_runners_and_a_crashed_one_as_failed(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/>'
        '<testsuite tests="2" failures="0" errors="0"/></testsuites>'
    )
    assert test.counts(report) == (4, 2)
    crashed = test.run("x", [sys.executable, "-c", "exit(3)"], report, tmp_path, dict(os.environ))
    assert crashed == test.Outcome("x", 3, 0, 1)
    good = test.Outcome("y", 0, 4, 0)
    assert test.summary([crashed, good], 1).endswith("\n4 passed, 1 failed")


def test_under_ci_missing_system_packages_are_installed_or_the_run_fails(monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(system_packages, "missing", lambda: ["chromium"])
    monkeypatch.setattr(system_packages, "install", lambda names: names == ["chromium"])
    assert system_packages.ensure()
    monkeypatch.setattr(system_packages, "install", lambda names: False)
    with pytest.raises(click.ClickException, match="chromium"):
        system_packages.ensure()


def test_outside_ci_nothing_is_installed_without_a_yes(monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(system_packages, "missing", lambda: ["chromium"])
    monkeypatch.setattr(system_packages, "install", lambda names: pytest.fail("installed"))
    monkeypatch.setattr(system_packages.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert not system_packages.ensure()
    assert "apt-get install -y --no-install-recommends chromium" in capsys.readouterr().err


def test_the_browser_tests_run_where_only_the_compiler_is_not_there(monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(system_packages, "find_compiler", lambda: None)
    monkeypatch.setattr(system_packages, "find_browser", lambda: "/usr/bin/chromium")
    monkeypatch.setattr(system_packages, "has_chinese_font", lambda: True)
    monkeypatch.setattr(system_packages, "install", lambda names: pytest.fail("installed"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert system_packages.missing() == ["gcc", "libc6-dev"]
    assert system_packages.ensure()
    assert "gcc libc6-dev" in capsys.readouterr().err


def test_browser_tests_share_one_worker(tmp_path):
    shutil.copy(setup.ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  long\n  e2e\n")
    (tmp_path / "test_it.py").write_text(
        "import pathlib, pytest\npytestmark = pytest.mark.e2e\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "def test_it(n, worker_id): pathlib.Path(worker_id).touch()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", *test.whole_run_arguments(), "."]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "6 passed" in told.stdout
    assert len(list(tmp_path.glob("gw*"))) == 1


@pytest.mark.parametrize(("ci", "closing"), [("true", "1 failed, 1 deselected"), ("", "2 skipped")])
def test_ci_takes_no_skip_for_an_answer(tmp_path, ci, closing):
    shutil.copy(setup.ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  long\n  e2e\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.skip(reason='no part')\ndef test_a(): pass\n"
        "def test_b(): pytest.skip('no part')\n"
        "@pytest.mark.xfail\ndef test_c(): assert False\n"
        "@pytest.mark.long('sim')\ndef test_d(): assert False\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    env = {**os.environ, "CI": ci}
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert closing in told.stdout and "1 xfailed" in told.stdout
    assert "1 deselected" in told.stdout and ("1 error" in told.stdout) == bool(ci)
    assert bool(told.returncode) == bool(ci)


def test_emit_names_what_is_missing_or_differs(tmp_path):
    (tmp_path / "same").write_text("a")
    (tmp_path / "other").write_text("b")
    assert emit.stale_files(tmp_path, {"same": "a", "other": "a", "new": "a"}) == ["other", "new"]


def test_dev_sees_written_added_and_removed_sources():
    a, b, c = Path("a"), Path("b"), Path("c")
    assert dev.changed({a: 1, b: 1}, {a: 1, b: 1}) == []
    assert dev.changed({a: 1, b: 1}, {a: 2, c: 1}) == [a, b, c]
