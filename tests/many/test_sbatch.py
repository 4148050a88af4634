"""The script for SLURM; in the place of srun, scontrol and the command stand programs that note how they are called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.pages import ROOT

_SCRIPT = ROOT / "docs" / "train.sbatch"
_NOTES = '#!/bin/bash\necho "$(basename "$0") $*" >> calls\n'
_SRUN = f'{_NOTES}while [[ $1 == --* ]]; do shift; done\n"$@"\n'


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs; the command ends with the code in the file `code`, and keeps a checkpoint."""
    folder = tmp_path / "tools"
    folder.mkdir()
    run = "$RNN_LIGHTNING_RUNS/lstm-synthetic/2026-11-22_06-45-37/checkpoints"
    command = f'{_NOTES}mkdir -p "{run}"; touch "{run}/last.ckpt"; exit "$(cat code)"\n'
    for name, text in (("srun", _SRUN), ("scontrol", _NOTES), ("rnn-lightning", command)):
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o755)
    return folder


def _calls(tools: Path, code: int, job: int) -> list[str]:
    """How a job of the script that ends with this code calls the others."""
    Path("calls").unlink(missing_ok=True)
    Path("code").write_text(str(code))
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": str(job)}
    done = subprocess.run(["bash", _SCRIPT, "--config", "lstm.yaml"], check=False, env=environment, timeout=60)
    assert done.returncode == code
    return Path("calls").read_text().splitlines()


def test_a_job_whose_time_is_up_goes_on_when_its_turn_comes_again(workplace: Path, tools: Path) -> None:
    srun = "srun --kill-on-bad-exit=1 rnn-lightning fit"
    begun = [f"{srun} --config lstm.yaml", "rnn-lightning fit --config lstm.yaml"]
    assert _calls(tools, 143, job=7) == [*begun, "scontrol requeue 7"]
    assert _calls(tools, 0, job=7) == [f"{srun} --resume", "rnn-lightning fit --resume"]
    assert _calls(tools, 2, job=8) == begun
