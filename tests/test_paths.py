"""Every tool works in a folder of any name, and every script is clean."""

import os
import subprocess
from pathlib import Path

import pytest

from codesign.flow import look, steps
from codesign.flow.config import ProofConfig
from test_flow import begin

ROOT = Path(__file__).parent.parent
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]
HARD_NAME = "-a  b$HOME'\"#;&|=,:%s(é)*?[]{}`~!<>\t\\"


@pytest.mark.gxx
@pytest.mark.verilator
@pytest.mark.slow
def test_all_tools_work_in_a_folder_of_any_name(tmp_path: Path) -> None:
    proof = ProofConfig(csim_images=5, rtlsim_images=4, stalls=False, synthesis=False)
    run = begin(tmp_path / HARD_NAME / ("long" * 50), proof=proof)
    for step in (steps.design_step, steps.predict_step, steps.render_step, steps.proof_steps):
        step(run)
    summary = look.write_report(run.folder, run.settings, run.board)
    assert (summary["csim"]["mismatches"], summary["rtlsim"]["mismatches"]) == (0, 0)
    done = subprocess.run(
        ["make", "csim", "verilate"], cwd=run.folder.project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "result images 4 words 12 mismatches 0" in done.stdout


@pytest.mark.shellcheck
@pytest.mark.skipif(not SCRIPTS[0].exists(), reason="not in a checkout")
def test_every_script_is_clean() -> None:
    programs = [p for p in ROOT.rglob("*") if p.suffix == ".sh" and ".venv" not in p.parts and ".tox" not in p.parts]
    assert set(programs) <= set(SCRIPTS)
    done = subprocess.run(["shellcheck", *SCRIPTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert all(os.access(script, os.X_OK) for script in SCRIPTS)
