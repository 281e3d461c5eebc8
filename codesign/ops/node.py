"""The node kinds of a Graph: extents and integer types only, never arrays.

Because a node is numbers only it is hashable and comparable, its cost can be cached, and a candidate block can be
priced before it has weights. Maps are laid out HWC, channel innermost.
"""

from codesign.ops.add import Add
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.pool import Pool
from codesign.ops.resize import Resize

Windowed = Conv | Pool  # what reads the windows of one map
Operation = Conv | Pool | Add | Concat | Resize  # a node that computes
Node = Input | Operation
