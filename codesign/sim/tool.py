"""The only place that starts processes: with a time limit, a log file, and an error that says what to do."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codesign.errors import ToolError
from codesign.sim import guard

LAST_LINES = 12  # of the log, shown in an error
LONGEST_S = 2_000_000.0  # that a socket can wait, about


def run_tool(
    argv: Sequence[str | Path], *, cwd: Path, timeout_s: float, log: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program in `cwd` and return what it printed; both its streams go to the file `log` as well.

    `environment` is added to ours. Raise ToolError, naming command, status, log, last lines and the likely cause, if
    the program is missing, fails, or takes longer than timeout_s seconds. Whenever this returns or raises, nothing that
    the program started is left; nor if this process dies, see sim.guard.
    """
    command = [str(a) for a in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    with log.open("wb") as stream, ours, theirs:
        ours.settimeout(min(timeout_s, LONGEST_S))
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(theirs.fileno()), *command],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        except OSError as error:
            raise ToolError(_not_started(command, cwd, error)) from error
        try:
            theirs.close()
            what, _, number = ours.recv(64).decode().partition(" ")
        except TimeoutError as error:
            cause = f"was stopped after {timeout_s:g} s; give it more time, or a smaller design"
            raise ToolError(_failed(command, cause, log)) from error
        finally:
            _kill(process)
    if what == "error":
        raise ToolError(_not_started(command, cwd, OSError(int(number), os.strerror(int(number)))))
    status = int(number) if what == "status" else -signal.SIGKILL  # of the guard
    if status != 0:
        raise ToolError(_failed(command, _cause(status), log))
    return log.read_text(errors="replace")


def tool_version(argv: Sequence[str], *, cwd: Path) -> str:
    """Return the first line that `argv` (a program and its version option) prints. Raise ToolError as run_tool does."""
    log = cwd / f"{Path(argv[0]).name}-version.log"
    lines = run_tool(argv, cwd=cwd, timeout_s=30, log=log).splitlines()
    return lines[0].strip() if lines else "unknown"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the guard's whole group. Until it is waited for here, no other group can have its number."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
