"""`codesign` and `python -m codesign`: torchrun starts the module."""

import os
import sys


def main() -> int:
    """Load the command line and run it; return the exit status, or end the process with it after an interrupt."""
    try:
        from codesign import cli
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was begun\n")
        return 130
    status = cli.main()
    if status > 128:
        # CPython would die of SIGINT here, whatever the status, if a library had evaluated what was interrupted.
        sys.stdout.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
