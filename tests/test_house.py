"""The house rules: what lies where, who imports whom, how long a piece is, whence words come."""

import ast
import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest

from schema.emit import emit_all

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="asks git what belongs here")

TOP_LEVEL = re.compile(
    r"server|pwa|sync|schema|static|tests|docs|\.ci|run\.py|pyproject\.toml|README\.md|README\.zh-CN\.md"
    r"|CHANGELOG\.md|LICENSE|requirements[\w-]*\.lock|\.gitignore|\.gitattributes"
)

# What each Python layer may import: our own layers, and of all else only this.
PURE = {
    *("__future__", "abc", "base64", "bisect", "collections", "copy", "dataclasses", "enum"),
    *("functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "string"),
    *("struct", "types", "typing", "unicodedata", "msgspec"),
}
FILE_READERS = {
    "schema/register/__init__.py",
    "schema/words.py",
}  # Read what lies in schema/ itself.
READING = {"csv", "importlib", "pathlib"}

LAYERS = ("core", "store", "net", "ui")  # Each imports only what stands left of it.
APP_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]""")
BROWSER = r"(?<![\w.])(window|document|fetch|indexedDB|localStorage)\b"
CORE_NEVER = re.compile(BROWSER + r"|Date\.now|new Date\(\)|Math\.random")

CODE = {".py", ".ts", ".js", ".svelte", ".html"}
FILE_LINES_MAX, TEST_LINES_MAX, FUNCTION_LINES_MAX = 500, 700, 70
HAN = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
BOOTSTRAP_WORDS = {"server/cli/setup_words.py"}  # Said before schema/i18n can be read.
MARKUP_COMMENT = re.compile(r"<!--.*?-->|\{#.*?#\}|/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)


@cache
def files() -> tuple[str, ...]:
    """What git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(sorted(path for path in told.stdout.split("\0") if (ROOT / path).is_file()))


def under(folder: str, *suffixes: str) -> list[str]:
    return [path for path in files() if path.startswith(folder) and path.endswith(suffixes)]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: str) -> ast.Module:
    return ast.parse(text(path), path)


# --- Layout -----------------------------------------------------------------------------------


def test_the_top_level_holds_only_what_the_plan_names():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {path.partition("/")[0] for path in tracked.stdout.splitlines()}
    assert [name for name in sorted(names) if not TOP_LEVEL.fullmatch(name)] == []


def test_nothing_built_or_third_party_is_kept():
    built = re.compile(r"(^|/)(node_modules|\.venv|var)/|^static/(app|vendor)/|\.woff2?$")
    assert [path for path in files() if built.search(path)] == []


def test_lock_files_hold_hashes_and_no_addresses():
    for path in under("requirements", ".lock"):
        assert not re.search(r"\w+://|@ file|--(extra-)?index-url|--find-links", text(path)), path
        assert "--hash=sha256:" in text(path), path
    lock = text("pwa/package-lock.json")
    assert '"resolved"' not in lock and "http" not in lock and '"integrity"' in lock


# --- Who may import whom ----------------------------------------------------------------------


def imports(path: str) -> set[str]:
    """Top-level names of all modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "" if node.level == 0 else path.partition("/")[0])
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(("layer", "below"), [("schema", {"schema"}), ("sync", {"schema", "sync"})])
def test_schema_and_sync_are_pure_and_look_only_down(layer, below):
    for path in under(f"{layer}/", ".py"):
        allowed = PURE | below | (READING if path in FILE_READERS else set())
        assert imports(path) - allowed == set(), path


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_of_the_app_looks_only_down(layer):
    above = LAYERS[LAYERS.index(layer) + 1 :]
    for path in under(f"pwa/src/{layer}/", ".ts", ".svelte"):
        for target in APP_IMPORT.findall(text(path)):
            landed = landing(path, target)
            assert not landed.startswith(tuple(f"pwa/src/{name}/" for name in above)), (
                path,
                target,
            )


def landing(path: str, target: str) -> str:
    """Where a relative import points; a package name as it is."""
    if not target.startswith("."):
        return target
    return (ROOT / path).parent.joinpath(target).resolve().relative_to(ROOT).as_posix() + "/"


def test_the_app_s_core_touches_no_browser_clock_or_chance():
    for path in under("pwa/src/core/", ".ts"):
        assert CORE_NEVER.findall(without_comments(path)) == [], path


# --- Sizes ------------------------------------------------------------------------------------


def test_no_file_is_too_long():
    generated = emit_all()
    code = [path for path in files() if Path(path).suffix in CODE and path not in generated]
    lines = {path: text(path).count("\n") for path in code}
    assert {path: n for path, n in lines.items() if n > lines_max(path)} == {}


def lines_max(path: str) -> int:
    return TEST_LINES_MAX if path.startswith(("tests/", "pwa/tests/")) else FILE_LINES_MAX


def test_no_python_function_is_too_long():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for path in under("", ".py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, functions) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, (path, node.name)


# --- Words ------------------------------------------------------------------------------------


def without_comments(path: str) -> str:
    return MARKUP_COMMENT.sub("", text(path))


def docstring_lines(path: str) -> set[int]:
    """Every line of every string that stands alone as a statement."""
    bare = [node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)]
    strings = [node for node in bare if isinstance(node, ast.Constant | ast.JoinedStr)]
    return {n for node in strings for n in range(node.lineno, (node.end_lineno or 0) + 1)}


def chinese_literals(path: str) -> list[str]:
    documented = docstring_lines(path)
    return [
        f"{path}:{token.start[0]} {token.string}"
        for token in tokenize.generate_tokens(io.StringIO(text(path)).readline)
        if token.type != tokenize.COMMENT
        and token.start[0] not in documented
        and HAN.search(token.string)
    ]


def test_words_on_pages_come_from_the_dictionaries():
    pages = under("server/", ".html", ".js") + under("pwa/src/", ".svelte")
    assert [path for path in pages if HAN.search(without_comments(path))] == []


def test_words_in_the_server_come_from_the_dictionaries():
    sources = [path for path in under("server/", ".py") if path not in BOOTSTRAP_WORDS]
    assert [found for path in sources for found in chinese_literals(path)] == []


def test_generated_files_are_fresh():
    stale = [
        path for path, wanted in emit_all().items() if path not in files() or text(path) != wanted
    ]
    assert stale == [], "run: python3 run.py emit"
