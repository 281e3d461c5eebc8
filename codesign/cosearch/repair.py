"""Networks that cost too much, changed where that loses least until they meet the demand by the tables."""

from collections.abc import Sequence

from codesign.cosearch.costing import Costing
from codesign.cosearch.row import Row

SLACK = 0.05  # of log interval, by which a table may err: the exact design decides


def repaired(pricing: Costing, logits: Sequence[Sequence[float]], row: Row, limit: float) -> Row | None:
    """Change the network, one choice at a time, until its cost is at most `limit`; None if that does not succeed.

    Each change is the one that loses least log-probability for each unit of cost that it saves.
    """
    for _ in range(4 * len(row)):
        cost = pricing.log_cost(row)
        if cost <= limit:
            return row
        best: tuple[float, int, int] | None = None
        for i, table in enumerate(pricing.alternatives(row)):
            for option, value in enumerate(table):
                if value < cost - 1e-6 and logits[i][option] > float("-inf"):
                    loss = (logits[i][row[i]] - logits[i][option] + 0.01) / (cost - max(float(value), limit - 0.1))
                    best = min(best or (loss, i, option), (loss, i, option))
        if best is None:
            return None
        row = row.changed(*best[1:])
    return None
