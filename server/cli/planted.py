"""Plants type errors and asks whether the checkers see them: a blind one looks like success."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from server.cli.setup import Node
from server.cli.setup_words import BLIND, both

WRONG_PYTHON = 'def count() -> int:\n    return "three"\n'
PYTHON_FINDINGS = (
    'planted.py:2: error: Incompatible return value type (got "str", expected "int")',
)

WRONG_SCRIPT = "export const count: number = 'three';\n"
WRONG_COMPONENT = """<script lang="ts">
  const name: string = 3;
</script>

<p>{name.nothing}</p>
<img src="a.png" />
"""
MODULES = "../../pwa/node_modules"
APP_SETTINGS = {
    "extends": "../../pwa/tsconfig.json",
    "compilerOptions": {
        "paths": {"*": [f"{MODULES}/*"]},
        "typeRoots": [MODULES, f"{MODULES}/@types"],
    },
    "include": ["*.ts", "*.svelte"],
    "exclude": [],
}
APP_FINDINGS = (
    "Type 'string' is not assignable to type 'number'",
    "Type 'number' is not assignable to type 'string'",
    "Property 'nothing' does not exist on type 'string'",
    "a11y_missing_attribute",
)


def python_checker_is_blind(root: Path) -> str:
    """ "" when mypy, under our own settings, reports the planted error."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "planted.py").write_text(WRONG_PYTHON, encoding="utf-8")
        settings = ["--config-file", str(root / "pyproject.toml"), "--cache-dir", folder]
        command = [sys.executable, "-m", "mypy", *settings, "planted.py"]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return verdict("mypy", told, PYTHON_FINDINGS)


def app_checker_is_blind(root: Path, node: Node) -> str:
    """ "" when svelte-check, under our own settings, reports each planted error."""
    pwa, var = root / "pwa", root / "var"
    var.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="planted-", dir=var) as folder:
        plant(Path(folder))
        program = pwa / "node_modules/svelte-check/bin/svelte-check"
        command = [str(node.program), str(program), "--workspace", folder, "--fail-on-warnings"]
        command += ["--output", "machine-verbose", "--tsconfig", f"{folder}/tsconfig.json"]
        told = subprocess.run(
            command, cwd=pwa, env=node.env(), capture_output=True, encoding="utf-8"
        )
    return verdict("svelte-check", told, APP_FINDINGS)


def plant(folder: Path) -> None:
    """Wrong files under the app's own settings, out of sight of the formatter."""
    (folder / "tsconfig.json").write_text(json.dumps(APP_SETTINGS), encoding="utf-8")
    (folder / "planted.ts").write_text(WRONG_SCRIPT, encoding="utf-8")
    (folder / "Planted.svelte").write_text(WRONG_COMPONENT, encoding="utf-8")


def verdict(tool: str, told: subprocess.CompletedProcess[str], findings: tuple[str, ...]) -> str:
    """ "" when the tool failed and named every finding."""
    unseen = [finding for finding in findings if finding not in told.stdout]
    if told.returncode and not unseen:
        return ""
    return "\n".join([both(BLIND).format(tool=tool), *unseen, told.stdout, told.stderr])
