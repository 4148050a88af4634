"""Trainings in several processes: each row of a table in one, two and three of them.

The processes are forked from that of the tests, which has everything imported, and find each other as those of torchrun
do. A group of them goes through all rows.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.data.base import SequenceData
from rnn_lightning.tasks.base import SequenceTask

TOGETHER = 6
"""Sequences of a batch of all processes together."""


class Row(NamedTuple):
    """A training: its task, made anew for each, its data with so many sequences in a batch, and the Trainer's options."""

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
    trainer = _trainer(processes, callbacks=[epochs], num_sanity_val_steps=0, **{"max_epochs": 2, **row.trainer})
    trainer.fit(task, datamodule=data)
    return Found(epochs.measured, *scored(row, task, processes), task.state_dict())


def scored(row: Row, task: SequenceTask, processes: int = 1) -> tuple[dict[str, float], Any, Any]:
    """What a test measures, the intervals around it, and what came out for each sequence."""
    data = row.data(TOGETHER // processes)
    (test,) = _trainer(processes).test(task, datamodule=data, verbose=False)
    return dict(test), dict(task.intervals), {name: list(values) for name, values in task.outcomes.items()}


def in_processes(rows: dict[str, Row], processes: int, folder: Path) -> dict[str, Found]:
    """What came of each row in so many processes, as the first of them has it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        _one_of_many, (rows, processes, port, folder), processes, start_method="fork"
    )
    return torch.load(folder / f"{processes}.pt", weights_only=False)


def _one_of_many(rank: int, rows: dict[str, Row], processes: int, port: int, folder: Path) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(processes),
        LOCAL_WORLD_SIZE=str(processes),
        MASTER_ADDR="localhost",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="tests",
    )
    rank_zero_only.rank = rank
    logging.getLogger("lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    found = {name: trained(row, processes) for name, row in rows.items()}
    if rank == 0:
        torch.save(found, folder / f"{processes}.pt")
    torch.distributed.destroy_process_group()


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
