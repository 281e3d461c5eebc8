"""What a design search minimises."""

from enum import Enum


class Goal(Enum):
    """What to minimise: the interval, the latency of one image (closed-form estimate), or the share of the board."""

    INTERVAL = "interval"
    LATENCY = "latency"
    RESOURCES = "resources"
