"""Our co-search and every rival in one run: one space, data set, cost model and demand, one end, one way of counting.

    python benchmarks/cosearch.py [--profile short|full] [--board NAME] [--fps N] [--seed N] [--method NAME]
                                  [--jobs N] [--work FOLDER] [--no-simulation]
                                  [--tiny | --page]

Each cell (board, demand, method, seed) is a row of benchmarks/results/cosearch/cells.csv. Finished cells are passed
over, so an interrupted run continues where it was. A run with `--no-simulation` leaves the RTL simulations to the next
one without. `--jobs 2` shares the cells between two processes; what they say is in logs/ of the work folder. `--tiny`
enumerates a small space and asks whether the search finds its optimum. `--page` makes docs/cosearch.md and
docs/cosearch.svg from the tables alone.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from race.estimate import estimate
from race.page import page
from race.plot import plot
from race.run import Race
from race.settings import BUDGETS, PROFILES, RESULTS, SEEDS, SPACE, TINY, Cell, Method, all_cells
from race.store import Result, Store
from race.tiny import load, measure

from codesign.datasets.load import DataConfig, load_dataset
from codesign.errors import CodesignError
from codesign.ir.files import write_text
from codesign.networks.spaces import load_space
from codesign.sim.tool import Job, run_jobs

LINE_S = 30.0  # between two lines of progress
WEEK_S = 7 * 24 * 3600.0
DOCS = Path(__file__).parent.parent / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    store = Store(RESULTS)
    if options.page:
        write_text(DOCS / "cosearch.md", page(store, load(TINY)))
        write_text(DOCS / "cosearch.svg", plot(store))
        return 0
    if options.tiny:
        measure(TINY, load_dataset(DataConfig()), options.work, _Lines())
        return 0
    cells = [c for c in all_cells() if _wanted(c, options)]
    if options.jobs > 1:
        return share_cells(cells, options)
    race = _race(options.profile, store, options.work)
    return run_cells(race, cells, options.profile, store, simulate=not options.no_simulation)


def _race(profile: str, store: Store, work: Path) -> Race:
    return Race(PROFILES[profile], load_space(SPACE), load_dataset(DataConfig()), store, work)


def run_cells(race: Race, cells: list[Cell], profile: str, store: Store, *, simulate: bool = True) -> int:
    """Run the cells that are not finished; 1 if one of them failed."""
    todo = [c for c in cells if not race.finished(c, simulate=simulate)]
    _say(f"{len(cells) - len(todo)} of {len(cells)} cells are finished; {estimate(todo, PROFILES[profile], store)}")
    failed = 0
    for i, cell in enumerate(todo):
        begun = time.monotonic()
        try:
            result = race.run(cell, _Lines(), simulate=simulate)
            verdict = _verdict(result)
        except CodesignError as error:  # the others continue
            failed += 1
            verdict = f"FAILED: {error}"
        _say(f"[{i + 1}/{len(todo)}] {cell}: {verdict}, {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


def share_cells(cells: list[Cell], options: argparse.Namespace) -> int:
    """Give the cells to processes, those of one board, demand and seed to one; 1 if one of them failed."""
    jobs = []
    for board, fps, seed in dict.fromkeys((c.board, c.fps, c.seed) for c in cells):
        own = [c.method.value for c in cells if (c.board, c.fps, c.seed) == (board, fps, seed)]
        argv = [
            sys.executable,
            Path(__file__).resolve(),
            "--profile",
            options.profile,
            "--work",
            options.work.resolve(),
        ]
        argv += ["--board", board, "--fps", str(fps), "--seed", str(seed)]
        argv += [word for method in own for word in ("--method", method)]
        argv += ["--no-simulation"] if options.no_simulation else []
        log = options.work / "logs" / f"{board}-{fps}-{seed}.log"
        jobs.append(Job(argv=tuple(argv), cwd=Path.cwd(), log=log))
    failed = 0
    for done, (job, error) in enumerate(run_jobs(jobs, at_once=options.jobs, timeout_s=WEEK_S), 1):
        failed += error is not None
        _say(f"[{done}/{len(jobs)}] {job.log.stem}: {'done' if error is None else error}")
    return 1 if failed else 0


def _wanted(cell: Cell, options: argparse.Namespace) -> bool:
    asked = ((options.board, cell.board), (options.fps, cell.fps), (options.seed, cell.seed))
    return all(not names or own in names for names, own in asked) and (
        not options.method or cell.method in options.method
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = sorted({fps for budgets in BUDGETS.values() for fps in budgets})
    parser.add_argument("--profile", choices=sorted(PROFILES), default="short", help="how much is spent on a cell")
    parser.add_argument("--board", action="append", choices=list(BUDGETS), help="only this board; repeatable")
    parser.add_argument("--fps", action="append", type=int, choices=every, help="only this demand; repeatable")
    parser.add_argument("--seed", action="append", type=int, choices=SEEDS, help="only this seed; repeatable")
    parser.add_argument("--method", action="append", type=Method, help="only this method; repeatable")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="share the cells between N processes")
    parser.add_argument("--work", type=Path, default=Path("build/cosearch"), help="for what can be made again")
    parser.add_argument("--no-simulation", action="store_true", help="leave the RTL simulations to a later run")
    parser.add_argument("--tiny", action="store_true", help="search a space that can be enumerated, nothing else")
    parser.add_argument("--page", action="store_true", help="make the page and the plot from the tables, run nothing")
    return parser


def _verdict(result: Result) -> str:
    found, final = result.search, result.final
    head = f"{found.evaluations} evaluations, {found.seconds:.0f} CPU s"
    if final is None:
        return f"nothing meets the demand; {head}"
    if final.fps is None:
        return f"its accelerator does not fit with its buffers; {head}"
    pace = f"{final.fps:,.0f} FPS predicted" if final.measured is None else f"{final.measured.fps:,.0f} FPS measured"
    return f"{100 * final.trained.golden_accuracy:.2f} %, {pace}; {head}"


class _Lines:
    """Progress as a line now and then."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if time.monotonic() - self._said > LINE_S:
            self._said = time.monotonic()
            _say(f"{stage}: {done} of {total} {note}".rstrip())


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
