"""A separate program, run by sim.synth: synthesizes every engine of a design, and what is left of the top, at once.

Engines meet in registered streams, so little is lost by synthesizing each alone, and all cores have work. The array of
a wide engine is synthesized with one lane and with two: what the second lane adds is what every further lane takes. The
registers of its operands go with it, because a DSP may take them in. That array alone may take some per cent fewer LUTs
than as part of the whole; its other counts are the same.
A part is known by its content: where the counts of the same content are kept, they are taken as they are.

Needs pyosys. Its first arguments are a file with the passes that read the design, the family and the top module. Then
come the folder for the cell counts, and the folder where counts are kept by content. The last are the version of Yosys,
and the instances in the top module that are engines. The first folder gets a file for each part, and `parts.json` with
all of them: [{"file", "times"}]. If a part is too large or failed, it gets a file `too_large` or `failed` instead, with
a sentence that names the part.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE_PRODUCTS = 128  # up to so many products an engine is synthesized as a whole
SINGLE, PACKED = "g_single.u_array", "g_packed.u_array"  # the array in an engine
OPERANDS = ("x_i", "w_i")  # ports of an array; registers stand in front of them
MOST_PRODUCTS = 1024  # in any part; more take more than ten minutes, and gigabytes

_PLACE = re.compile(r"^(?: *attribute \\(?:src|hdlname) .*|autoidx .*)\n", re.MULTILINE)
_NUMBER = re.compile(r"\$(\d+)")  # of a name that Yosys made; it counts through the whole design
_TEMPORARY = ".codesign-tmp-"  # begins the name of what is not finished, as everywhere in a run folder


@dataclass(frozen=True, slots=True)
class Part:
    """A module to synthesize as top, the modules left out of it, and how often its cells count.

    `lanes`: how many of its lanes are kept, if it is an array; None if all are.
    """

    top: str
    without: tuple[str, ...] = ()
    lanes: int | None = None
    times: int = 1

    def __str__(self) -> str:
        return self.path or self.top

    @property
    def path(self) -> str:
        """The instance that is the part; empty for the top module."""
        return self.top.partition("$")[2]

    @property
    def file(self) -> str:
        """The name of the file of its cell counts."""
        return f"{self.top.replace('$', '-')}{'' if self.lanes is None else f'-{self.lanes}'}.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What all parts have in common: the family, where counts go, where they are kept, and what makes them."""

    family: str
    stats: Path
    kept: Path
    version: str


class TooLarge(Exception):
    """A part that would take too much time and memory."""


class KilledPart(Exception):
    """A part whose process was killed from outside."""

    def __init__(self, part: Part) -> None:
        super().__init__(str(part))
        self.part = part


def main(arguments: list[str]) -> int:
    """Read the design once; fork a process for each part, the largest first."""
    from pyosys import libyosys  # not before this is known to be the process that needs it

    passes, family, top, stats = Path(arguments[0]), arguments[1], arguments[2], Path(arguments[3])
    job = Job(family, stats, Path(arguments[4]), arguments[5])
    design = libyosys.Design()
    for line in passes.read_text().splitlines():
        design.run_pass(line)
    try:
        parts = parts_of({_plain(m.name): m for m in design.modules_.values()}, top, arguments[6:])
    except TooLarge as error:
        (stats / "too_large").write_text(str(error))
        return 1
    try:
        failed = _run(design, parts, job, len(os.sched_getaffinity(0)))
        # What failed beside others may have lacked memory: once more, each alone.
        failed = _run(design, failed, job, 1)
    except KilledPart as error:
        failed = [error.part]
    if failed:
        (stats / "failed").write_text(f"part {failed[0]} was killed or failed, most likely because memory ran out")
        return 1
    (stats / "parts.json").write_text(json.dumps([{"file": p.file, "times": p.times} for p in parts]))
    return 0


def parts_of(modules: dict[str, Any], top: str, instances: Sequence[str]) -> list[Part]:
    """Return the parts of the design, the largest first; `instances` of the top are engines. Raise TooLarge."""
    paths = {f"{top}.{instance}" for instance in instances}
    engines = [name for name in modules if name.partition("$")[2] in paths]
    parts = [Part(top, without=tuple(engines))]
    size = {parts[0]: 0}
    for engine in engines:
        path = engine.partition("$")[2]
        below = [n for n in modules if f"${path}." in n]
        products = sum(n.startswith(("multiply$", "packed_tap$")) for n in below)
        array = next((n for n in below if n in (f"mac_array${path}.{SINGLE}", f"packed_array${path}.{PACKED}")), "")
        lanes = 0 if array not in modules else len(set(filter(None, map(_lane, _cells(modules[array])))))
        if products <= WHOLE_PRODUCTS or lanes <= 2 or _is_constant(modules[f"weight_rom${path}.u_weights"]):
            found = {Part(engine): products}
        else:
            each = products // lanes
            found = {
                Part(engine, without=(array,)): 0,
                Part(array, lanes=1, times=2 - lanes): each,
                Part(array, lanes=2, times=lanes - 1): 2 * each,
            }
        most = max(found.values())
        if most > MOST_PRODUCTS:
            raise TooLarge(f"engine {path} has {products:,} products, {most:,} of them in one piece")
        size |= found
    return sorted(size, key=lambda part: -size[part])


