"""How set-up runs a tool and shows how far it is. Standard library only."""

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TAIL_LINES = 15
BAR_CELLS = 16
REDRAW_S = 0.1

# Settings of a person's shell that would send packages elsewhere or leave half of them out.
DROPPED_SETTINGS = ("NODE_ENV", "PIP_PREFIX", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH")


class ToolFailed(Exception):
    """A tool ended with an error. Its whole output is in `log`, its last lines in `tail`."""

    def __init__(self, log: Path, tail: list[str]) -> None:
        super().__init__(log)
        self.log = log
        self.tail = tail


def tool_env(outer: Mapping[str, str], first_in_path: Path | None = None) -> dict[str, str]:
    """An environment in which pip and npm ask nothing, advertise nothing and install everything."""
    env = {name: value for name, value in outer.items() if name not in DROPPED_SETTINGS}
    env |= {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_include": "dev",
        "npm_config_update_notifier": "false",
        "npm_config_yes": "false",
    }
    if first_in_path:
        env["PATH"] = os.pathsep.join([str(first_in_path), env.get("PATH", os.defpath)])
    return env


def run_logged(
    command: Sequence[str],
    log: Path,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Run a tool to its end with its output in `log`. Raises ToolFailed unless it exits with 0."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            close_fds=os.name == "nt",  # A tool that outlives us keeps the set-up lock.
        ) as tool,
    ):
        for line in tool.stdout or ():
            kept.write(line)
            tail.append(line.rstrip())
            on_line(line)
    if tool.returncode != 0:
        raise ToolFailed(log, list(tail))


@contextmanager
def one_at_a_time(lock: Path, say_waiting: Callable[[], None]) -> Iterator[None]:
    """Inside, no other set-up of this tree runs, and no tool that a killed one left behind."""
    try:
        import fcntl
    except ImportError:  # Windows: two set-ups at once are the person's own care.
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        os.set_inheritable(held.fileno(), True)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say_waiting()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


class Board:
    """Shows each step with its time: one live line on a terminal, plain lines elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.live = out.isatty()
        self.part: tuple[int, int] | None = None

    def line(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def count(self, done: int, total: int) -> None:
        """Fill the bar of the running step this far."""
        self.part = (min(done, total), total)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show `title` while the block runs, and how long it took when it ends well."""
        started, ended, self.part = time.monotonic(), threading.Event(), None
        ticker = threading.Thread(target=self._redraw, args=(title, started, ended), daemon=True)
        if self.live:
            ticker.start()
        else:
            self.line(f"{title} …")
        good = False
        try:
            yield
            good = True
        finally:
            ended.set()
            if self.live:
                ticker.join()
            self._close(f"{title}  {time.monotonic() - started:.1f} s", good)

    def _close(self, text: str, good: bool) -> None:
        mark = "✓" if good else "✗"
        self.line(f"\r\033[K{mark} {text}" if self.live else f"{mark} {text}")

    def _redraw(self, title: str, started: float, ended: threading.Event) -> None:
        while not ended.wait(REDRAW_S):
            seconds = time.monotonic() - started
            self.out.write(f"\r\033[K  {title} {bar(self.part, seconds)} {seconds:.0f} s")
            self.out.flush()


def bar(part: tuple[int, int] | None, seconds: float) -> str:
    """A bar filled as far as known; without a known end, one cell wanders to show life."""
    if part is None:
        at = int(seconds / REDRAW_S) % BAR_CELLS
        return "░" * at + "█" + "░" * (BAR_CELLS - at - 1)
    done, total = part
    filled = BAR_CELLS * done // max(total, 1)
    return "█" * filled + "░" * (BAR_CELLS - filled) + f" {done}/{total}"
