"""`python -m shared.cli` is the command `reconcile`."""

import sys

from shared.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
