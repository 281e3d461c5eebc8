"""What all kinds of modules have in common: timing and rendering ask for these."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from codesign.ops.arrays import Bool, Int, IntArray


@dataclass(frozen=True, eq=False)
class Walk:
    """The steps of one image through a buffer: which word each needs, and what each output position frees."""

    steps: int  # steps of an image
    words: int  # input words of an image
    results: int  # of an output position
    step: IntArray  # steps that need a word that no earlier step of their window needed
    need: IntArray  # the word of each such step
    result: IntArray  # last step of every result
    freed: IntArray  # words from the image's start that are no longer needed after each output position


class Replay(ABC):
    """A module that keeps words in a buffer of `depth` and reads them in its own order."""

    __slots__ = ()

    depth: Int

    @property
    @abstractmethod
    def delay(self) -> Int:
        """Cycles from a step to its word behind the module."""

    @property
    def room_delay(self) -> int:
        """Cycles from the last step of an output position to the first word that may come in where it frees one."""
        return 1

    @abstractmethod
    def walk(self) -> Walk:
        """Return the steps of one image; of a single instance."""


class Stage(ABC):
    """A module that takes a word a cycle, and offers its result a little later."""

    __slots__ = ()

    @property
    @abstractmethod
    def delay(self) -> Int:
        """Cycles from taking a word to offering what it becomes."""


class Joint(ABC):
    """A module that takes words of several inputs, each from its FIFO."""

    __slots__ = ()

    @property
    @abstractmethod
    def delay(self) -> Int:
        """Cycles from taking words to offering their results."""

    @property
    @abstractmethod
    def turns(self) -> tuple[tuple[int, ...], ...]:
        """The inputs of which each output word of a pixel takes a word, of a single instance."""


class Whole(ABC):
    """A module that is a whole engine: SystemVerilog and HLS C++ have it under one name.

    Its HLS kernel is a function NAME of NAME.hpp. It takes the constants and then the lists of `parameters`. With a
    table, each lane has a memory with what `Operator.memory` says.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the module and of the kernel."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        """Parameters by name, of a single instance."""

    @property
    def tables(self) -> int:
        """How many memories there are: none, one that all lanes repeat, or one for each lane."""
        return 0


class Lanes(Protocol):
    """What decides the cycles of an engine; a LineEngine, or columns of them."""

    @property
    def pe(self) -> Int: ...
    @property
    def simd(self) -> Int: ...
    @property
    def emit(self) -> Int: ...
    @property
    def taps(self) -> Int: ...


class Choices(Lanes, Protocol):
    """What decides the modules of an engine."""

    @property
    def dsp(self) -> Bool: ...
    @property
    def packed(self) -> Bool: ...
    @property
    def weight_bram(self) -> Bool: ...
    @property
    def buffer_bram(self) -> Bool: ...
    @property
    def buffer_words(self) -> Int: ...
