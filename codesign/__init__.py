"""codesign: a network and an FPGA accelerator that fit each other, with the proof that both compute the same.

Names are loaded when they are used, so that `import codesign` is quick and needs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.ir.board import Board
    from codesign.ir.builder import GraphBuilder
    from codesign.ir.cost import Cost, Resources
    from codesign.ir.design import Design
    from codesign.ir.graph import Graph
    from codesign.ir.measurement import Measurement
    from codesign.ir.project import Project
    from codesign.ops.qtype import QType

__all__ = ["Board", "Cost", "Design", "Graph", "GraphBuilder", "Measurement", "Project", "QType", "Resources"]
__version__ = "0.2.0"

_HOMES = {
    "Board": "codesign.ir.board",
    "Cost": "codesign.ir.cost",
    "Design": "codesign.ir.design",
    "Graph": "codesign.ir.graph",
    "GraphBuilder": "codesign.ir.builder",
    "Measurement": "codesign.ir.measurement",
    "Project": "codesign.ir.project",
    "QType": "codesign.ops.qtype",
    "Resources": "codesign.ir.cost",
}


def __getattr__(name: str) -> Any:
    """Return a name of the package, and load the module where it stands."""
    if name not in _HOMES:
        raise AttributeError(f"module 'codesign' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return what the package offers."""
    return sorted(__all__)
