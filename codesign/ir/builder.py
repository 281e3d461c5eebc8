"""Builds integer graphs node by node: widths, scaling and names follow from what is given.

Long because every operator has a method here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from codesign.errors import UnsupportedError
from codesign.ir.graph import IDENTITY, Encoding, Graph
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv, accumulator_bounds, added_bias
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.input import Input
from codesign.ops.lookup import Lookup
from codesign.ops.node import Node
from codesign.ops.pad import Pad
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import HALF_UP, OutputRule, scaling_of, signed_bits
from codesign.ops.resize import Resize
from codesign.ops.shapes import Shape, Window, window_counts
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth


@dataclass(slots=True)
class GraphBuilder:
    """A graph under construction; every method adds a node behind its sources and returns it.

    Maps are HWC. `input_type`: the integers of the input; `input_name`: the name of the first node.

        build = GraphBuilder("tiny", (8, 8, 1), QType(8, signed=False))
        x = build.conv(build.input, weight, otype=QType(8, signed=False), shift=7)
        graph = build.graph()
    """

    name: str
    shape: tuple[int, int, int]
    input_type: QType
    input_name: str = "image"
    nodes: list[Node] = field(init=False)
    params: dict[str, IntArray] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes = [Input(name=self.input_name, shape=Shape(*self.shape), otype=self.input_type)]

    @property
    def input(self) -> Node:
        """The first node."""
        return self.nodes[0]

    @property
    def last(self) -> Node:
        """The node that was added last; of a finished graph, its output."""
        return self.nodes[-1]

    def node(self, name: str) -> Node:
        """Return the node of that name. Raise KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def conv(
        self,
        source: Node,
        weight: IntArray,
        bias: IntArray | None = None,
        *,
        otype: QType,
        window: Window | None = None,
        groups: int = 1,
        multiplier: IntArray | int = 1,
        shift: int = 0,
        weight_bits: int | None = None,
        acc_bits: int | None = None,
        zero_in: int = 0,
        bias_fraction: int = 0,
        rule: OutputRule = HALF_UP,
        name: str = "",
    ) -> Conv:
        """Add a convolution with weight[K,FY,FX,C/G] and bias[K]; see Conv for its formula.

        Defaults: no bias, no padding, stride 1, and the narrowest weights and accumulators that hold all values.
        A fully connected layer is a weight[K,IY,IX,C]. Raise UnsupportedError if the source has other channels.
        """
        node, params = conv_node(
            name or self._fresh("conv"),
            source,
            weight,
            bias,
            otype=otype,
            window=window,
            groups=groups,
            multiplier=multiplier,
            shift=shift,
            weight_bits=weight_bits,
            acc_bits=acc_bits,
            zero_in=zero_in,
            bias_fraction=bias_fraction,
            rule=rule,
        )
        self.params |= {f"{node.name}.{key}": value for key, value in params.items()}
        self.nodes.append(node)
        return node

    def max_pool(self, source: Node, window: Window, *, name: str = "") -> Pool:
        """Add a maximum over a window; padding never wins."""
        return self._pool(source, PoolOp.MAX, window, 1, 0, source.otype, name)

    def average_pool(
        self,
        source: Node,
        window: Window,
        *,
        multiplier: int = 1,
        shift: int = 0,
        otype: QType | None = None,
        zero_in: int = 0,
        rule: OutputRule = HALF_UP,
        by_count: Mapping[int, int] = MappingProxyType({}),
        name: str = "",
    ) -> Pool:
        """Add sum of (x - zero_in) * multiplier / 2**shift over a window, rounded; padding counts as zeros.

        `by_count`: where padding does not count, a multiplier for every smaller count of positions inside the map.
        Counts that no window has may be there too.
        """
        node = self._pool(source, PoolOp.AVERAGE, window, multiplier, shift, otype or source.otype, name)
        counts = np.unique(window_counts(window, source.oshape)).tolist()
        used = tuple((n, by_count[n]) for n in counts if n in by_count and n < window.positions)
        made = replace(node, zero_in=zero_in, rule=rule, by_count=used)
        self.nodes[-1] = made
        return made

    def add(
        self,
        a: Node,
        b: Node,
        *,
        otype: QType,
        multipliers: tuple[int, int] = (1, 1),
        shift: int = 0,
        zeros: tuple[int, int] = (0, 0),
        rule: OutputRule = HALF_UP,
        name: str = "",
    ) -> Add:
        """Add the sum of two maps, each less its zero point and times a multiplier, shifted and rounded.

        Multipliers of two signs make a difference.
        """
        node = Add(
            name=name or self._fresh("add"),
            sources=(a.name, b.name),
            ishape=a.oshape,
            itypes=(a.otype, b.otype),
            multipliers=multipliers,
            shift=shift,
            otype=otype,
            zeros=zeros,
            rule=rule,
        )
        self.nodes.append(node)
        return node

    def gate(
        self, source: Node, gate: Node, *, otype: QType, multiplier: int = 1, shift: int = 0, name: str = ""
    ) -> Gate:
        """Add a map times a gate of its shape, or of 1 x 1 x C, times multiplier / 2**shift, rounded."""
        node = Gate(
            name=name or self._fresh("gate"),
            sources=(source.name, gate.name),
            ishape=source.oshape,
            gate_shape=gate.oshape,
            itypes=(source.otype, gate.otype),
            multiplier=multiplier,
            shift=shift,
            otype=otype,
        )
        self.nodes.append(node)
        return node

    def concat(self, *sources: Node, name: str = "") -> Concat:
        """Add maps side by side in channels. Raise UnsupportedError unless they have one extent and one type."""
        name = name or self._fresh("concat")
        types = {source.otype for source in sources}
        if len(types) > 1:
            raise UnsupportedError(
                f"node {name!r}: joins maps of the types {', '.join(str(source.otype) for source in sources)}; a "
                "convolution or an average pooling before it can give them one"
            )
        node = Concat(
            name=name,
            sources=tuple(source.name for source in sources),
            ishapes=tuple(source.oshape for source in sources),
            otype=types.pop(),
        )
        self.nodes.append(node)
        return node

    def resize(self, source: Node, fy: int, fx: int, *, name: str = "") -> Resize:
        """Add a map that repeats every row `fy` times and every pixel of a row `fx` times: nearest neighbour."""
        node = Resize(
            name=name or self._fresh("resize"),
            source=source.name,
            ishape=source.oshape,
            fy=fy,
            fx=fx,
            otype=source.otype,
        )
        self.nodes.append(node)
        return node

    def lookup(self, source: Node, table: IntArray, *, otype: QType, name: str = "") -> Lookup:
        """Add a map of table entries; table[2**bits] for all channels, or table[C, 2**bits], from the least input on.

        `ops.lookup.function_table` makes one of a function of reals. Raise UnsupportedError if it has other extents.
        """
        name = name or self._fresh("lookup")
        rows = np.atleast_2d(np.asarray(table, dtype=np.int64))
        if rows.shape not in ((1, 1 << source.otype.bits), (source.oshape.c, 1 << source.otype.bits)):
            raise UnsupportedError(
                f"node {name!r}: expected a table of {1 << source.otype.bits} entries, or {source.oshape.c} of them, "
                f"got {list(np.shape(table))}"
            )
        node = Lookup(
            name=name,
            source=source.name,
            ishape=source.oshape,
            itype=source.otype,
            per_channel=len(rows) > 1,
            otype=otype,
        )
        self.params[f"{name}.table"] = rows
        self.nodes.append(node)
        return node

    def slice(self, source: Node, start: int, stop: int, *, name: str = "") -> Slice:
        """Add the channels of a map from `start` to `stop`, without `stop` itself."""
        name, shape = name or self._fresh("slice"), source.oshape
        node = Slice(name=name, source=source.name, ishape=shape, start=start, stop=stop, otype=source.otype)
        self.nodes.append(node)
        return node

    def pad(
        self,
        source: Node,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        *,
        strides: tuple[int, int] = (1, 1),
        value: int = 0,
        name: str = "",
    ) -> Pad:
        """Add a map with `value` around it: rows above, columns left, rows below, columns right.

        With `strides`, its pixels lie so many rows and columns apart, with zeros between.
        """
        top, left, bottom, right = pads
        node = Pad(
            name=name or self._fresh("pad"),
            source=source.name,
            ishape=source.oshape,
            top=top,
            left=left,
            bottom=bottom,
            right=right,
            stride_y=strides[0],
            stride_x=strides[1],
            value=value,
            otype=source.otype,
        )
        self.nodes.append(node)
        return node

    def depth_to_space(self, source: Node, block: int, *, name: str = "") -> DepthToSpace:
        """Add a map with every pixel made block x block pixels, which share its channels in order."""
        name = name or self._fresh("depth_to_space")
        node = DepthToSpace(name=name, source=source.name, ishape=source.oshape, block=block, otype=source.otype)
        self.nodes.append(node)
        return node

    def space_to_depth(self, source: Node, block: int, *, name: str = "") -> SpaceToDepth:
        """Add a map with every block x block pixels made one, with the channels of all of them in order."""
        name = name or self._fresh("space_to_depth")
        node = SpaceToDepth(name=name, source=source.name, ishape=source.oshape, block=block, otype=source.otype)
        self.nodes.append(node)
        return node

    def shuffle(self, source: Node, groups: int, *, name: str = "") -> Shuffle:
        """Add a map with the first channel of every group, then the second of every group, and so on."""
        name = name or self._fresh("shuffle")
        node = Shuffle(name=name, source=source.name, ishape=source.oshape, groups=groups, otype=source.otype)
        self.nodes.append(node)
        return node

    def graph(
        self,
        *,
        input_scale: float = 1.0,
        output_scale: float = 1.0,
        labels: tuple[str, ...] = (),
        encoding: Encoding = IDENTITY,
        outputs: Sequence[Node] = (),
        output_scales: tuple[float, ...] = (),
    ) -> Graph:
        """Return the graph, checked; its output is the node that was added last, unless `outputs` has others.

        `output_scales`: the real value of one step of each of several outputs. Raise UnsupportedError.
        """
        return Graph(
            self.name,
            tuple(self.nodes),
            dict(self.params),
            input_scale,
            output_scale,
            labels,
            encoding,
            outputs=tuple(node.name for node in outputs),
            output_scales=output_scales,
        )

    def _pool(
        self, source: Node, op: PoolOp, window: Window, multiplier: int, shift: int, otype: QType, name: str
    ) -> Pool:
        node = Pool(
            name=name or self._fresh("pool"),
            source=source.name,
            ishape=source.oshape,
            itype=source.otype,
            op=op,
            window=window,
            multiplier=multiplier,
            shift=shift,
            otype=otype,
        )
        self.nodes.append(node)
        return node

    def _fresh(self, kind: str) -> str:
        return f"{kind}_{len(self.nodes)}"