def _is_constant(weight_rom: Any) -> bool:
    """Tell whether weights never change: what is left of a product then depends on its weight; lanes differ."""
    return any("g_constant." in _plain(wire.name) for wire in weight_rom.wires_.values())


def _cells(module: Any) -> list[str]:
    return [_plain(cell.name) for cell in module.cells_.values()]


def _lane(cell: str) -> str | None:
    """Return the lane of an array that the instance is in: a channel, or a pair of channels where they share DSPs."""
    found = re.match(r"g_(?:pe|pair)\[(\d+)\]", cell)
    return found[1] if found else None


def _plain(name: object) -> str:
    return str(name).removeprefix("\\")


def _run(design: Any, parts: Sequence[Part], job: Job, workers: int) -> list[Part]:
    """Synthesize the parts, as many at once as there are workers; return those that failed.

    The workers share the memory that is free. Raise KilledPart as soon as one was killed.
    """
    limit = _mapped_bytes() + _free_bytes() // max(1, min(workers, len(parts)))
    todo, failed = list(parts), list[Part]()
    running: dict[int, Part] = {}
    while todo or running:
        while todo and len(running) < workers:
            part = todo.pop(0)
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                _work(design, part, job, limit)
            running[child] = part
        child, status = os.wait()
        part = running.pop(child)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            raise KilledPart(part)
        if status != 0:
            failed.append(part)
    return failed


def _work(design: Any, part: Part, job: Job, limit: int) -> None:
    """Run one part in a forked process, with so many bytes of memory at most."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        _count(design, part, job)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _count(design: Any, part: Part, job: Job) -> None:
    """Write the cell counts of one part: those that are kept of its content, or by synthesis."""
    _cut_out(design, part)
    # No cells but registers in front of an array that was cut out; a part without one has none.
    ports = ",".join((*OPERANDS, "Q"))
    operands = f"delete t:FD* t:*_array$* %ci2:+[{ports}] %i"
    script = (f"synth_xilinx -family {job.family} -top {part.top} -flatten -noiopad", operands, "stat -json")
    stat, content = job.stats / part.file, job.stats / f"{part.file}.il"
    design.run_pass(f"write_rtlil {content}")
    text = canonical("\n".join((job.version, *script, content.read_text())), part.path)
    content.unlink()
    kept = job.kept / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if not kept.exists():
        design.run_pass(script[0])
        design.run_pass(script[1])
        design.run_pass(f"tee -q -o {stat} {script[2]}")
        unfinished = job.kept / f"{_TEMPORARY}{os.getpid()}"
        shutil.copyfile(stat, unfinished)
        os.replace(unfinished, kept)
    shutil.copyfile(kept, stat)


def canonical(text: str, path: str) -> str:
    """Return a part's RTLIL without what only its place in the design decides.

    That is its instance (`path`), its lines in the source, and the numbers in names that Yosys made. Numbers are
    replaced by their order here. Two parts of the same text have the same cells.
    """
    numbers: dict[str, int] = {}
    text = _PLACE.sub("", text)
    text = _NUMBER.sub(lambda found: f"${numbers.setdefault(found[1], len(numbers))}", text)
    return text.replace(path, "*") if path else text


def _cut_out(design: Any, part: Part) -> None:
    """Leave nothing in the design but the part."""
    for module in part.without:
        design.run_pass(f"blackbox {module}")
    if part.lanes is not None:
        (array,) = (m for m in design.modules_.values() if _plain(m.name) == part.top)
        for cell in list(array.cells_.values()):
            lane = _lane(_plain(cell.name))
            if lane is not None and int(lane) >= part.lanes:
                array.remove(cell)
        for port in OPERANDS:
            _register(array, port)
    design.run_pass(f"hierarchy -top {part.top}")


def _register(module: Any, port: str) -> None:
    """Put a register behind an input port."""
    from pyosys import libyosys

    inside = module.wire(libyosys.IdString(f"\\{port}"))
    module.rename(inside, libyosys.IdString(f"\\{port}_q"))
    outside = module.addWire(libyosys.IdString(f"\\{port}"), inside.width)
    outside.port_id, outside.port_input = inside.port_id, True
    inside.port_input = False
    clock = libyosys.SigSpec(module.wire(libyosys.IdString("\\clk_i")))
    name = libyosys.IdString(f"${port}_register")
    module.addDff(name, clock, libyosys.SigSpec(outside), libyosys.SigSpec(inside), True)
    module.fixup_ports()


def _free_bytes() -> int:
    """Return the bytes of memory that the system can still give."""
    found = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def _mapped_bytes() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
