"""`python -m server.cli`: what run.py becomes once set-up is done."""

import sys

from server.cli.main import main
from server.cli.setup import SetupError, report

if __name__ == "__main__":
    try:
        main(prog_name="run.py")
    except SetupError as error:
        sys.exit(report(error, sys.stderr))
