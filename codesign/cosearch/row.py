"""A row of choices: one option of every decision. It names one network, and its arrays where these are chosen too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """The chosen options, by index: of networks.space.decisions, then of one array per block where arrays are chosen.

    `row[at]` is the option of decision `at`, counted through both parts.
    """

    network: tuple[int, ...]
    arrays: tuple[int, ...] = ()

    @classmethod
    def of(cls, options: Iterable[int], networks: int) -> "Row":
        """Return the row of these options, of which the first `networks` are about the network."""
        every = tuple(options)
        return cls(every[:networks], every[networks:])

    @property
    def options(self) -> tuple[int, ...]:
        """All options, in the order of decisions."""
        return self.network + self.arrays

    def __getitem__(self, at: int) -> int:
        return self.options[at]

    def __len__(self) -> int:
        return len(self.network) + len(self.arrays)

    def __iter__(self) -> Iterator[int]:
        return iter(self.options)

    def changed(self, at: int, option: int) -> "Row":
        """Return the row with that option of decision `at`, all others as they are."""
        options = self.options
        return Row.of((*options[:at], option, *options[at + 1 :]), len(self.network))
