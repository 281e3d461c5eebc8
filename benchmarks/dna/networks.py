"""The networks that DNA's plots and scripts name, as its authors entered them, as far as their blocks are public.

Source: luke-avionics/NN-HW-predictor, analytical_prediction_{fbnet,efficientnetb0,proxyless}.py and
predictor_utilities.py. The authors' widths are kept where they differ from the published networks' (192 for FBNet's
184, for example). Stem, header and classifier are not among their layers; `ends` adds them.
"""

from dataclasses import dataclass, replace

from .model import Layer

SKIP = "skip"
SMALLEST = "k3_e1"  # the cheapest operator that can change width and size


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer and the block that it belongs to."""

    block: int
    layer: Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What surrounds the blocks: a 3x3 stem with stride 2 on `image` x `image` x 3, a 1x1 header, a classifier."""

    image: int
    header: int
    classes: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Blocks `k<filter>_e<expansion>[_g2]` or `skip`, with the output size and width of each.

    `first` is the input and output width of block 0, whose 1x1 layers both run at its output size. `ends` is None
    where they are not known.
    """

    name: str
    title: str
    blocks: tuple[str, ...]
    sizes: tuple[int, ...]
    widths: tuple[int, ...]
    first: tuple[int, int]
    ends: Ends | None = None

    def __post_init__(self) -> None:
        if not len(self.blocks) == len(self.sizes) == len(self.widths):
            raise ValueError(f"network {self.name!r}: expected as many sizes and widths as blocks")

    def shape_before(self, block: int) -> tuple[int, int]:
        """Size and width of the map that enters a block. The authors take the stage's width, whatever was skipped."""
        return (self.sizes[block - 1], self.widths[block - 1]) if block else (self.sizes[0], self.first[0])

    def width(self, block: int) -> int:
        """Return the width of the map that leaves a block."""
        return self.widths[block] if block else self.first[1]


def mapped_layers(network: Network) -> tuple[Placed, ...]:
    """Return the layers that DNA's model counts."""
    return tuple(Placed(b, layer) for b in range(len(network.blocks)) for layer in block_layers(network, b))


