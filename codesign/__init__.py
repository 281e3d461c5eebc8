"""codesign: a network and an FPGA accelerator that fit each other, with the proof that both compute the same."""

from codesign.ir.board import Board
from codesign.ir.cost import Cost, Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.ir.qtype import QType

__all__ = ["Board", "Cost", "Design", "Graph", "Measurement", "Project", "QType", "Resources"]
__version__ = "0.2.0"
