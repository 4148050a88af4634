"""The command in processes that torchrun or SLURM has started, or as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnn_lightning.cli import main
from tests.cli.helpers import files, measured, one_mistake, only_run
from tests.conftest import SMALL, Command, Result
from tests.many import as_srun, as_torchrun, forked

TINY = (*SMALL, "--data.num_test=7", "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--data.batch_size=32")
PARTS = ["checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "metrics.csv"]
Started = Callable[[int, int, int], dict[str, str]]


@pytest.fixture
def job(workplace: Path, tmp_path: Path) -> Callable[..., list[Result]]:
    """Runs a command in two processes, each in a folder of its own if there are two nodes."""

    def run(started: Started, nodes: int, *argv: str) -> list[Result]:
        def work(rank: int) -> int:
            if nodes > 1:
                folder = Path(f"node{rank}")
                folder.mkdir(exist_ok=True)
                os.chdir(folder)
            return main(list(argv))

        return forked(work, [started(rank, 2, nodes) for rank in range(2)], tmp_path)

    return run


def test_processes_that_were_started_together_are_one_job(job: Callable[..., list[Result]]) -> None:
    """One training, one run folder; each line once; test and predictions as one process has them."""
    first, second = job(as_torchrun, 1, "fit", *TINY)
    assert (first.code, second.code, second.out) == (0, 0, ""), (first, second)
    assert sum(line.startswith("epoch ") for line in first.out.splitlines()) == 1
    run = only_run()
    assert files(run) == PARTS
    first, second = job(as_torchrun, 1, "test", "--json", "--trainer.accelerator=cpu")
    assert (first.code, second) == (0, Result(0, "", "")), (first, second)
    together = json.loads(first.out)
    assert main(["test", "--json"]) == 0
    alone = json.loads((run / "test" / "metrics.json").read_text())
    for name, value in alone.items():
        if name.startswith("test_"):
            assert together[name] == pytest.approx(value, abs=1e-6)
    first, second = job(as_torchrun, 1, "predict", "--trainer.accelerator=cpu", "--trainer.strategy=ddp")
    assert (first.code, second) == (0, Result(0, "", "")), (first, second)
    assert [line.split()[-1] for line in first.out.splitlines()] == [str(index) for index in range(7)]


@pytest.mark.parametrize("started", [as_torchrun, as_srun])
def test_two_nodes_have_one_run_folder_where_the_first_process_stands(
    job: Callable[..., list[Result]], started: Started
) -> None:
    first, second = job(started, 2, "fit", *TINY)
    assert (first.code, second.code, second.out) == (0, 0, ""), (first, second)
    assert [file.rpartition("/")[2] for file in files(Path("node0"))] == [part.rpartition("/")[2] for part in PARTS]
    assert files(Path("node1")) == []


def test_another_number_of_devices_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in as_torchrun(0, 4, 2).items():
        monkeypatch.setenv(name, value)
    for words, said in (
        (["--trainer.devices=3"], "trainer.devices is 3, but torchrun has started 2 processes on 2 nodes: leave it"),
        (["--trainer.num_nodes=4"], "trainer.num_nodes is 4, but torchrun has started 2 processes on 2 nodes: leave"),
    ):
        one_mistake(command("fit", *TINY, *words), said)
    assert not Path("runs").exists()


def test_a_forgotten_srun_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the one process would wait for the others for half an hour."""
    for name, value in as_srun(0, 4).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_STEP_ID")
    one_mistake(command("fit", *TINY), "SLURM has 4 tasks here: write srun before rnn-lightning")
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert command("fit", *TINY).code == 0


def test_a_comparison_starts_its_trainings_itself(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in as_torchrun(0, 2).items():
        monkeypatch.setenv(name, value)
    one_mistake(command("compare", "--rows=lstm", "--columns=parity"), "start it without torchrun and srun")


def test_torchrun_and_the_command(workplace: Path) -> None:
    """The recipe of docs/many_processes.md."""
    words = ["torchrun", "--nproc-per-node", "2", "-m", "rnn_lightning", "fit", *TINY]
    place = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=300, env={**os.environ, "PATH": place}
    )
    assert done.returncode == 0, done.stderr
    assert measured(Result(0, done.stdout, ""))
    assert files(only_run()) == PARTS
