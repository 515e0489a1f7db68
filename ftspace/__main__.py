"""`python -m ftspace`: the command line, in ftspace/cli.py."""

import sys

from ftspace.cli import main
from ftspace.streams import guard

if __name__ == "__main__":
    guard()
    sys.exit(main())
