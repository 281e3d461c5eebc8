"""The AXI-Lite register map: one table for RTL, HLS, both hosts and the manifest."""

from dataclasses import dataclass

from codesign.ir.design import Design


@dataclass(frozen=True, slots=True)
class Register:
    """A 32-bit register. `rtl_only`: the HLS spelling does not have it. `loads`: only a machine that loads has it."""

    name: str
    offset: int
    writable: bool
    rtl_only: bool
    what: str
    loads: bool = False


# The first word follows the ap_ctrl_hs layout of the vendor's HLS tools, so one driver starts either spelling.
CTRL_START = 1 << 0
CTRL_DONE = 1 << 1
CTRL_IDLE = 1 << 2

# What the register `spelling` of the RTL holds, the letters "RTL"; the HLS spelling reads 0 there.
SPELLING_RTL = 0x52544C

REGISTERS = (
    Register("ctrl", 0x00, True, False, "bit 0 start, bit 1 done (cleared by reading), bit 2 idle"),
    Register("images", 0x10, True, False, "images to process after start; 0: an empty run, which moves nothing"),
    Register("hash_lo", 0x20, False, False, "design hash, low 32 bits; HLS: 0 until the first run, empty or not"),
    Register("hash_hi", 0x30, False, False, "design hash, high 32 bits; HLS: 0 until the first run, empty or not"),
    Register("cycles_lo", 0x40, False, True, "cycles from the first input beat to the last output beat, low 32 bits"),
    Register(
        "first_out_cycles_lo", 0x44, False, True, "cycles to the last output beat of the first image, low 32 bits"
    ),
    Register("beats_in", 0x48, False, True, "input beats taken since start"),
    Register("beats_out", 0x4C, False, True, "output beats given since start"),
    Register("images_out", 0x50, False, True, "images finished since start"),
    Register("cycles_hi", 0x54, False, True, "the same cycles, high 32 bits; both halves stand still after done"),
    Register(
        "first_out_cycles_hi", 0x58, False, True, "the same cycles, high 32 bits; both halves stand still after done"
    ),
    Register("spelling", 0x5C, False, True, "0x52544C, the letters RTL: the counters are there; HLS reads 0"),
    Register(
        "weights_lo", 0x60, True, True, "address of the weights in DRAM, low 32 bits; a multiple of 128", loads=True
    ),
    Register("weights_hi", 0x64, True, True, "address of the weights in DRAM, high 32 bits", loads=True),
    Register(
        "weights_state", 0x68, False, True, "bit 0 weights are loaded, bit 1 the last image was refused", loads=True
    ),
    Register("weights_crc", 0x6C, False, True, "CRC-32 of the image that was loaded last", loads=True),
)
ADDRESS_BITS = 7


def registers_of(design: Design) -> tuple[Register, ...]:
    """Return the registers of a design's machine."""
    return tuple(entry for entry in REGISTERS if design.is_loaded or not entry.loads)


def register(name: str) -> Register:
    """Return the register of that name. Raise KeyError."""
    for entry in REGISTERS:
        if entry.name == name:
            return entry
    raise KeyError(name)
