"""The node kinds of a Graph: extents and integer types only, never arrays.

A node is numbers only, so it is hashable and comparable, and its cost can be cached. A candidate block can be priced
before it has weights. Maps are laid out HWC, channel innermost.
"""

from codesign.ops.add import Add
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.input import Input
from codesign.ops.lookup import Lookup
from codesign.ops.pad import Pad
from codesign.ops.pool import Pool
from codesign.ops.resize import Resize
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth

Windowed = Conv | Pool  # what reads the windows of one map
Moving = Resize | Slice | Pad | DepthToSpace | SpaceToDepth | Shuffle  # values change their places only
Operation = Conv | Pool | Add | Concat | Lookup | Gate | Moving  # a node that computes
Node = Input | Operation
