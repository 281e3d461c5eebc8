"""What a fake-quantized net gives for many images, as plain integers."""

import numpy as np
import torch

from codesign.ir.dataset import Pixels
from codesign.nets.net import QuantNet, to_input
from codesign.ops.arrays import IntArray

BATCH = 250


@torch.no_grad()
def integer_outputs(net: QuantNet, images: Pixels) -> IntArray:
    """Compute the integer outputs [N,OY,OX,K] of the net's last node for images uint8 [N,Y,X,C]; as golden.run."""
    device = next(net.parameters()).device
    name = net.nodes[-1].name
    net.eval()
    parts = []
    for start in range(0, len(images), BATCH):
        x = to_input(torch.from_numpy(images[start : start + BATCH].copy()).to(device))
        parts.append(net.integers(x)[name].cpu().numpy())
    return np.concatenate(parts)
