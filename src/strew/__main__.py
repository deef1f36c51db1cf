"""`python -m strew` is the same as the command `strew`."""

import sys

from strew.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
