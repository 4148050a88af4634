"""The report as one page of HTML that needs nothing beside it: no other file, no script, no network."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from rnn_lightning.calibration import calibration
from rnn_lightning.cli import predictions, runs
from rnn_lightning.cli.answers import BINS, classes
from rnn_lightning.cli.pairs import Pair, p_in_words
from rnn_lightning.cli.pictures import DPI
from rnn_lightning.cli.reported import Run, measures, short_name

_TEXTS, _FEWEST_TEXTS = 10, 3
"""Texts that are shown, in all and of each run."""
_LONGEST_TEXT = 900
_SCREEN_DPI = 96
_ALT = {
    "learning.png": "The loss in training and validation, epoch by epoch",
    "gradients.png": "The norm of the gradient at each distance from the loss, before and after training",
    "confusion.png": "How often each class was taken for which",
    "calibration.png": "How often a model was right that was so sure",
    "scatter.png": "What was answered, beside what is true",
    "comparison.png": "The scores of the runs with their 95 % intervals",
}


class _Text(NamedTuple):
    """A text that a classifier was sure of, and wrong."""

    row: int
    target: str
    label: str
    probability: str
    text: str


def rendered(
    found: list[Run], pictures: Mapping[str, bytes], pairs: list[Pair], not_comparable: list[str], commands: list[str]
) -> bytes:
    """The page.

    Args:
        found: the runs.
        pictures: PNG files by their names.
        pairs: which runs were compared, and what came of it.
        not_comparable: a line for each run that could not be.
        commands: the command lines that made all this.
    """
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    differences, settings = _settings(found)
    names = measures(found)
    alike = len({run.data for run in found}) == 1
    chance = {name: value for name in names for run in found if alike and (value := run.chance(name)) is not None}
    classifiers = [run for run in found if run.answers is not None and "label" in run.answers]
    page = environment.get_template("report.html").render(
        title=_title(found),
        runs=found,
        differences=differences,
        settings=settings,
        measures=names,
        chance=chance,
        pictures={name: _embedded(name, pictures.get(name)) for name in _ALT},
        pairs=pairs,
        p_in_words=p_in_words,
        not_comparable=not_comparable,
        calibrated=[(run.label, f"{_calibration_error(run):.3f}") for run in classifiers],
        bins=BINS,
        classes=", ".join(dict.fromkeys(name for run in classifiers for name in classes(run.answers or {}))),
        wrong=[(run.label, texts) for run in classifiers if (texts := _wrong(run, len(classifiers)))],
        commands=commands,
        made=datetime.now().strftime("%Y-%m-%d %H:%M"),
        versions=f"rnn-lightning {version('rnn-lightning')}, Python {sys.version.partition(' ')[0]}, "
        f"torch {version('torch')}, lightning {version('lightning')}",
    )
    return page.encode()


def command_lines(found: list[Run], output: str | None) -> list[str]:
    """What would make the runs and the page again.

    Args:
        found: the runs.
        output: the folder that the page was asked to go to; None: none was named.
    """
    lines = [["fit", "--config", str(run.folder / runs.CONFIG)] for run in found]
    lines += [["test", "--run", str(run.folder)] for run in found if run.scores]
    where = [] if output is None else ["--output", output]
    lines.append(["report", *(str(run.folder) for run in found), *where])
    return [shlex.join(["rnn-lightning", *words]) for words in lines]


def _title(found: list[Run]) -> str:
    names = [run.label for run in found]
    shown = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{shown} on {' and '.join(dict.fromkeys(run.data for run in found))}"


def _settings(found: list[Run]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The options that tell the runs apart, with the value of each run, and those that all have."""
    each = [dict(_flat(run.config)) for run in found]
    names = list(dict.fromkeys(name for options in each for name in options))
    values = {name: [_in_words(options.get(name)) for options in each] for name in names}
    apart = {name: row for name, row in values.items() if len(set(row)) > 1}
    return apart, {name: row[0] for name, row in values.items() if name not in apart and row[0] != _in_words(None)}


def _flat(section: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every option of a config by its name on the command line."""
    found: list[tuple[str, Any]] = []
    for name, value in section.items():
        if isinstance(value, dict) and "class_path" in value:
            found.append((f"{prefix}{name}", short_name(value["class_path"])))
            found += _flat(value.get("init_args") or {}, f"{prefix}{name}.")
        elif isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _in_words(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def _embedded(name: str, picture: bytes | None) -> dict[str, str] | None:
    """What the page says of a picture: how wide it is on a screen, so that all have letters of the same size."""
    if picture is None:
        return None
    pixels = int.from_bytes(picture[16:20])  # as a PNG file has it
    width = round(pixels * _SCREEN_DPI / DPI)
    return {"alt": _ALT[name], "width": str(width), "content": base64.b64encode(picture).decode()}


def _calibration_error(run: Run) -> float:
    assert run.answers is not None
    return calibration(run.answers["probabilities"], run.answers["label"] == run.answers["target"], BINS).error


def _wrong(run: Run, among: int) -> list[_Text]:
    """The texts that a run was most confidently wrong of."""
    assert run.answers is not None
    count = max(_TEXTS // among, _FEWEST_TEXTS)
    found = []
    for index in predictions.most_wrong(run.answers, count):
        text = run.answers["text"][index]
        if text is not None:
            shown = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
            sure = f"{np.max(run.answers['probabilities'][index]):.4f}"
            found.append(
                _Text(index, run.answers["target"][index], run.answers["label"][index], sure, shown or "(empty)")
            )
    return found
