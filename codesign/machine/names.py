"""What the engines of a machine are called in both spellings: the table from names of hardware to nodes.

Renderers take the names from here. Readers of a tool's reports look the names up in the table. The table is part of the
project: it is ENGINES_FILE, and `engines` in the manifest.
"""

import json
from dataclasses import dataclass

from codesign.errors import ConfigError
from codesign.ir.project import Project
from codesign.ir.strict import parse
from codesign.machine.elaborate import Machine

ENGINES_FILE = "rtl/engines.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNames:
    """An engine, the nodes that it runs, its instance in accel.sv, and its function in top.cpp."""

    name: str
    nodes: tuple[str, ...]
    rtl: str
    hls: str


def engine_names(machine: Machine) -> tuple[EngineNames, ...]:
    """Return the table, in the order of the data flow."""
    return tuple(
        EngineNames(
            name=unit.engine.name,
            nodes=unit.engine.nodes,
            rtl=rtl_instance(unit.instance),
            hls=hls_function(unit.engine.name),
        )
        for unit in machine.units
    )


def engines_of(project: Project) -> tuple[EngineNames, ...]:
    """Return the table of a project. Raise ConfigError if it has none that can be read."""
    try:
        plain = json.loads(project.files[ENGINES_FILE])
    except (KeyError, ValueError) as error:
        raise ConfigError(f"project: {ENGINES_FILE} is missing or not JSON; render the project again") from error
    return parse(tuple[EngineNames, ...], plain, ENGINES_FILE)


def rtl_instance(name: str) -> str:
    """Return what an instance of the machine is called in SystemVerilog."""
    return f"u_{name}"


def hls_function(engine: str) -> str:
    """Return the function of an engine in HLS C++."""
    return f"{engine}_engine"
