"""Verilator's run-time library compiled once for all simulations of a test run: `objcache.py g++ ... -c -o OUT SOURCE`.

What a simulation makes of it is the same object whenever command and source are, so it is copied from the folder that
OBJCACHE_FOLDER names. What belongs to a simulation itself is compiled as asked.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(command: list[str]) -> int:
    """Compile, or copy what the same command made of the same source before."""
    kept, out, source = Path(os.environ["OBJCACHE_FOLDER"]), command.index("-o") + 1, Path(command[-1])
    if not source.name.startswith("verilated"):
        return subprocess.run(command, check=False).returncode
    text = "\0".join([*command[:out], *command[out + 1 :]]).encode() + source.read_bytes()
    found, target = kept / f"{hashlib.sha256(text).hexdigest()}.o", Path(command[out])
    if found.exists():
        shutil.copyfile(found, target)
        return 0
    status = subprocess.run(command, check=False).returncode
    if status == 0:
        made = kept / f"{found.name}.{os.getpid()}"
        shutil.copyfile(target, made)
        made.replace(found)  # at once: other simulations may look for it
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
