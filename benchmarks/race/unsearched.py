"""What a result is worth that no search found: where ours begins, made to meet the demand, with the end that all share.

Whatever is not above it has gained nothing by searching.
"""

import tempfile
from pathlib import Path

import torch

from codesign.cosearch.accelerators import Accelerators
from codesign.cosearch.beginnings import beginning
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.config import SearchConfig
from codesign.cosearch.finish import finish
from codesign.cosearch.pricing import Pricing
from codesign.ir.demand import Demand
from codesign.networks.space import Space
from codesign.progress import Progress

from .problem import Candidate, Judge
from .setting import Ground, translated


def unsearched(judge: Judge, ground: Ground, space: Space, config: SearchConfig, tell: Progress) -> Candidate | None:
    """Return the first operators and middle widths and bits, changed at least cost to meet the demand, and enlarged.

    `space`: that of the ground, or the same in another order. `config`: under the demand, with one finalist.
    """
    task = ground.task(Demand(interval_cycles=judge.problem.target), space)
    accelerators = Accelerators(task)
    row = beginning(Chooser(task, config, Pricing(task), torch.device("cpu")), accelerators)
    if row is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        found = finish(accelerators, [row], ground.dataset, config, Path(folder), tell)
    judge.designs = accelerators.searches
    if found is None:
        return None
    network = translated(found[0].network, space, ground.space)
    return Candidate(network, None, judge.problem.accuracy(network).accuracy, found[1].interval_cycles)
