"""Records of epochs as TensorBoard shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path


class EventLog:
    """TensorBoard's event files of one piece of work, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # only who asks for it needs it

        for stale in folder.glob("events.out.tfevents.*"):
            stale.unlink()  # of an earlier start; its epochs are told again
        self._writer = SummaryWriter(str(folder))
        self._told = 0

    def write(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Tell the rows that were not told before; the step of a row is its place, from 1."""
        for row in rows[self._told :]:
            self._told += 1
            for name, value in row.items():
                self._writer.add_scalar(name, value, self._told)
        self._writer.flush()
