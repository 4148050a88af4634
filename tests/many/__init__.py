"""Trainings in several processes: each row of a table in one, two and three of them.

The processes are forked from that of the tests, which has everything imported, and find each other as those of torchrun
do. A group of them goes through all rows.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.data.base import SequenceData
from rnn_lightning.tasks.base import SequenceTask
from tests.conftest import Result

TOGETHER = 6
"""Sequences of a batch of all processes together."""


class Row(NamedTuple):
    """A training: its task, its data with so many sequences in a batch, both made anew, and the Trainer's options."""

    task: Callable[[], SequenceTask]
    data: Callable[[int], SequenceData]
    optimizer: str = "AdamW"
    trainer: dict[str, Any] = {}  # noqa: RUF012  # never changed


class Found(NamedTuple):
    """What came of a row: each epoch's measurements, and those of the test part with the trained weights."""

    epochs: list[dict[str, float]]
    test: dict[str, float]
    intervals: dict[str, Any]
    outcomes: dict[str, list[Any]]
    weights: dict[str, Any]


class _Epochs(Callback):
    """Remembers what each epoch measured."""

    def __init__(self) -> None:
        self.measured: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.measured.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def trained(row: Row, processes: int = 1) -> Found:
    """Trains and tests a row, in this process or as one of several."""
    pl.seed_everything(3, verbose=False)
    task, data, epochs = row.task(), row.data(TOGETHER // processes), _Epochs()
    task.configure_optimizers = lambda: _optimizer(row, task)  # type: ignore[method-assign]
    trainer = _trainer(processes, callbacks=[epochs], num_sanity_val_steps=0, **{"max_epochs": 1, **row.trainer})
    trainer.fit(task, datamodule=data)
    return Found(epochs.measured, *scored(row, task, processes), task.state_dict())


def scored(row: Row, task: SequenceTask, processes: int = 1) -> tuple[dict[str, float], Any, Any]:
    """What a test measures, the intervals around it, and what came out for each sequence."""
    data = row.data(TOGETHER // processes)
    (test,) = _trainer(processes).test(task, datamodule=data, verbose=False)
    return dict(test), dict(task.intervals), {name: list(values) for name, values in task.outcomes.items()}


def in_processes(rows: dict[str, Row], processes: int, folder: Path) -> dict[str, Found]:
    """What came of each row in so many processes, as the first of them has it."""
    file = folder / f"{processes}.pt"

    def work(rank: int) -> int:
        logging.getLogger("lightning").setLevel(logging.ERROR)
        found = {name: trained(row, processes) for name, row in rows.items()}
        if rank == 0:
            torch.save(found, file)
        return 0

    results = forked(work, [as_torchrun(rank, processes) for rank in range(processes)], folder)
    assert [result.code for result in results] == [0] * processes, results
    found: dict[str, Found] = torch.load(file, weights_only=False)
    return found


def forked(work: Callable[[int], int], environments: list[dict[str, str]], folder: Path) -> list[Result]:
    """Does some work in a process for each environment, all at the same time; the work returns its exit code."""

    def one(rank: int) -> None:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        os.environ.update(environments[rank])
        rank_zero_only.rank = int(environments[rank].get("RANK", rank))
        torch.set_num_threads(1)
        try:
            code = work(rank)
        except BaseException:
            traceback.print_exc()
            code = 99
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=one, args=(rank,)) for rank in range(len(environments))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    texts = [
        [(folder / f"{rank}.{name}").read_text("utf-8") for name in ("out", "err")] for rank in range(len(processes))
    ]
    return [Result(process.exitcode or 0, *text) for process, text in zip(processes, texts, strict=True)]


def as_torchrun(rank: int, processes: int, nodes: int = 1) -> dict[str, str]:
    """What torchrun tells a process."""
    of_node = processes // nodes
    names = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": of_node, "RANK": rank}
    names |= {"LOCAL_RANK": rank % of_node, "GROUP_RANK": rank // of_node}
    meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": _port(), "TORCHELASTIC_RUN_ID": "tests"}
    return {name: str(value) for name, value in (names | meeting).items()}


def as_srun(rank: int, processes: int, nodes: int = 1) -> dict[str, str]:
    """What SLURM's srun tells a process."""
    of_node = processes // nodes
    names = {
        "NTASKS": processes,
        "NTASKS_PER_NODE": of_node,
        "NNODES": nodes,
        "PROCID": rank,
        "LOCALID": rank % of_node,
    }
    names |= {"NODEID": rank // of_node, "STEP_ID": 0, "JOB_ID": 1, "JOB_NAME": "train", "NODELIST": "localhost"}
    return {**{f"SLURM_{name}": str(value) for name, value in names.items()}, "MASTER_PORT": _port()}


@cache
def _port() -> str:
    """A port that is free; a job has one after the other at it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


def _trainer(processes: int, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def _optimizer(row: Row, task: SequenceTask) -> torch.optim.Optimizer:
    if row.optimizer == "SGD":
        return torch.optim.SGD(task.parameters(), lr=0.1)
    return torch.optim.AdamW(task.parameters(), lr=0.01)
