"""`codesign` and `python -m codesign`: torchrun starts the module."""

import sys


def main() -> int:
    """Load the command line and run it; to be interrupted while it is loaded is no error either."""
    try:
        from codesign import cli
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was begun\n")
        return 130
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
