"""The load bus of the SystemVerilog top level: what its wires are called, and the ports that they join."""

from dataclasses import dataclass

from codesign.emit.rtl_text import ModuleText, Value, parameters
from codesign.machine.elaborate import Machine, Unit
from codesign.machine.loaded import load_stage
from codesign.machine.loading import ADDRESS_BITS, BURST_BEATS, Loader
from codesign.machine.modules import WeightRom
from codesign.machine.names import rtl_instance


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
    return _memories(unit) or [("weight_load_i", "34'b0"), ("channel_load_i", "34'b0")]


def _memories(unit: Unit) -> list[tuple[str, str]]:
    """Return the port and the wire of each memory of an engine that is filled at start, in the order of the image."""
    kinds = ["weight" if isinstance(m, WeightRom) else "channel" for m in unit.modules if load_stage(m) is not None]
    return [(f"{kind}_load_i", f"load_{kind}_{unit.engine.name}") for kind in kinds]


def load_modules(machine: Machine, loader: Loader, number: int) -> list[ModuleText]:
    """Return what fills the memories at start: the loader, and a stage of its bus for each memory."""
    buses = load_bus(machine)
    assert buses is not None
    hash_text = f"64'h{number:016x}"
    values: dict[str, Value] = {"DESIGN_HASH": hash_text, "WORDS": loader.words, "ADDRESS_BITS": buses.address_bits}
    texts = [ModuleText("weight_loader", rtl_instance("loader"), parameters(values, quote=False), _loader_ports(buses))]
    for index, (stage, name) in enumerate(zip(machine.load_stages, buses.memories, strict=True)):
        given, rest = buses.between[index : index + 2]
        ports = (("clk_i", "ap_clk"), ("load_i", given), ("own_o", name), ("next_o", rest))
        texts.append(ModuleText("load_stage", rtl_instance(name), parameters({"WORDS": int(stage.words)}), ports))
    return texts


def control_load_ports(loads: bool) -> list[tuple[str, str]]:
    """Return the ports of the control block that start the loader and tell of it."""
    ports = [("loading_i", "loading"), ("loaded_i", "loaded"), ("refused_i", "refused"), ("crc_i", "weights_crc")]
    if not loads:
        ports = [("loading_i", "1'b0"), ("loaded_i", "1'b0"), ("refused_i", "1'b0"), ("crc_i", "32'b0")]
    return [("load_o", "load"), ("weights_o", "weights_address"), *ports]


def _loader_ports(bus: LoadBus) -> tuple[tuple[str, str], ...]:
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
