"""`codesign sweep`: one configuration of `run` over boards, demands, seeds and spaces; every cell is a separate run.

A cell is a process, `codesign run CELL.yaml --out RUN`, so that one that fails or is killed does not affect the others.
"""

import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from codesign import __version__
from codesign.errors import ConfigError, ToolError
from codesign.flow.begin import lock
from codesign.flow.config import RunConfig, Step, check_name, load_config
from codesign.flow.folder import RunFolder
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.ir.canonical import digest
from codesign.ir.strict import check_range, to_plain
from codesign.progress import Progress
from codesign.report.sweep import Outcome, State, sweep_page, table
from codesign.sim.ray_cluster import run_jobs_on_ray
from codesign.sim.tool import Job, run_jobs

FORMAT = 1
LONGEST_S = 7 * 24 * 3600.0  # of a cell
WRONG, INFEASIBLE = 1, 2  # with which `codesign run` ends


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """`codesign sweep`: what is varied.

    - `run`: a configuration of `codesign run`, or the file that has one.
    - `boards`, `min_fps`, `max_latency_us`, `seeds`, `spaces`: values in place of the configuration's. Every value is
      combined with every other. Anything else is as in `run`.
    - `until`: how far each cell goes. Up to `predict`, a cell has a trained network, its accuracy and its design.

    A relative path is taken from where the command runs.
    """

    name: str
    run: str | RunConfig
    boards: tuple[str, ...] = ()
    min_fps: tuple[float, ...] = ()
    max_latency_us: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    spaces: tuple[str, ...] = ()
    until: Step = Step.PREDICT
    time_limit_s: float = LONGEST_S

    def __post_init__(self) -> None:
        check_name(self.name)
        check_range(self, 1.0, LONGEST_S, "time_limit_s")
        for key in ("boards", "min_fps", "max_latency_us", "seeds", "spaces"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key}: a value stands there twice")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a sweep: its name, and its configuration."""

    name: str
    config: RunConfig


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """The files of a sweep."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "sweep.json"

    @property
    def table(self) -> Path:
        return self.path / "sweep.csv"

    @property
    def page(self) -> Path:
        return self.path / "sweep.html"

    def given(self, cell: Cell) -> Path:
        """Return the file of the cell's configuration."""
        return self.path / "cells" / f"{cell.name}.yaml"

    def ended(self, cell: Cell) -> Path:
        """Return the file that says how the cell ended."""
        return self.path / "cells" / f"{cell.name}.json"

    def log(self, cell: Cell) -> Path:
        return self.path / "logs" / f"{cell.name}.log"

    def run(self, cell: Cell) -> RunFolder:
        return RunFolder(self.path / "runs" / cell.name)


def sweep(
    source: Path | SweepConfig, out: Path, progress: Progress, *, jobs: int | None = None, ray: str | None = None
) -> tuple[Outcome, ...]:
    """Run every cell that is not done yet, and return all outcomes; table and page are written after each.

    `jobs`: cells at a time, of this machine; as many as its cores hold otherwise. `ray`: the address of a Ray cluster
    on which to run them instead, whose machines share our files. A cell that failed is tried again by the next call.
    Raises ConfigError for a wrong configuration or folder, ToolError if the cluster cannot be reached.
    """
    config = source if isinstance(source, SweepConfig) else files.read_yaml_as(SweepConfig, source)
    cells, folder = cells_of(config), SweepFolder(out)
    _check_folder(folder, config)
    files.make_folder(folder.path)
    with lock(folder.path):
        files.write_json(folder.config, {"format": FORMAT, **to_plain(config)})
        todo = {folder.log(c).resolve(): c for c in cells if not _is_done(folder, c, config)}
        progress("sweep", len(cells) - len(todo), len(cells))
        for job, error in _run([_job(folder, c, config) for c in todo.values()], cells, config, jobs, ray):
            cell = todo.pop(job.log)
            _note_end(folder, cell, config, error)
            _write(folder, config, cells)
            progress("sweep", len(cells) - len(todo), len(cells), f"{cell.name}: {_outcome(folder, cell).state.value}")
        return _write(folder, config, cells)


def cells_of(config: SweepConfig) -> tuple[Cell, ...]:
    """Return every cell of a sweep, in the order of its keys. Raise ConfigError if one has no legal configuration."""
    base = config.run if isinstance(config.run, RunConfig) else load_config(Path(config.run))
    axes: list[tuple[str, Sequence[Any]]] = [
        ("board", config.boards),
        ("space", config.spaces),
        ("fps", config.min_fps),
        ("us", config.max_latency_us),
        ("seed", config.seeds),
    ]
    varied = [(key, values) for key, values in axes if values]
    found = []
    for values in itertools.product(*(values for _, values in varied)):
        chosen = dict(zip((key for key, _ in varied), values, strict=True))
        found.append(_cell(config, base, chosen))
    names = [cell.name for cell in found]
    if len(set(names)) < len(names):
        raise ConfigError("sweep: two boards or two spaces are files of one name; give them different names")
    return tuple(found)


def _cell(config: SweepConfig, base: RunConfig, chosen: dict[str, Any]) -> Cell:
    name = "-".join(_word(key, value) for key, value in chosen.items()) or "cell"
    seed = chosen.get("seed", base.search.seed)
    try:
        search = replace(
            base.search,
            min_fps=chosen.get("fps", base.search.min_fps),
            max_latency_us=chosen.get("us", base.search.max_latency_us),
            seed=seed,
        )
        train = replace(base.train, seed=chosen.get("seed", base.train.seed))
        given = {"board": chosen.get("board", base.board), "space": chosen.get("space", base.space)}
        load_board(given["board"])
        return Cell(name, replace(base, name=config.name, search=search, train=train, **given))
    except ValueError as error:  # ConfigError is one
        raise ConfigError(f"sweep: {name}: {error}") from error


