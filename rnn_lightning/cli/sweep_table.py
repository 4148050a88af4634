"""What a sweep found: its table in print, as CSV and as JSON, and its pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnn_lightning.cli.errors import shown
from rnn_lightning.cli.files import write_whole
from rnn_lightning.cli.pictures import save
from rnn_lightning.cli.sweep_space import Space, written_out

if TYPE_CHECKING:
    from rnn_lightning.cli.sweep_study import Trial

_SHOWN = 10
"""Trials that are printed: the others stand in the file."""


def value_in_words(value: Any) -> str:
    """A value of an option, with as many digits as help to compare."""
    return f"{value:.4g}" if isinstance(value, float) else written_out(value)


def in_words(options: dict[str, Any]) -> str:
    """Options with their values on one line."""
    return "  ".join(f"{name} {value_in_words(value)}" for name, value in options.items())


def printed(trials: list[Trial], metric: str, names: Iterable[str]) -> str:
    """The best trials as columns."""
    head = ["trial", "state", metric, "epochs", *names]
    rows = [[_number(t), t.state, *_measured(t), *(_of(t, name) for name in names)] for t in trials[:_SHOWN]]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(_aligned(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in [head, *rows]
    ]
    more = [f"... and {len(trials) - _SHOWN} more"] if len(trials) > _SHOWN else []
    failed = [f"trial {trial.number} failed: {trial.why}" for trial in trials if trial.why]
    return "\n".join([*(line.rstrip() for line in lines), *more, *failed])


def write_table(path: Path, trials: list[Trial], metric: str, names: Iterable[str]) -> None:
    """Writes all trials as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", metric, "epochs", "seconds", "why", *names])
    for t in trials:
        writer.writerow([t.number, t.state, t.value, t.epochs, t.seconds, t.why, *(t.options.get(n) for n in names)])
    write_whole(path, text.getvalue().encode())


def write_pictures(folder: Path, trials: list[Trial], metric: str, direction: str, space: Space) -> list[Path]:
    """Draws how the best value came about, each option beside the value, and all options together.

    Returns:
        The files.
    """
    from rnn_lightning.cli import sweep_pictures  # which imports matplotlib

    pictures = {
        "history.png": sweep_pictures.history(trials, metric, direction),
        "slices.png": sweep_pictures.slices(trials, metric, space),
        "parallel.png": sweep_pictures.parallel(trials, metric, direction, space),
    }
    for name, figure in pictures.items():
        save(figure, folder / name)
    return [folder / name for name in pictures]


def _number(trial: Trial) -> str:
    return str(trial.number)


def _measured(trial: Trial) -> tuple[str, str]:
    return "-" if trial.value is None else f"{trial.value:.4f}", "-" if trial.epochs is None else str(trial.epochs)


def _of(trial: Trial, name: str) -> str:
    return shown(value_in_words(trial.options[name])) if name in trial.options else "-"


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 1 else cell.rjust(width)
