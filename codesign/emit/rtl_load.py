"""The load bus of the SystemVerilog top level: what its wires are called, and the ports that they join."""

from dataclasses import dataclass

from codesign.machine.elaborate import Machine, Unit, load_stage
from codesign.machine.loading import ADDRESS_BITS, BURST_BEATS
from codesign.machine.modules import WeightRom


@dataclass(frozen=True, slots=True)
class LoadBus:
    """The wires of the load bus: to each memory, and between the stages, one more than there are stages."""

    memories: tuple[str, ...]
    between: tuple[str, ...]
    address_bits: int = ADDRESS_BITS
    burst: int = BURST_BEATS

    @property
    def buses(self) -> tuple[str, ...]:
        """All of them."""
        return self.memories + self.between


def load_bus(machine: Machine) -> LoadBus | None:
    """Return the load bus of a machine, or None where weights are constants."""
    if machine.loader is None:
        return None
    memories = tuple(name for unit in machine.units for _, name in _memories(unit))
    return LoadBus(memories, (*(f"to_{name}" for name in memories), "load_end"))


def load_ports(unit: Unit) -> list[tuple[str, str]]:
    """Return the ports over which the memories of a convolution's engine are filled; nothing comes to constants."""
    return _memories(unit) or [("weight_load_i", "'0"), ("channel_load_i", "'0")]


def _memories(unit: Unit) -> list[tuple[str, str]]:
    """Return the port and the wire of each memory of an engine that is filled at start, in the order of the image."""
    kinds = ["weight" if isinstance(m, WeightRom) else "channel" for m in unit.modules if load_stage(m) is not None]
    return [(f"{kind}_load_i", f"load_{kind}_{unit.engine.name}") for kind in kinds]


def control_load_ports(loads: bool) -> list[tuple[str, str]]:
    """Return the ports of the control block that start the loader and tell of it."""
    inputs = {"loading_i": "loading", "loaded_i": "loaded", "refused_i": "refused", "crc_i": "weights_crc"}
    ports = [(port, wire if loads else "'0") for port, wire in inputs.items()]
    return [("load_o", "load"), ("weights_o", "weights_address"), *ports]


def loader_ports(bus: LoadBus) -> tuple[tuple[str, str], ...]:
    """Return the ports of the loader."""
    axi = {f"{name}_o": name for name in ("araddr", "arvalid", "rready")}
    axi |= {f"{name}_i": name for name in ("arready", "rdata", "rresp", "rvalid")}
    return (
        ("clk_i", "ap_clk"),
        ("rst_ni", "ap_rst_n"),
        ("start_i", "load"),
        ("address_i", f"weights_address[{bus.address_bits - 1}:0]"),
        ("loading_o", "loading"),
        ("loaded_o", "loaded"),
        ("refused_o", "refused"),
        ("crc_o", "weights_crc"),
        ("core_rst_no", "core_rst_n"),
        ("load_o", bus.between[0]),
        ("end_i", bus.between[-1]),
        *((port, f"m_axi_weights_{name}") for port, name in axi.items()),
    )
