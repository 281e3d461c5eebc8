"""Processes: what they print, and what is said when they are missing, fail, die or hang."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codesign.errors import ToolError
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


def is_alive(process: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(process: int) -> bool:
    """Whether the process is gone within some seconds."""
    deadline = time.monotonic() + 20
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(process)


def number_in(path: Path) -> int:
    """The number that a process writes to the file some time."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.exists() and path.read_text().endswith("\n")):
        time.sleep(0.02)
    return int(path.read_text())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_what_a_tool_started_ends_with_us(name: str, tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from codesign.sim.tool import run_tool\n"
        "from codesign.flow.interrupt import interruptible\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "here = Path(sys.argv[1])\n"
        "with interruptible(lambda: None):\n"
        "    run_tool(['sh', '-c', 'sleep 300 & echo $! > child; wait'], cwd=here, timeout_s=60, log=here / 'log')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE) as command:
        child = number_in(tmp_path / "child")
        assert is_alive(child)
        command.send_signal(signal.Signals[name])
        command.wait(timeout=60)
    assert ends(child)


def test_what_a_tool_left_running_ends_with_it(tmp_path: Path) -> None:
    run_tool(["sh", "-c", "sleep 300 & echo $! > child"], cwd=tmp_path, timeout_s=20, log=tmp_path / "log")
    assert ends(number_in(tmp_path / "child"))


def test_a_lost_guard_is_noticed_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolError, match="was killed, most likely because memory ran out"):
        run_python("import os, time; os.kill(os.getppid(), 9); time.sleep(300)", tmp_path, timeout_s=200)
    assert time.monotonic() - begun < 100


def test_a_time_limit_may_be_longer_than_any_wait(tmp_path: Path) -> None:
    assert run_python("print(1)", tmp_path, timeout_s=1e308) == "1\n"


def test_the_environment_is_added_to(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import os; print(os.environ['PATH'] != '', os.environ['EXTRA'])"]
    assert run_tool(argv, cwd=tmp_path, timeout_s=20, log=tmp_path / "x", environment={"EXTRA": "7"}) == "True 7\n"


def test_the_version_is_the_first_line(tmp_path: Path) -> None:
    assert tool_version([sys.executable, "--version"], cwd=tmp_path).startswith("Python 3.")
