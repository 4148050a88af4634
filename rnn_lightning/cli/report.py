"""`rnn-lightning report`: what runs recorded, as a page and pictures. Neither torch nor a checkpoint is needed."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnn_lightning.cli import pictures, runs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_together
from rnn_lightning.cli.words import taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnn_lightning.cli.answers import Scored
    from rnn_lightning.cli.reported import Run

PAGE = "report.html"
_PANELS = 2
"""Measurements that the comparison of several runs shows, side by side."""


def report(options: list[str]) -> int:
    """Draws the runs that are named, says which of them differ, and where the page is.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    words = taken("report", options)
    output = words.one("--output")
    pictures.need_matplotlib("report draws")
    from rnn_lightning.cli import page, pairs, reported

    folders = labelled([runs.find(name) for name in dict.fromkeys(words.names)] or [_newest()])
    folder = Path(output) if output else next(iter(folders.values())) if len(folders) == 1 else Path("report")
    chosen = [reported.opened(label, run) for label, run in folders.items()]
    figures, missing = _drawn(chosen)
    answers = {run.label: run.answers for run in chosen if run.answers is not None}
    compared, not_comparable = pairs.compared(answers)
    files = {name: pictures.png(figure) for name, figure in figures.items() if figure is not None}
    commands = page.command_lines(chosen, output)
    files[PAGE] = page.rendered(chosen, files, compared, not_comparable, commands)
    write_together({folder / name: content for name, content in files.items()})
    for line in (*missing, *_untested(chosen)):
        print(line, file=sys.stderr)
    print(*compared, *not_comparable, *(folder / name for name in files), sep="\n")
    return 0


def _drawn(chosen: list[Run]) -> tuple[dict[str, Figure | None], list[str]]:
    """The pictures by their names, and a line for each run that has not recorded what one shows."""
    from rnn_lightning.cli import answers, curves

    folders = {run.label: run.folder for run in chosen}
    learning, no_losses = curves.learning(folders)
    gradients, no_gradients = curves.gradients(folders)
    found = {run.label: run.answers for run in chosen if run.answers is not None}
    classifiers = {label: arrays for label, arrays in found.items() if "label" in arrays}
    regressions = {label: arrays for label, arrays in found.items() if "value" in arrays}
    scored = _scored(chosen)
    figures = {
        "learning.png": learning,
        "gradients.png": gradients,
        "comparison.png": answers.scores(scored) if scored else None,
        "confusion.png": answers.confusion(classifiers) if classifiers else None,
        "calibration.png": answers.reliability(classifiers) if classifiers else None,
        "scatter.png": answers.scatter(regressions) if regressions else None,
    }
    return figures, [*no_losses, *no_gradients]


def _scored(chosen: list[Run]) -> list[Scored]:
    """What was measured of all tested runs alike, where there are several; what has the same numbers only once."""
    from rnn_lightning.cli import answers, reported

    tested = [run for run in chosen if run.scores]
    if len(tested) < 2:
        return []
    found: dict[tuple[float, ...], Scored] = {}
    for name in reported.measures(tested):
        if all(name in run.scores for run in tested):
            values = {run.label: (run.scores[name], run.ends(name)) for run in tested}
            numbers = tuple(value for value, _ in values.values())
            found.setdefault(numbers, answers.Scored(name, values, tested[0].chance(name)))
    return list(found.values())[:_PANELS]


def _untested(chosen: list[Run]) -> list[str]:
    """A line for each run that lacks what a test would give."""
    lines = []
    for run in chosen:
        test = f"rnn-lightning test --run {shlex.quote(str(run.folder))}"
        if not run.scores:
            lines.append(f"{run.folder} has no test scores: {test}")
        elif run.answers is None:
            lines.append(f"{run.folder} has not kept what came out for each test sequence: {test}")
    return lines


def labelled(folders: list[Path]) -> dict[str, Path]:
    """Runs by what they are called in a picture: their architecture, and what else tells those of one apart."""
    configs_of = [runs.recorded(folder) for folder in folders]
    names = [runs.architecture(config["model"]) for config in configs_of]
    settings = [_settings(config) for config in configs_of]
    labels = []
    for name, own in zip(names, settings, strict=True):
        alike = [other for other, other_name in zip(settings, names, strict=True) if other_name == name]
        apart = [key for key, value in own.items() if any(other.get(key) != value for other in alike)]
        labels.append(", ".join([name, *(f"{key} {own[key]}" for key in apart if own[key] is not None)]))
    taken = Counter(labels)
    return {
        label if taken[label] == 1 else f"{label}, {folder.name}": folder
        for label, folder in zip(labels, folders, strict=True)
    }


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """What tells one run of an architecture from another."""
    options = dict(config["model"].get("init_args") or {})
    cell_options = options.pop("cell_options", None) or {}
    data = config["data"]["class_path"].rpartition(".")[2]
    return {**options, **cell_options, "data": data, "seed": config.get("seed_everything")}


def _newest() -> Path:
    run = runs.newest(part=runs.CONFIG)
    if run is None:
        raise UserError(
            f"no run under {runs.root()}/ to report; train one first (rnn-lightning fit --config lstm.yaml)"
        )
    return run
