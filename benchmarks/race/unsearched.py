"""What a result is worth that no search found: where ours begins, made to meet the demand, with the end that all share.

Whatever is not above it has gained nothing by searching.
"""

import tempfile
from pathlib import Path

import torch

from codesign.progress import Progress
from codesign.search.accelerators import Accelerators
from codesign.search.chooser import Chooser
from codesign.search.config import SearchConfig
from codesign.search.finals import beginning
from codesign.search.finish import finish
from codesign.search.pricing import Pricing

from .problem import Candidate, Judge
from .setting import Ground

ADAPTED = 4  # times that prices are adapted to the network before it is given up


def unsearched(judge: Judge, ground: Ground, config: SearchConfig, tell: Progress) -> Candidate | None:
    """The first operators and middle widths and bits, changed at least cost until they meet the demand, and enlarged.

    `config`: under the demand, with one finalist.
    """
    space, data, target = ground.space, ground.dataset, judge.problem.target
    pricing = Pricing(space, data.shape, len(data.classes), ground.board, target)
    accelerators = Accelerators(space, data, ground.board)
    for _ in range(ADAPTED):
        row = beginning(Chooser(space, config, pricing, torch.device("cpu")))
        if row is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            found = finish(accelerators, [row], target, data, config, Path(folder), tell)
        if found is not None:
            judge.designs = accelerators.searches
            network = tuple(found[0])
            return Candidate(network, None, judge.problem.accuracy(network).accuracy, found[1].interval_cycles)
        slow = accelerators.design(row)
        pricing.adapt(row, None if slow is None else slow.interval_cycles)
    return None
