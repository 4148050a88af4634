"""A run, as far as a report is concerned: its settings, its scores, and what came out for each test sequence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnn_lightning.cli import predictions, runs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.predictions import Arrays

_FIRST = ("test_accuracy", "test_perplexity", "test_mse", "test_loss")
"""Measurements in the order of the page; the others follow."""


@dataclass(frozen=True)
class Run:
    """A run, as far as a report is concerned.

    Attributes:
        label: what it is called.
        folder: where it is.
        config: what it recorded when it started.
        scores: what its last test measured; empty where there was none.
        answers: what came out for each test sequence; None where that was not kept.
    """

    label: str
    folder: Path
    config: dict[str, Any]
    scores: dict[str, Any]
    answers: Arrays | None

    @property
    def data(self) -> str:
        """The data set's short name."""
        return short_name(self.config["data"]["class_path"])

    @property
    def started(self) -> str:
        """When the training began, as the folder says it."""
        day, _, time = self.folder.resolve().name[:19].partition("_")
        return f"{day} {time.replace('-', ':')}"

    @property
    def trained_with(self) -> str:
        """What stands at the head of the recorded config."""
        first = (self.folder / runs.CONFIG).read_text("utf-8").partition("\n")[0]
        return first.removeprefix("# ").replace("==", " ") if first.startswith("# ") else ""

    @property
    def measured(self) -> list[str]:
        """The names of what was measured."""
        names = [name for name in self.scores if name.startswith("test_")]
        return [*(name for name in _FIRST if name in names), *(name for name in names if name not in _FIRST)]

    @property
    def sequences(self) -> str:
        """How many were tested."""
        return "" if self.answers is None else f"{len(self.answers['loss']):,}"

    @property
    def parameters(self) -> str:
        """How many trained numbers the model has."""
        return f"{self.scores['parameters']:,}" if "parameters" in self.scores else ""

    def value(self, measure: str) -> str:
        """A measurement; nothing where it was not made."""
        return f"{self.scores[measure]:.4f}" if measure in self.scores else ""

    def ends(self, measure: str) -> tuple[float, float] | None:
        """Its 95 % interval, if it has a width."""
        low, high = self.scores.get("intervals", {}).get(measure, (0.0, 0.0))
        return (low, high) if low < high else None

    def interval(self, measure: str) -> str:
        """The same in brackets."""
        ends = self.ends(measure)
        return f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else ""

    def chance(self, measure: str) -> float | None:
        """What a guess reaches, if that is known."""
        found: float | None = self.scores.get("chance_level", {}).get(measure.removeprefix("test_"))
        return found


def opened(label: str, folder: Path) -> Run:
    """Reads what a run kept, but for what its pictures show.

    Raises:
        UserError: a file is damaged.
    """
    return Run(label, folder, runs.recorded(folder), _scores(folder), predictions.read(folder))


def measures(found: list[Run]) -> list[str]:
    """What was measured of any of the runs."""
    return list(dict.fromkeys(name for run in found for name in run.measured))


def _scores(folder: Path) -> dict[str, Any]:
    """What the last test of a run measured.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / "test" / "metrics.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        numbers = [value for name, value in content.items() if name.startswith("test_") or name == "parameters"]
        ends = [end for low, high in content.get("intervals", {}).values() for end in (low, high)]
        for number in (*numbers, *ends, *content.get("chance_level", {}).values()):
            format(number, ".4f")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: run rnn-lightning test --run {folder} again") from error
    found: dict[str, Any] = content
    return found


def short_name(class_path: str) -> str:
    """A class without its module."""
    return class_path.rpartition(".")[2]
