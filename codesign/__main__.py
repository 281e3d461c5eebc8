"""`python -m codesign`, for programs that start a module: torchrun does."""

import sys

from codesign.cli import main

if __name__ == "__main__":
    sys.exit(main())
