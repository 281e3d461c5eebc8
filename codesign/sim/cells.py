"""The primitives of Xilinx parts as parts of paths: where a path starts, where it ends, and what lies between."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from codesign.ir.timing import Delays

Bit = int  # a net of one bit, as Yosys numbers them; below zero where a pin of a carry block has none
CLOCKS = frozenset({"C", "CLK", "CLKARDCLK", "CLKBWRCLK", "WCLK", "G"})
_RESETS = frozenset({"R", "S", "CLR", "PRE"})


class Cell(NamedTuple):
    """A primitive: its type, parameters, and the bits at its inputs and outputs."""

    name: str
    type: str
    parameters: dict[str, Any]
    inputs: dict[str, tuple[Bit, ...]]
    outputs: dict[str, tuple[Bit, ...]]

    def on(self, parameter: str) -> bool:
        """Tell whether a parameter is there and not zero."""
        return int(str(self.parameters.get(parameter, "0")), 2) != 0


def numbers(bits: Iterable[Any]) -> tuple[Bit, ...]:
    """Return the bits that are nets, without constants."""
    return tuple(bit for bit in bits if isinstance(bit, int))


def cell_of(name: str, cell: dict[str, Any]) -> Cell:
    """Return the cell; bits that are constant are left out, but where their place tells what they are."""
    pins: dict[str, dict[str, tuple[Bit, ...]]] = {"input": {}, "output": {}}
    placed = cell["type"] in {"CARRY4", "CARRY8"}
    for port, bits in cell["connections"].items():
        kept = tuple(bit if isinstance(bit, int) else -1 for bit in bits) if placed else numbers(bits)
        pins[cell["port_directions"][port]][port] = kept
    return Cell(name, cell["type"], cell["parameters"], pins["input"], pins["output"])


def is_lut_memory(cell: Cell) -> bool:
    """Tell whether the cell is a memory in LUTs."""
    return re.match(r"RAM\d+[XM]", cell.type) is not None


def launches(cell: Cell, d: Delays) -> Iterator[tuple[Bit, float]]:
    """Yield the outputs that a clock edge changes, with the nanoseconds after it."""
    if cell.type.startswith("FD"):
        ns = d.register
    elif cell.type.startswith("SRL"):
        ns = d.shift_register
    elif cell.type.startswith("RAMB"):
        ns = d.block_ram_registered if cell.on("DOA_REG") or cell.on("DOB_REG") else d.block_ram
    elif cell.type.startswith("URAM"):
        ns = d.block_ram_registered
    elif cell.type.startswith("DSP48"):
        stages = _dsp_stages(cell)
        ns = d.dsp_register if stages[2] else d.dsp_sum if stages[1] or cell.on("CREG") else d.dsp_product
        if not any(stages) and not cell.on("CREG"):
            return
    else:
        return
    for bits in cell.outputs.values():
        for bit in bits:
            yield bit, ns


def _dsp_stages(cell: Cell) -> tuple[bool, bool, bool]:
    """Tell whether operands, product and sum have registers."""
    return cell.on("AREG") or cell.on("BREG"), cell.on("MREG"), cell.on("PREG")


def setup_ns(cell: Cell, port: str, d: Delays) -> float | None:
    """Return the set-up time of a register's pin; None if it is none."""
    if port in CLOCKS:
        return None
    if cell.type.startswith("FD"):
        return d.setup if port == "D" else d.setup_reset if port in _RESETS else d.setup_enable
    if cell.type.startswith(("RAMB", "URAM", "SRL")):
        return d.setup_enable
    if is_lut_memory(cell):
        return d.setup_enable if port in {"WE", "DI", "DIA", "DIB", "DIC", "DID", "D"} else None
    if cell.type.startswith("DSP48"):
        return _dsp_setup(cell, port, d)
    return None


def _dsp_setup(cell: Cell, port: str, d: Delays) -> float | None:
    operands, product, total = _dsp_stages(cell)
    first = cell.on("AREG") if port in {"A", "ACIN"} else cell.on("BREG") if port in {"B", "BCIN"} else False
    if port in {"A", "B", "ACIN", "BCIN", "D"}:
        if first:
            return d.setup_enable
        if product:
            return d.dsp_setup_product
        return d.dsp_setup_product + d.dsp_setup_sum if total else None
    if port in {"C", "PCIN"}:
        if port == "C" and cell.on("CREG"):
            return d.setup_enable
        return d.dsp_setup_sum if total else None
    return d.setup_enable if operands or product or total else None


def through(cell: Cell, d: Delays) -> Iterator[tuple[Bit, str, Bit, float, int, int]]:
    """Yield combinational ways: the output, the pin and bit where it begins, nanoseconds, LUTs, carry blocks."""
    if cell.type.startswith("LUT") or cell.type == "INV":
        ns, lut = (d.lut, 1) if cell.type != "INV" else (0.0, 0)
        yield from ((o, p, i, ns, lut, 0) for o in cell.outputs["O"] for p, bits in cell.inputs.items() for i in bits)
    elif cell.type.startswith("MUXF"):
        yield from ((o, p, i, d.mux, 0, 0) for o in cell.outputs["O"] for p, bits in cell.inputs.items() for i in bits)
    elif cell.type == "CARRY4":
        yield from _through_carry(cell, d)
    elif is_lut_memory(cell):
        addresses = [(p, i) for p, bits in cell.inputs.items() if re.match(r"ADDR|DPRA|A\d?$", p) for i in bits]
        yield from ((o, p, i, d.lut, 1, 0) for bits in cell.outputs.values() for o in bits for p, i in addresses)
    elif cell.type.startswith("SRL"):
        addresses = [(p, i) for p, bits in cell.inputs.items() if p.startswith("A") for i in bits]
        yield from ((o, p, i, d.lut, 1, 0) for bits in cell.outputs.values() for o in bits for p, i in addresses)
    elif cell.type.startswith("DSP48"):
        yield from _through_dsp(cell, d)


def _through_carry(cell: Cell, d: Delays) -> Iterator[tuple[Bit, str, Bit, float, int, int]]:
    for out, bits in cell.outputs.items():
        for place, o in enumerate(bits):
            if o < 0:
                continue
            for pin in ("S", "DI"):
                for i in cell.inputs[pin][: place + 1]:
                    if i >= 0:
                        yield o, pin, i, d.carry_enter, 0, 1
            for pin in ("CI", "CYINIT"):
                for i in cell.inputs.get(pin, ()):
                    if i >= 0:
                        ns = d.carry if out == "CO" else d.carry_leave
                        yield o, pin, i, ns if pin == "CI" else ns + d.carry_enter, 0, 1


def _through_dsp(cell: Cell, d: Delays) -> Iterator[tuple[Bit, str, Bit, float, int, int]]:
    operands, product, total = _dsp_stages(cell)
    if total:
        return
    ways = {"C": not cell.on("CREG"), "PCIN": True}
    ways |= dict.fromkeys(("A", "B", "D"), not operands and not product)
    for pin, open_ in ways.items():
        ns = d.dsp_sum if pin in {"C", "PCIN"} else d.dsp_product
        for i in cell.inputs.get(pin, ()) if open_ else ():
            yield from ((o, pin, i, ns, 0, 0) for bits in cell.outputs.values() for o in bits)
