"""Extreme but well-typed values, drawn from the schema: every command ends in a status and a sentence, never otherwise.

A short version runs with the other tests; `make test-extremes` draws 500 cases (CODESIGN_CASES=... for another number).
"""

import dataclasses
import importlib.util
import json
import os
import re
import signal
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from codesign.cli import main
from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Board, Limits
from codesign.ir.boards import load_board
from codesign.ir.cost import NAMES, Resources
from codesign.ir.demand import MOST_CYCLES, Demand
from codesign.ir.strict import parse, to_plain
from codesign.machine.legal import check_design
from codesign.model.limit import dram_interval, limit_interval
from codesign.search.goal import Goal
from codesign.search.sized import search_sized_design
from codesign.testing.small import small_graph

CASES = int(os.environ.get("CODESIGN_CASES", "16"))
LIMIT_S = 60  # of the processor's time, for one command: other work on the machine does not count
# A case takes a second: what failed is told as it was drawn, without looking for a smaller one.
MANY = settings(max_examples=CASES, suppress_health_check=list(HealthCheck), phases=[Phase.generate])

Plain = Any
PathOf = tuple[str | int, ...]

INTEGERS = (0, 1, 2, 3, 5, -1, 7, 100, 2**16, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30)
FLOATS = (0.0, -0.0, 1.0, 0.5, 1e-310, 5e-324, 1e-30, 1e-9, 1 - 2**-53, 1.5, 60.0, 1e6, 1e30, 1e308, -1.0, -1e308)
STRINGS = ("", "a", "-", "..", "/", "x" * 300, "ä", "a b", "a\nb", "\ud800", "nul\0", "$(true)", "pynq-z2", "zcu102")

# What a user may ask for without end, and what that costs is theirs to know: here it stays within a case's minute.
WORK = {
    "epochs": 2, "float_epochs": 2, "quantized_epochs": 2, "images": 40, "epoch_images": 40, "trained_finalists": 2,
    "trained_neighbours": 1, "threads": 2, "csim_images": 40, "rtlsim_images": 8, "widths": 16, "expansion": 4,
}  # fmt: skip


class TooLongError(BaseException):
    """A command took too long; no handler of the package's catches this."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise TooLongError after LIMIT_S of the processor's time, or where nothing goes on at all."""

    def stop(*_: object) -> None:
        raise TooLongError

    clocks = ((signal.ITIMER_PROF, signal.SIGPROF, LIMIT_S), (signal.ITIMER_REAL, signal.SIGALRM, 15 * LIMIT_S))
    before = [signal.signal(number, stop) for _, number, _ in clocks]
    for clock, _, seconds in clocks:
        signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        for (clock, number, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def values(hint: Any) -> st.SearchStrategy[Plain]:
    """Plain data of a type hint, extreme where it can be."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is tuple:
        several = args[-1] is Ellipsis
        return st.lists(values(args[0]), max_size=3) if several else st.tuples(*map(values, args)).map(list)
    if hint is type(None):
        return st.none()
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.fixed_dictionaries({f.name: values(hints[f.name]) for f in dataclasses.fields(hint)})
    if issubclass(hint, Enum):
        return st.sampled_from([member.value for member in hint])
    return st.sampled_from({int: INTEGERS, float: FLOATS, str: STRINGS, bool: (False, True)}[hint])


def places(hint: Any, plain: Plain, path: PathOf = ()) -> list[tuple[PathOf, Any]]:
    """Every place in plain data of that hint, with the hint of what may stand there."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    found = [(path, hint)] if path else []
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(plain, dict):
            hints = typing.get_type_hints(option)
            for name in plain:
                found += places(hints[name], plain[name], (*path, name))
        elif typing.get_origin(option) is tuple and isinstance(plain, list):
            for i, value in enumerate(plain):
                found += places(typing.get_args(option)[0], value, (*path, i))
    return found


def changed(plain: Plain, path: PathOf, value: Plain) -> Plain:
    """Plain data with another value in one place; counts of work stay small."""
    if not path:
        return value
    copy = dict(plain) if isinstance(plain, dict) else list(plain)
    copy[path[0]] = changed(plain[path[0]], path[1:], value)
    most = WORK.get(str(path[0]))
    if most is not None:
        numbers = copy[path[0]] if isinstance(copy[path[0]], list) else [copy[path[0]]]
        if any(n > most for n in numbers):
            copy[path[0]] = plain[path[0]]
    return copy


def parses(hint: Any, plain: Plain) -> bool:
    try:
        parse(hint, plain, "here")
    except ConfigError:
        return False
    return True


@st.composite
def mostly_valid(draw: st.DrawFn, hint: Any, base: Plain) -> Plain:
    """The valid base with one to three extreme values, which the parser accepts but in some cases."""
    there = places(hint, base)
    wanted, wrong, plain = draw(st.integers(1, 3)), draw(st.integers(0, 9)) == 0, base
    for _ in range(12):
        path, of = draw(st.sampled_from(there))
        try:
            other = changed(plain, path, draw(values(of)))
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
        if parses(hint, other):
            plain, wanted = other, wanted - 1
        elif wrong:
            return other
        if not wanted:
            break
    return plain


def tiny_data(path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20, 5, 5, 1), dtype=np.uint8)
    y = np.arange(20) % 2
    np.savez(path, x_train=x[:12], y_train=y[:12], x_test=x[12:], y_test=y[12:])


