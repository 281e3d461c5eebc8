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


def unsearched(judge: Judge, ground: Ground, config: SearchConfig, tell: Progress) -> Candidate | None:
    """The first operators and middle widths and bits, changed at least cost until they meet the demand, and enlarged.

    `config`: under the demand, with one finalist.
    """
    space, data, target = ground.space, ground.dataset, judge.problem.target
    pricing = Pricing(space, data.shape, len(data.classes), ground.board, target)
    accelerators = Accelerators(space, data, ground.board)
    row = beginning(Chooser(space, config, pricing, torch.device("cpu")), accelerators)
    if row is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        found = finish(accelerators, [row], target, data, config, Path(folder), tell)
    judge.designs = accelerators.searches
    if found is None:
        return None
    network = tuple(found[0])
    return Candidate(network, None, judge.problem.accuracy(network).accuracy, found[1].interval_cycles)
