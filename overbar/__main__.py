"""`python -m overbar`: the same as the command `overbar`."""

import sys

from overbar.cli import main

if __name__ == "__main__":
    sys.exit(main())
