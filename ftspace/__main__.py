"""`python -m ftspace`: the command line, in ftspace/cli.py."""

import sys

from ftspace.cli import main

if __name__ == "__main__":
    sys.exit(main())
