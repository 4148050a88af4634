"""Files that a training writes row by row, and goes on with when it goes on itself."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter


def rows_before(path: Path, step: int) -> tuple[list[str], list[dict[str, str]]]:
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
        super().save()

    def _check_log_dir_exists(self) -> None:
        """Leaves everything there."""
