"""Progress of long work: a callback that any floor may take, and one that stays silent."""

from typing import Protocol


class Progress(Protocol):
    """Called while work continues: `done` of `total` steps of the stage are finished; `note` is a short remark or
    figure.

    A call is cheap and never raises; a stage is over when done equals total. The reporter decides how often it shows.
    """

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Take note of how far the stage is."""
        ...


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""