def _word(key: str, value: Any) -> str:
    """Return a part of a cell's name, fit for a file."""
    if key in ("board", "space"):
        return Path(value).stem.lower()
    return f"{key}{value:g}" if isinstance(value, float) else f"{key}{value}"


def _check_folder(folder: SweepFolder, config: SweepConfig) -> None:
    """Raise ConfigError unless the folder is new, empty, or one of this sweep; of that, cells may have been added."""
    if not files.is_there(folder.config):
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise ConfigError(f"{folder.path}: not the folder of a sweep, and not empty; name another with --out")
        return
    held = files.read_plain(folder.config)
    if held.get("format") != FORMAT or held.get("name") != config.name:
        raise ConfigError(
            f"{folder.path}: holds the sweep {held.get('name')!r} of format {held.get('format')}, not "
            f"{config.name!r} of format {FORMAT}; name another folder with --out"
        )


def _job(folder: SweepFolder, cell: Cell, config: SweepConfig) -> Job:
    """Write the cell's configuration, and return the process that runs it."""
    plain = json.loads(json.dumps(to_plain(cell.config)))
    files.make_folder(folder.given(cell).parent)
    files.write_text(folder.given(cell), yaml.safe_dump(plain, sort_keys=False))
    argv = (sys.executable, "-m", "codesign", "run", folder.given(cell).resolve())
    return Job(
        argv=(*argv, "--out", folder.run(cell).path.resolve(), "--until", config.until.value),
        cwd=Path.cwd(),
        log=folder.log(cell).resolve(),
        environment={"COLUMNS": "120"},
    )


def _run(
    todo: Sequence[Job], cells: Sequence[Cell], config: SweepConfig, jobs: int | None, ray: str | None
) -> Iterator[tuple[Job, ToolError | None]]:
    threads = max(max(c.config.search.threads, c.config.train.threads) for c in cells)
    if ray is not None:
        return run_jobs_on_ray(todo, ray, cores=threads, timeout_s=config.time_limit_s)
    at_once = jobs if jobs is not None else max((os.cpu_count() or 1) // threads, 1)
    return run_jobs(todo, at_once=at_once, timeout_s=config.time_limit_s)


def _key(cell: Cell, config: SweepConfig) -> str:
    """Return the digest of all that a cell's end depends on."""
    return digest([__version__, config.until.value, to_plain(cell.config), to_plain(load_board(cell.config.board))])


def _is_done(folder: SweepFolder, cell: Cell, config: SweepConfig) -> bool:
    """Tell whether the cell ended with a result, or for want of one, under this very configuration."""
    path = folder.ended(cell)
    if not files.is_there(path):
        return False
    held = files.read_plain(path)
    return held["key"] == _key(cell, config) and State(held["state"]) is not State.FAILED


def _note_end(folder: SweepFolder, cell: Cell, config: SweepConfig, error: ToolError | None) -> None:
    """Write how the cell ended, in the words of its process."""
    state, said = State.DONE, ""
    if error is not None:
        log = files.read_text(folder.log(cell)) if files.is_there(folder.log(cell)) else ""
        _, complained, words = log.rpartition("codesign: ")
        if complained:
            state = State.INFEASIBLE if error.status == INFEASIBLE else State.FAILED
            said = " ".join(words.split())
        elif error.status == WRONG and files.is_there(folder.run(cell).summary):
            state = State.WRONG
            said = "; ".join(files.read_plain(folder.run(cell).summary).get("wrong", ["status 1"]))
        else:
            state, said = State.FAILED, str(error)
    files.write_json(folder.ended(cell), {"key": _key(cell, config), "state": state.value, "error": said})


def _write(folder: SweepFolder, config: SweepConfig, cells: Sequence[Cell]) -> tuple[Outcome, ...]:
    """Write table and page of what is known."""
    outcomes = tuple(_outcome(folder, cell) for cell in cells)
    files.write_text(folder.table, table(outcomes))
    files.write_text(folder.page, sweep_page(config.name, outcomes, __version__))
    return outcomes


def _outcome(folder: SweepFolder, cell: Cell) -> Outcome:
    """Return what the files say of a cell."""
    config, ended = cell.config, folder.ended(cell)
    held = files.read_plain(ended) if files.is_there(ended) else {"state": State.OPEN.value, "error": ""}
    state = State(held["state"])
    found = files.read_plain(folder.run(cell).summary) if state in (State.DONE, State.WRONG) else {}
    predicted = found.get("predicted", {})
    names = ("fps", "interval_cycles", "latency_cycles", "dsp", "bram18", "uram", "lut", "ff")
    return Outcome(
        cell=cell.name,
        board=load_board(config.board).name,
        space=config.space if isinstance(config.space, str) else "",
        min_fps=config.search.min_fps,
        max_latency_us=config.search.max_latency_us,
        seed=config.search.seed,
        state=state,
        accuracy=found.get("accuracy", {}).get("golden"),
        fps_simulated=found.get("rtlsim", {}).get("fps"),
        error=held["error"],
        **{name: predicted.get(name) for name in names},
    )