def conv_node(
    name: str,
    source: Node,
    weight: IntArray,
    bias: IntArray | None = None,
    *,
    otype: QType,
    window: Window | None = None,
    groups: int = 1,
    multiplier: IntArray | int = 1,
    shift: int = 0,
    weight_bits: int | None = None,
    acc_bits: int | None = None,
    zero_in: int = 0,
    bias_fraction: int = 0,
    rule: OutputRule = HALF_UP,
) -> tuple[Conv, dict[str, IntArray]]:
    """Return a convolution and its parameters by name; see GraphBuilder.conv. Raise UnsupportedError."""
    weight = np.asarray(weight, dtype=np.int64)
    if weight.ndim != 4 or weight.shape[3] * groups != source.oshape.c:
        raise UnsupportedError(
            f"node {name!r}: expected weights [K, FY, FX, {source.oshape.c} / groups], got {list(weight.shape)} "
            f"in {groups} groups"
        )
    k = len(weight)
    bias = np.zeros(k, np.int64) if bias is None else np.asarray(bias, dtype=np.int64)
    factors = np.broadcast_to(np.asarray(multiplier, dtype=np.int64), (k,)).copy()
    needed = signed_bits(int(weight.min()), int(weight.max()))
    added = added_bias(weight, bias, zero_in, bias_fraction) >> bias_fraction
    node = Conv(
        name=name,
        source=source.name,
        ishape=source.oshape,
        itype=source.otype,
        k=k,
        window=window or Window(fy=weight.shape[1], fx=weight.shape[2]),
        groups=groups,
        wtype=QType(max(needed, 2) if weight_bits is None else weight_bits, signed=True),
        acc_bits=acc_bits or max(signed_bits(*accumulator_bounds(source.otype, weight, added)), 2),
        scaling=scaling_of(factors),
        multiplier_bits=int(factors.max()).bit_length(),
        shift=shift,
        otype=otype,
        zero_in=zero_in,
        bias_fraction=bias_fraction,
        rule=rule,
    )
    return node, {"weight": weight, "bias": bias, "multiplier": factors}
