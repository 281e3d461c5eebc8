"""The only place that starts processes: with a time limit, a log file, and an error that says what to do."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import ToolError
from codesign.sim import guard

LAST_LINES = 12  # of the log, shown in an error
LONGEST_S = 2_000_000.0  # that a socket can wait, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program to be run in `cwd`; both its streams go to the file `log`. `environment` is added to ours."""

    argv: tuple[str | Path, ...]
    cwd: Path
    log: Path
    environment: Mapping[str, str] | None = None

    @property
    def command(self) -> list[str]:
        return [str(a) for a in self.argv]


def run_tool(
    argv: Sequence[str | Path], *, cwd: Path, timeout_s: float, log: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program in `cwd` and return what it printed; both its streams go to the file `log` as well.

    `environment` is added to ours. Raise ToolError, naming command, status, log, last lines and the likely cause, if
    the program is missing, fails, or takes longer than timeout_s seconds. Whenever this returns or raises, nothing that
    the program started is left; nor if this process dies, see sim.guard.
    """
    job = Job(argv=tuple(argv), cwd=cwd, log=log, environment=environment)
    for _, error in run_jobs([job], at_once=1, timeout_s=timeout_s):
        if error is not None:
            raise error from error.__cause__
    return log.read_text(errors="replace")


def run_jobs(jobs: Sequence[Job], *, at_once: int, timeout_s: float) -> Iterator[tuple[Job, ToolError | None]]:
    """Run programs, so many at once, and yield each as it ends, with the error that run_tool would raise of it.

    A program that takes longer than timeout_s seconds is stopped. When the iterator is closed, all that still run are.
    """
    waiting, running = list(reversed(jobs)), dict[socket.socket, _Running]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop()
                try:
                    started = _start(job, timeout_s)
                except ToolError as error:
                    yield job, error
                else:
                    running[started.link] = started
            if not running:
                continue
            patience = min(r.until for r in running.values()) - time.monotonic()
            ready, _, _ = select.select(list(running), [], [], max(patience, 0.0))
            late = [r.link for r in running.values() if r.until <= time.monotonic() and r.link not in ready]
            for link in (*ready, *late):
                ended = running.pop(link)
                yield ended.job, _outcome(ended, timeout_s if link in late else None)
    finally:
        for left in running.values():
            left.stop()


def tool_version(argv: Sequence[str], *, cwd: Path) -> str:
    """Return the first line that `argv` (a program and its version option) prints. Raise ToolError as run_tool does."""
    log = cwd / f"{Path(argv[0]).name}-version.log"
    lines = run_tool(argv, cwd=cwd, timeout_s=30, log=log).splitlines()
    return lines[0].strip() if lines else "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A guard with its program, our end of the socket to it, and when its time is over."""

    job: Job
    process: "subprocess.Popen[bytes]"
    link: socket.socket
    until: float

    def stop(self) -> None:
        """Kill the guard's whole group. Until it is waited for here, no other group can have its number."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.link.close()


def _start(job: Job, timeout_s: float) -> _Running:
    """Start the guard of a program. Raise ToolError."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    with job.log.open("wb") as stream, theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(theirs.fileno()), *job.command],
                cwd=job.cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(job.environment or {})},
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        except OSError as error:
            ours.close()
            raise ToolError(_not_started(job.command, job.cwd, error)) from error
    return _Running(job, process, ours, time.monotonic() + min(timeout_s, LONGEST_S))


def _outcome(ended: _Running, late_s: float | None) -> ToolError | None:
    """Return what went wrong with a program that ended, or that is out of time after `late_s`; stop what it left."""
    job = ended.job
    try:
        if late_s is not None:
            cause = f"was stopped after {late_s:g} s; give it more time, or a smaller design"
            return ToolError(_failed(job.command, cause, job.log))
        what, _, number = ended.link.recv(64).decode().partition(" ")
    finally:
        ended.stop()
    if what == "error":
        return ToolError(_not_started(job.command, job.cwd, OSError(int(number), os.strerror(int(number)))))
    status = int(number) if what == "status" else -signal.SIGKILL  # of the guard
    if status == 0:
        return None
    failed = ToolError(_failed(job.command, _cause(status), job.log))
    failed.status = status
    return failed


def _not_started(command: list[str], cwd: Path, error: OSError) -> str:
    program = command[0]
    if isinstance(error, FileNotFoundError) and cwd.is_dir():
        return f"{program}: not found; install it or put it on PATH (codesign doctor lists what is missing)"
    return f"{program}: could not be started in {cwd}: {error.strerror}"


def _cause(status: int) -> str:
    if status == -signal.SIGKILL:
        return "was killed, most likely because memory ran out; free some, or use a smaller design"
    if status < 0:
        return f"died of signal {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _failed(command: list[str], cause: str, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    shown = "".join(f"\n  {line}" for line in lines) or "\n  (it printed nothing)"
    return f"{Path(command[0]).name}: {cause}\ncommand: {' '.join(command)}\nlog: {log}, which ends:{shown}"
