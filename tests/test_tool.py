"""Processes: what they print, and what is said when they are missing, fail, die or hang."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from codesign.errors import ToolError
from codesign.sim import tool
from codesign.sim.tool import run_tool, tool_version


def run_python(code: str, folder: Path, timeout_s: float = 20.0) -> str:
    return run_tool([sys.executable, "-c", code], cwd=folder, timeout_s=timeout_s, log=folder / "logs" / "x.log")


def test_both_streams_are_returned_and_logged(tmp_path: Path) -> None:
    text = run_python("import sys; print('one', flush=True); print('two', file=sys.stderr)", tmp_path)
    assert text == "one\ntwo\n" == (tmp_path / "logs" / "x.log").read_text()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no-such-program: not found; install it"):
        run_tool(["no-such-program"], cwd=tmp_path, timeout_s=1, log=tmp_path / "x.log")


def test_a_missing_folder_is_not_called_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"could not be started in .*nowhere"):
        run_tool([sys.executable], cwd=tmp_path / "nowhere", timeout_s=1, log=tmp_path / "x.log")


def test_a_failure_shows_status_command_log_and_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        run_python("import sys\nfor i in range(99): print('line', i)\nsys.exit(7)", tmp_path)
    message = str(caught.value)
    assert "ended with status 7" in message
    assert "command: " in message
    assert str(tmp_path / "logs" / "x.log") in message
    assert "line 98" in message
    assert "line 80\n" not in message


def test_a_silent_failure_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="it printed nothing"):
        run_python("import sys; sys.exit(1)", tmp_path)


@pytest.mark.parametrize(("name", "cause"), [("SIGKILL", "memory ran out"), ("SIGSEGV", "died of signal SIGSEGV")])
def test_a_death_by_signal_has_its_likely_cause(name: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=cause):
        run_python(f"import os, signal; os.kill(os.getpid(), signal.{name})", tmp_path)


def test_a_time_out_kills_the_children_too(tmp_path: Path) -> None:
    child = f"import time, pathlib; time.sleep(1.5); pathlib.Path({str(tmp_path / 'alive')!r}).touch()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(ToolError, match=r"was stopped after 0\.5 s; give it more time"):
        run_python(parent, tmp_path, timeout_s=0.5)
    time.sleep(1.6)
    assert not (tmp_path / "alive").exists()


def test_an_interrupt_kills_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def wait(self, timeout: float | None = None) -> int:
            if timeout is not None:
                raise KeyboardInterrupt
            return super().wait()

    started: list[Interrupted] = []

    def start(*args: object, **options: object) -> Interrupted:
        started.append(Interrupted(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(tool.subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        run_python("import time; time.sleep(60)", tmp_path)
    assert started[0].returncode == -9


def test_the_environment_is_added_to(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import os; print(os.environ['PATH'] != '', os.environ['EXTRA'])"]
    assert run_tool(argv, cwd=tmp_path, timeout_s=20, log=tmp_path / "x", environment={"EXTRA": "7"}) == "True 7\n"


def test_the_version_is_the_first_line(tmp_path: Path) -> None:
    assert tool_version([sys.executable, "--version"], cwd=tmp_path).startswith("Python 3.")
