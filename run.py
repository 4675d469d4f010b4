#!/usr/bin/env python3
"""The one entry point: `python3 run.py <command>` sets up what is missing, then runs the command.

Keeps to syntax that any Python 3 can parse: an old one gets a sentence instead of a traceback.
"""

import os
import sys

PYTHON_MIN = (3, 11)


def speak_any_language() -> None:
    """Afterwards printing Chinese cannot fail, whatever the terminal's encoding is."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def refuse_old_python() -> int:
    """Say in one sentence per language which Python is needed and which one this is."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.stderr.write(
        "令达需要 Python ≥ 3.11,而这里是 {0}({1}):请安装较新的 Python 并用它重新运行同一命令。\n"
        "LingDa needs Python ≥ 3.11, but this is {0} ({1}): install a newer Python and run the same"
        " command with it.\n".format(found, sys.executable)
    )
    return 2


def main() -> int:
    speak_any_language()
    if sys.version_info < PYTHON_MIN:
        return refuse_old_python()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from server.cli.setup import set_up_and_run

    return set_up_and_run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
