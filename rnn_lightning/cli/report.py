"""`rnn-lightning report`: pictures of what runs recorded. Neither torch nor a checkpoint is needed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rnn_lightning.cli import configs, pictures, runs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.registry import did_you_mean

_USAGE = """\
usage: rnn-lightning report [RUN ...] [--output FOLDER]

  RUN            run to draw, a folder or the time of its start; several are drawn together; the newest by default
  --output       folder for the pictures; by default that of the run, or report/ for several runs

  learning.png   loss in training and in validation, epoch by epoch
  gradients.png  how far back the gradient reaches; of runs trained with --config presets/gradients.yaml
"""


def report(options: list[str]) -> int:
    """Draws the runs that are named, and says where the pictures are.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    if not {"-h", "--help"}.isdisjoint(options):
        print(_USAGE, end="")
        return 0
    names, output = _asked(options)
    pictures.need_matplotlib("report draws")
    from rnn_lightning.cli import curves

    chosen = labelled([runs.find(name) for name in dict.fromkeys(names)] or [_newest()])
    folder = Path(output) if output else next(iter(chosen.values())) if len(chosen) == 1 else Path("report")
    drawn = {"learning.png": curves.learning(chosen), "gradients.png": curves.gradients(chosen)}
    for name, (figure, missing) in drawn.items():
        for line in missing:
            print(line, file=sys.stderr)
        if figure is not None:
            pictures.save(figure, folder / name)
            print(folder / name)
    return 0


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


def _asked(options: list[str]) -> tuple[list[str], str | None]:
    """The runs' names, and the folder for the pictures."""
    names: list[str] = []
    output = None
    for flag, value in configs.pairs(options):
        if flag == "--output":
            output = configs.text(flag, value)
        elif flag.startswith("-"):
            raise UserError(f"report has no option {flag}; it has --output{did_you_mean(flag, ['--output'])}")
        else:
            names.append(flag)
    return names, output


def _newest() -> Path:
    run = runs.newest(part=runs.CONFIG)
    if run is None:
        raise UserError(
            f"no run under {runs.root()}/ to report; train one first (rnn-lightning fit --config lstm.yaml)"
        )
    return run
