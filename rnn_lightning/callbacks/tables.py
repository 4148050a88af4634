"""Tables beside a run's other records, as CSV."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer


def folder_of(trainer: Trainer) -> Path | None:
    """Where a run's records go; None where it leaves none. Asks all processes."""
    folder = trainer.log_dir
    return None if folder is None or trainer.fast_dev_run else Path(folder)  # type: ignore[attr-defined]  # set, not declared


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], end: str = "\n") -> None:
    """Writes a table as a whole, so that none is ever half there; `end` is what its lines end with."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([columns, *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_bytes(text.getvalue().encode())
    os.replace(unfinished, path)
