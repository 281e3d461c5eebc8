"""A program of its own, run by sim.synth: synthesizes every engine of a design, and what is left of the top, at once.

Engines meet in registered streams, so little is lost by synthesizing each alone, and all cores have work. Needs pyosys.
Arguments: a file with the passes that read the design, the family, the top module, and the folder for the cell counts.
"""

import multiprocessing
import os
import re
import sys
from pathlib import Path
from typing import Any

_design: Any = None  # what was read; each part is made of it in a fork that then ends


def main(arguments: list[str]) -> None:
    """Read the design once; fork a process for each part, the largest first."""
    from pyosys import libyosys  # not before this is known to be the process that needs it

    global _design
    passes, family, top, stats = Path(arguments[0]), arguments[1], arguments[2], Path(arguments[3])
    _design = libyosys.Design()
    for line in passes.read_text().splitlines():
        _design.run_pass(line)
    names = [str(name).removeprefix("\\") for name in _design.modules_]
    engines = [n for n in names if re.fullmatch(rf"[a-z_]+\${re.escape(top)}\.u_node_[^.]*", n)]
    engines.sort(key=lambda engine: -sum(f"${_path(engine)}." in name for name in names))
    jobs: list[tuple[str, list[str], str, Path]] = [(engine, [], family, stats) for engine in engines]
    context = multiprocessing.get_context("fork")
    with context.Pool(len(os.sched_getaffinity(0)), maxtasksperchild=1) as pool:
        pool.starmap(_synthesize, [*jobs, (top, engines, family, stats)], chunksize=1)


def _path(engine: str) -> str:
    """The place of the engine in the design, after the name of its module."""
    return engine.partition("$")[2]


def _synthesize(part: str, without: list[str], family: str, stats: Path) -> None:
    """Synthesize one part and write its cell counts to `stats`."""
    for engine in without:
        _design.run_pass(f"blackbox {engine}")
    _design.run_pass(f"hierarchy -top {part}")
    _design.run_pass(f"synth_xilinx -family {family} -top {part} -flatten -noiopad")
    _design.run_pass(f"tee -q -o {stats / (part.replace('$', '-') + '.json')} stat -json")


if __name__ == "__main__":
    main(sys.argv[1:])
