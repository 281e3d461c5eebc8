"""What the benchmarks share: cases one by one, the machine in words, tables, and where a page goes."""

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from codesign.errors import CodesignError
from codesign.ir.files import write_text

C = TypeVar("C")
R = TypeVar("R")


def run_cases(todo: Sequence[C], measure: Callable[[C], tuple[R, str]]) -> tuple[list[R], list[str]]:
    """Return the results, and what went wrong with other cases. `measure` gives a result and words for the screen."""
    results: list[R] = []
    troubles: list[str] = []
    for i, case in enumerate(todo):
        begun = time.monotonic()
        try:
            result, verdict = measure(case)
            results.append(result)
        except CodesignError as error:  # the others continue
            troubles.append(f"{case}: {error}")
            verdict = f"FAILED: {error}"
        print(f"[{i + 1}/{len(todo)}] {case}: {verdict}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return results, troubles


def parser_of(words: str | None, *, work: bool = False) -> argparse.ArgumentParser:
    """Return a parser with the options that benchmarks share."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the page to this file, not to the screen")
    if work:
        parser.add_argument("--work", type=Path, help="keep the projects and logs in this folder")
    return parser


def publish(text: str, out: Path | None) -> None:
    """Write the page to the file as a whole, or to the screen."""
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)


def processor() -> str:
    """Return the model of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, ["---"] * len(header), *rows))