def all_layers(network: Network) -> tuple[Placed, ...]:
    """Return the same with stem, header and classifier. Raise ValueError where they are not known."""
    if network.ends is None:
        raise ValueError(f"network {network.name!r}: stem, header and classifier are not known")
    last, ends = len(network.blocks) - 1, network.ends
    stem = Layer(c=3, k=network.first[0], o=ends.image // 2, f=3, stride=2)
    header = Layer(c=network.width(last), k=ends.header, o=network.sizes[last])
    classifier = Layer(c=ends.header, k=ends.classes, o=1)
    return (Placed(0, stem), *mapped_layers(network), Placed(last, header), Placed(last, classifier))


def without_free_changes(network: Network) -> Network:
    """Return the network with the smallest operator in every skipped block that would change width or size."""
    blocks = list(network.blocks)
    for b in changing_blocks(network):
        if blocks[b] == SKIP:
            blocks[b] = SMALLEST
    return replace(network, blocks=tuple(blocks))


def with_free_changes(network: Network) -> Network:
    """Return the network with every block skipped that changes width or size."""
    changing = changing_blocks(network)
    blocks = tuple(SKIP if b in changing else block for b, block in enumerate(network.blocks))
    return replace(network, title=f"{network.title}, blocks {', '.join(map(str, changing))} skipped", blocks=blocks)


def changing_blocks(network: Network) -> tuple[int, ...]:
    """Return the blocks whose maps do not leave as they come."""
    every = range(len(network.blocks))
    return tuple(b for b in every if network.shape_before(b) != (network.sizes[b], network.width(b)))


def macs(placed: tuple[Placed, ...]) -> int:
    """Return the products of one image."""
    return sum(p.layer.macs for p in placed)


def block_layers(network: Network, block: int) -> tuple[Layer, ...]:
    """Return a 1x1 to the expanded width at the input's size, depthwise, 1x1; with `g2` two 1x1 of half width."""
    operator = network.blocks[block]
    if operator == SKIP:
        return ()
    parts = operator.split("_")
    f, expansion = int(parts[0][1:]), int(parts[1][1:])
    groups = 2 if parts[2:] == ["g2"] else 1
    size_in, width_in = network.shape_before(block)
    size, width, hidden = network.sizes[block], network.width(block), width_in * expansion
    expand = Layer(c=width_in // groups, k=hidden // groups, o=size_in)
    depthwise = Layer(c=1, k=hidden, o=size, f=f, stride=size_in // size, depthwise=True)
    project = Layer(c=hidden // groups, k=width // groups, o=size)
    return (*[expand] * groups, depthwise, *[project] * groups)


def _fbnet(name: str, title: str, blocks: str, ends: Ends | None = None) -> Network:
    return Network(
        name=name,
        title=title,
        blocks=tuple(blocks.split()),
        sizes=(112, *[56] * 4, *[28] * 4, *[14] * 8, *[7] * 5),
        widths=(16, *[24] * 4, *[32] * 4, *[64] * 4, *[112] * 4, *[192] * 4, 352),
        first=(16, 16),
        ends=ends,
    )


FBNET_ENDS = Ends(image=224, header=1984, classes=1000, source="facebookresearch/mobile-vision, FBNet-C")

FBNET_C = _fbnet(
    "fbnet_c",
    "FBNet-C",
    "k3_e1 k3_e6 skip k3_e1 k3_e1 k5_e6 k5_e3 k5_e6 k3_e6 k5_e6 k5_e3 k5_e6 k5_e6 k5_e6 k5_e6 k5_e6 k5_e3"
    " k5_e6 k5_e6 k5_e6 k5_e6 k3_e6",
    FBNET_ENDS,
)
SEARCHED_166 = _fbnet(
    "searched_166",
    "searched, 166 M products",
    "k3_e6 k3_e1_g2 skip skip skip k5_e1_g2 skip skip skip k5_e1_g2 skip skip k3_e1_g2 k5_e1 k5_e3 k5_e6 k3_e1"
    " k5_e6 k5_e1_g2 k5_e3 k5_e1_g2 k5_e3",
    FBNET_ENDS,
)
SEARCHED_208 = _fbnet(
    "searched_208",
    "searched, 208 M products",
    "skip k5_e1 skip skip skip k5_e3 skip skip k5_e1_g2 k5_e6 k5_e1_g2 k5_e1 k5_e1_g2 k5_e6 k5_e6 k3_e3 k5_e3"
    " k5_e6 k5_e3 k5_e6 k5_e3 k5_e6",
    FBNET_ENDS,
)
EFFICIENTNET_B0 = Network(
    name="efficientnet_b0",
    title="EfficientNet-B0",
    blocks=("k3_e1", *["k3_e6"] * 2, *["k5_e6"] * 2, *["k3_e6"] * 3, *["k5_e6"] * 7, "k3_e6"),
    sizes=(112, 56, 56, 28, 28, 28, 28, 28, 14, 14, 14, 7, 7, 7, 7, 7),
    widths=(16, *[24] * 2, *[48] * 2, *[80] * 3, *[128] * 3, *[192] * 4, 320),
    first=(32, 16),
    ends=Ends(image=224, header=1280, classes=1000, source="tensorflow/tpu, EfficientNet-B0"),
)
PROXYLESS_MOBILE = Network(
    name="proxyless_mobile",
    title="ProxylessNAS-Mobile",
    blocks=(
        "k3_e1", "k5_e3", "k3_e3", "k3_e7", "k3_e3", "k5_e3", "k5_e3", "k7_e6", "k5_e3", "k5_e3", "k5_e3",
        "k5_e6", "k5_e3", "k5_e3", "k5_e3", "k7_e6", "k7_e6", "k7_e3", "k7_e3", "k7_e6",
    ),
    sizes=(112, *[56] * 2, *[28] * 4, *[14] * 8, *[7] * 5),
    widths=(16, *[32] * 2, *[48] * 4, *[72] * 4, *[96] * 4, *[192] * 4, 320),
    first=(32, 16),
    ends=Ends(image=224, header=1280, classes=1000, source="mit-han-lab/proxylessnas"),
)  # fmt: skip
EDD_NET_3 = Network(
    name="edd_net_3",
    title="EDD-Net-3",
    blocks=(
        "k5_e5", "k5_e4", "k5_e4", "k3_e5", "k5_e4", "k5_e5", "k5_e6", "k5_e6", "k5_e6", "k3_e4", "k3_e4", "k5_e4",
        "k3_e4", "k3_e4", "k3_e4", "k5_e6",
    ),
    sizes=(56, *[28] * 4, *[14] * 6, *[7] * 5),
    widths=(32, *[48] * 3, *[96] * 4, *[128] * 3, *[256] * 4, 320),
    first=(16, 16),
)  # fmt: skip
CIFAR_FREE_CHANGE = Network(
    name="cifar_free_change",
    title="searched for CIFAR, with a skip that changes width and size",
    blocks=(
        "skip", "k5_e6", *["skip"] * 7, "k5_e6", *["skip"] * 3, "k3_e3", "k3_e3", "skip", "skip", *["k5_e6"] * 5,
    ),
    sizes=(32, *[32] * 4, *[16] * 4, *[8] * 8, *[4] * 5),
    widths=FBNET_C.widths,
    first=(16, 16),
)  # fmt: skip
NETWORKS = (FBNET_C, EFFICIENTNET_B0, PROXYLESS_MOBILE, EDD_NET_3, SEARCHED_166, SEARCHED_208)
