"""What a convolution's modules are where weights and channel constants are loaded at start."""

from dataclasses import replace

from codesign.ir.design import Weights
from codesign.machine.loading import LoadStage, load_words
from codesign.machine.modules import ChannelRom, EngineModule, MacArray, WeightRom
from codesign.machine.scales import Requantize


def filled(modules: tuple[EngineModule, ...], weights: Weights) -> tuple[EngineModule, ...]:
    """Return a convolution's modules; where weights are loaded, none of them is known before."""
    return tuple(map(_filled, modules)) if weights is Weights.LOADED else modules


def _filled(module: EngineModule) -> EngineModule:
    match module:
        case WeightRom() | ChannelRom():
            return replace(module, loaded=True)
        case MacArray() | Requantize():
            return replace(module, constant=module.constant & False)
        case other:
            return other


def load_stage(module: EngineModule) -> LoadStage | None:
    """Return the stage of the load bus that fills a memory, or None for a module that is not filled at start."""
    match module:
        case (WeightRom() | ChannelRom()) as memory if memory.loaded:
            return LoadStage(words=load_words(memory.word_bits, memory.depth))
    return None
