"""Files that a training writes row by row, and goes on with when it goes on itself."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from rnn_lightning.callbacks.tables import write_table


def rows_before(path: Path, step: float) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of a record, and its rows that were written before a step, as far as they are whole."""
    try:
        text = path.read_text("utf-8")
        whole = text[: text.rfind("\n") + 1]  # an interruption may have cut the last line off
        header, *lines = csv.reader(whole.splitlines())
    except (OSError, ValueError, csv.Error):
        return [], []
    rows = [dict(zip(header, line, strict=True)) for line in lines if len(line) == len(header)]
    return header, [row for row in rows if row.get("step", "").isdecimal() and int(row["step"]) < step]


class Metrics(CSVLogger):
    """Lightning's metrics.csv, in a run folder that may have one: the parent would delete it.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), name="", version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """What writes the file."""
        self._experiment = self._experiment or _Adding(self.log_dir)
        return self._experiment


class _Adding(ExperimentWriter):
    def save(self) -> None:
        """Writes new rows below the old ones."""
        if self.metrics and not self.metrics_keys:
            self.metrics_keys, _ = rows_before(Path(self.metrics_file_path), 0)
        try:
            super().save()
        except OSError as error:
            error.filename = self.metrics_file_path  # a file that is being written has no name for the system
            raise

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """Writes the old rows below more columns, as a whole: the parent's file is empty for a moment."""
        file = Path(self.metrics_file_path)
        _, rows = rows_before(file, math.inf)
        write_table(file, fieldnames, ([row.get(name, "") for name in fieldnames] for row in rows), end="\r\n")

    def _check_log_dir_exists(self) -> None:
        """Leaves everything there."""


class Rows(Callback):
    """Has each checkpoint say what of metrics.csv lies behind it, and brings that in line where a training goes on.

    Args:
        goes_on: the training goes on with a run, in its folder.
    """

    def __init__(self, goes_on: bool = False) -> None:
        self._goes_on = goes_on
        self._behind: dict[str, Any] = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Counts the rows; what an epoch measured in training is logged only when its checkpoint has been made."""
        file = _file(trainer)
        if file is None:
            return
        epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
        behind: dict[str, Any] = {"rows": max(file.read_bytes().count(b"\n") - 1, 0) if file.is_file() else 0}
        if epochs["completed"] < epochs["processed"]:
            step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
            measured = convert_tensors_to_scalars(trainer._logger_connector.metrics["log"])
            behind["next"] = {"epoch": trainer.current_epoch, "step": step, **measured}
        checkpoint["callbacks"][self.state_key] = behind

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what lay behind the checkpoint, if it is of the same run."""
        self._behind = state_dict if self._goes_on else {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes out of metrics.csv what is trained again.

        Raises:
            ValueError: it cannot be written.
        """
        file = _file(trainer)
        if self._goes_on and file is not None and trainer.is_global_zero:
            bring_in_line(file, self._behind, trainer.global_step)


def bring_in_line(file: Path, behind: dict[str, Any], step: int) -> None:
    """Leaves in metrics.csv what lies behind a checkpoint, and adds the row that an interruption came before.

    Args:
        file: metrics.csv; it may be missing.
        behind: what `Rows` kept in the checkpoint; {} where that was made without it.
        step: how many steps lie behind it.

    Raises:
        ValueError: it cannot be written.
    """
    if not file.is_file() and "next" not in behind:
        return
    header, rows = rows_before(file, math.inf if behind else step)
    before = behind.get("rows", len(rows))
    rows, is_whole = rows[:before], len(rows) >= before
    if is_whole and (row := behind.get("next")):
        rows.append(row)
        header = sorted({*header, *row})
    try:
        write_table(file, header, ([row.get(name, "") for name in header] for row in rows), end="\r\n")
    except OSError as error:
        raise ValueError(f"{file} cannot be written: {error.strerror}") from error


def _file(trainer: Trainer) -> Path | None:
    """Where a training keeps what it measures."""
    folders = [logger.log_dir for logger in trainer.loggers if isinstance(logger, Metrics)]
    return Path(folders[0]) / "metrics.csv" if folders else None
