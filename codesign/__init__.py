"""codesign: a network and an FPGA accelerator that fit each other, with the proof that both compute the same.

Names are loaded when they are used, so that `import codesign` is quick and needs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.api import Built, boards, compile, run, sweep
    from codesign.errors import (
        CodesignError,
        ConfigError,
        InfeasibleError,
        MismatchError,
        StorageError,
        ToolError,
        UnsupportedError,
    )
    from codesign.flow.config import ProofConfig, RunConfig, Step
    from codesign.flow.sweep import SweepConfig
    from codesign.ir.board import Board, Limits
    from codesign.ir.builder import GraphBuilder
    from codesign.ir.cost import Cost, Resources
    from codesign.ir.design import Design
    from codesign.ir.graph import Encoding, Graph
    from codesign.ir.measurement import Measurement
    from codesign.ir.project import Project
    from codesign.machine.elaborate import Machine
    from codesign.ops.qtype import QType
    from codesign.ops.shapes import Window
    from codesign.ptq.config import QuantizeConfig
    from codesign.search.goal import Goal

__version__ = "0.3.0"
__all__ = [
    "Board",
    "Built",
    "CodesignError",
    "ConfigError",
    "Cost",
    "Design",
    "Encoding",
    "Goal",
    "Graph",
    "GraphBuilder",
    "InfeasibleError",
    "Limits",
    "Machine",
    "Measurement",
    "MismatchError",
    "Project",
    "ProofConfig",
    "QType",
    "QuantizeConfig",
    "Resources",
    "RunConfig",
    "Step",
    "StorageError",
    "SweepConfig",
    "ToolError",
    "UnsupportedError",
    "Window",
    "boards",
    "compile",
    "run",
    "sweep",
]

_HOMES = {
    "codesign.api": ("Built", "boards", "compile", "run", "sweep"),
    "codesign.errors": (
        "CodesignError",
        "ConfigError",
        "InfeasibleError",
        "MismatchError",
        "StorageError",
        "ToolError",
        "UnsupportedError",
    ),
    "codesign.flow.config": ("ProofConfig", "RunConfig", "Step"),
    "codesign.flow.sweep": ("SweepConfig",),
    "codesign.ir.board": ("Board", "Limits"),
    "codesign.ir.builder": ("GraphBuilder",),
    "codesign.ir.cost": ("Cost", "Resources"),
    "codesign.ir.design": ("Design",),
    "codesign.ir.graph": ("Encoding", "Graph"),
    "codesign.ir.measurement": ("Measurement",),
    "codesign.ops.shapes": ("Window",),
    "codesign.ir.project": ("Project",),
    "codesign.ops.qtype": ("QType",),
    "codesign.ptq.config": ("QuantizeConfig",),
    "codesign.machine.elaborate": ("Machine",),
    "codesign.search.goal": ("Goal",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Return a name of the package, and load the module that has it."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'codesign' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """Return what the package offers."""
    return sorted(__all__)