def hide_tools(patch: pytest.MonkeyPatch, *, programs: bool) -> None:
    """Let synthesis be passed over, and simulation too if `programs`: they take longer than all the rest."""
    there = importlib.util.find_spec
    patch.setattr("importlib.util.find_spec", lambda name: None if name == "pyosys" else there(name))
    if programs:
        patch.setenv("PATH", "")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to stderr after the progress, as one line."""
    return re.sub(r"\s+", " ", capsys.readouterr().err)


def check(status: int, text: str, summary: Path) -> None:
    """The command ended well, with a summary that is JSON, or with one complaint."""
    event(f"status {status}")
    assert status in (0, 1, 2)
    assert "Traceback" not in text
    assert "Warning" not in text
    if status:
        assert text.count("codesign: ") == 1
    else:
        json.loads(summary.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in summary.json"))


def base_configuration(data: Path) -> tuple[Any, Plain]:
    """A type and a small valid configuration of it, with every key."""
    from codesign.cosearch.config import SearchConfig
    from codesign.datasets.load import DataConfig, DataKind
    from codesign.flow.config import ProofConfig, RunConfig
    from codesign.networks.space import BlockSpace, HeadPool, Kind, Operator, Space, StageSpace
    from codesign.networks.training import Device, TrainConfig

    conv, skip = Operator(kind=Kind.CONV, kernel=3), Operator(kind=Kind.SKIP)
    blocks = (
        BlockSpace(operators=(conv,), weight_bits=(3, 4)),
        BlockSpace(operators=(Operator(kind=Kind.SEPARABLE, kernel=3), skip), weight_bits=(4,)),
    )
    space = Space(
        stages=(StageSpace(stride=2, widths=(2, 4), activation_bits=(4,), blocks=blocks),),
        head_pools=(HeadPool.GLOBAL, HeadPool.NONE),
        head_weight_bits=(4,),
    )
    config = RunConfig(
        name="extreme",
        board="pynq-z2",
        data=DataConfig(kind=DataKind.ARRAYS, path=str(data)),
        space=space,
        search=SearchConfig(
            epochs=2, warmup_epochs=1, images=12, batch_images=4, minimum_depth=0, finalists=2, trained_finalists=2,
            trained_neighbours=1, threads=1, device=Device.CPU,
        ),
        train=TrainConfig(
            float_epochs=1, quantized_epochs=1, epoch_images=12, batch_images=4, calibration_images=12, threads=1,
            device=Device.CPU,
        ),
        proof=ProofConfig(csim_images=4, rtlsim_images=4, stalls=False, synthesis=False),
    )  # fmt: skip
    return RunConfig, to_plain(config)


@pytest.mark.torch
@MANY
@given(st.data())
def test_any_configuration_ends_in_a_status_and_a_sentence(capsys: pytest.CaptureFixture[str], data: Any) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home = Path(folder)
        patch.chdir(home)
        tiny_data(Path("data.npz"))
        plain = data.draw(mostly_valid(*base_configuration(Path("data.npz"))))
        if plain["data"]["kind"].startswith("fashion-mnist"):  # many images, which is no extreme
            plain = {**plain, "data": {**plain["data"], "kind": "arrays"}}
        hide_tools(patch, programs=CASES < 100 or data.draw(st.integers(0, 24)) < 24)
        note(json.dumps(plain))
        Path("c.yaml").write_text(yaml.safe_dump(plain), errors="surrogatepass")
        with limited():
            status = main(["run", "c.yaml", "--out", "run"])
        check(status, told(capsys), home / "run" / "summary.json")


OPTIONS = {
    "--board": ("pynq-z2", "", "..", "x" * 300, "nowhere.yaml", "/", "kv260"),
    "--min-fps": ("nan", "inf", "-inf", "-1", "0", "-0.0", "1e400", "1e-310", "5e-324", "1", "1e308", "x", "", "1e5"),
    "--max-latency-us": ("nan", "inf", "-1", "0", "1e400", "1e-310", "1e308", "1e-3", "1", "100", ""),
    "--limit": (
        *(f"{name}={n}" for name in NAMES for n in (0, 1, 100, 3000, 2**31, 2**63, "9" * 5000)),
        "lut", "=", "lut=", "lut=-1", "lut=1e3", "lut=0x10", "lut=١", "lutt=1", "", "lut=²",
    ),
    "--csim-images": ("0", "-1", "3", "4", "5", "10001", str(2**63), "1e3", "nan", "", "9" * 5000),
    "--rtlsim-images": ("0", "-1", "3", "4", "5", "10001", str(2**63), "1e3", "nan", ""),
    "--goal": ("interval", "latency", "resources", "speed", ""),
    "--images": ("nowhere.npy", "", ".", "small.onnx"),
}  # fmt: skip


@MANY
@given(st.data())
def test_any_command_line_ends_in_a_status_and_a_sentence(capsys: pytest.CaptureFixture[str], data: Any) -> None:
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    chosen = {"--board": "pynq-z2", "--csim-images": "4", "--rtlsim-images": "4"}
    for option in data.draw(st.lists(st.sampled_from(sorted(OPTIONS)), min_size=1, max_size=3)):
        chosen[option] = data.draw(st.sampled_from(OPTIONS[option]))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home = Path(folder)
        patch.chdir(home)
        hide_tools(patch, programs=True)
        write_onnx(small_graph(), Path("small.onnx"))
        command = ["compile", "small.onnx", "--out", "run", *(f"{k}={v}" for k, v in chosen.items())]
        with limited():
            status = main(command)
        check(status, told(capsys), home / "run" / "summary.json")


@st.composite
def boards(draw: st.DrawFn) -> Board:
    """Boards with next to nothing, or far too much, of up to two resources, and limits or shares that leave little."""
    board = load_board("pynq-z2")
    amounts = st.sampled_from((0, 1, 2, 10, 300, 1000, 5000, 10**6, 10**9))

    def few(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=2))

    shares = st.sampled_from((5e-324, 1e-9, 0.01, 0.5, 1.0))
    return dataclasses.replace(
        board,
        resources=dataclasses.replace(board.resources, **few(amounts)),
        fill=dataclasses.replace(board.fill, **(few(shares) if draw(st.booleans()) else {})),
        limits=Limits(**(few(amounts) if draw(st.booleans()) else {})),
        clock_mhz=draw(st.sampled_from((1.0, 100.0, 1000.0))),
        dram_peak_mb_s=draw(st.sampled_from((1.0, 2100.0, 1e7))),
        dram_efficiency=draw(st.sampled_from((0.01, 1.0))),
    )


@MANY
@given(boards(), st.sampled_from(list(Goal)), st.sampled_from([None, 1, 40, 10**6, MOST_CYCLES]))
def test_on_any_board_a_design_fits_or_nothing_does(board: Board, goal: Goal, most: int | None) -> None:
    graph = small_graph()
    limit = limit_interval(graph, board)
    try:
        found, design, cost = search_sized_design(graph, board, goal, demand=Demand(interval_cycles=most))
    except InfeasibleError as refused:
        message = str(refused)
    else:
        message = "design: fits"
        check_design(design, graph)
        assert cost.resources.fits(board.budget)
        assert found.bound <= found.objective
        assert 0.0 <= found.gap <= 1.0
        assert limit is not None
        assert limit <= max(cost.interval_cycles, dram_interval(graph, board))
    event(message.partition(":")[2][:8] if "fits" in message else "infeasible")
    assert message.startswith("design: ")
    assert not re.search(r"available -|needs about (0|-\d+)\b", message)


@pytest.mark.parametrize("gone", [("dsp",), ("bram18",), ("dsp", "bram18", "uram")])
def test_a_network_is_compiled_for_a_part_that_lacks_a_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...]
) -> None:
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    board = load_board("pynq-z2")
    board = dataclasses.replace(board, resources=dataclasses.replace(board.resources, **dict.fromkeys(gone, 0)))
    monkeypatch.chdir(tmp_path)
    hide_tools(monkeypatch, programs=True)
    write_onnx(small_graph(), Path("small.onnx"))
    Path("board.yaml").write_text(yaml.safe_dump(to_plain(board)))
    assert main(["compile", "small.onnx", "--board", "board.yaml", "--out", "run"]) == 0
    found = json.loads(Path("run/summary.json").read_text())
    assert all(found["predicted"][name] == 0 for name in gone)
    assert found["limit"]["interval_cycles"] <= found["predicted"]["interval_cycles"]


def test_a_part_without_dsps_or_without_luts_has_the_limit_of_the_other_and_an_empty_one_none() -> None:
    graph, board = small_graph(), load_board("pynq-z2")
    macs = sum(node.macs for node in graph.nodes if hasattr(node, "macs"))

    def limit(dsp: int, lut: int) -> int | None:
        return limit_interval(graph, dataclasses.replace(board, resources=Resources(dsp=dsp, lut=lut)))

    assert limit(dsp=1, lut=0) == (macs + 1) // 2  # two multiplications share a DSP
    assert limit(dsp=2, lut=0) == (macs + 3) // 4
    assert limit(dsp=0, lut=1) > limit(dsp=1, lut=1)
    assert limit(dsp=0, lut=0) is None
