"""The report as one page of HTML that needs nothing beside it: no other file, no script, no network."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from rnn_lightning.calibration import calibration
from rnn_lightning.cli import predictions, runs
from rnn_lightning.cli.answers import BINS, classes
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.pairs import Pair, p_in_words
from rnn_lightning.cli.pictures import DPI
from rnn_lightning.cli.predictions import Arrays

_TEXTS, _FEWEST_TEXTS = 10, 3
"""Texts that are shown, in all and of each run."""
_LONGEST_TEXT = 900
_SCREEN_DPI = 96
_FIRST = ("test_accuracy", "test_perplexity", "test_mse", "test_loss")
"""Measurements in the order of the page; the others follow."""
_ALT = {
    "learning.png": "The loss in training and validation, epoch by epoch",
    "gradients.png": "The norm of the gradient at each distance from the loss, before and after training",
    "confusion.png": "How often each class was taken for which",
    "calibration.png": "How often a model was right that was so sure",
    "scatter.png": "What was answered, beside what is true",
    "comparison.png": "The scores of the runs with their 95 % intervals",
}


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
        return _short_name(self.config["data"]["class_path"])

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


class _Text(NamedTuple):
    """A text that a classifier was sure of, and wrong."""

    row: int
    target: str
    label: str
    probability: str
    text: str


class _Row(NamedTuple):
    """A comparison of two runs, in words."""

    best: str
    other: str
    measure: str
    difference: str
    interval_in_words: str
    p_in_words: str
    differ: bool


def opened(label: str, folder: Path) -> Run:
    """Reads what a run kept, but for what its pictures show.

    Raises:
        UserError: a file is damaged.
    """
    return Run(label, folder, runs.recorded(folder), _scores(folder), predictions.read(folder))


def measures(found: list[Run]) -> list[str]:
    """What was measured of any of the runs."""
    return list(dict.fromkeys(name for run in found for name in run.measured))


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
    chance = {name: next((run.chance(name) for run in found if run.chance(name) is not None), None) for name in names}
    classifiers = [run for run in found if run.answers is not None and "label" in run.answers]
    page = environment.get_template("report.html").render(
        title=_title(found),
        runs=found,
        differences=differences,
        settings=settings,
        measures=names,
        chance={name: "" if value is None else f"{value:.4f}" for name, value in chance.items()}
        if any(value is not None for value in chance.values())
        else {},
        pictures={name: _embedded(name, pictures.get(name)) for name in _ALT},
        pairs=[_row(pair) for pair in pairs],
        how_compared=_how_compared(pairs),
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
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: run rnn-lightning test --run {folder} again") from error
    found: dict[str, Any] = content
    return found


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
            found.append((f"{prefix}{name}", _short_name(value["class_path"])))
            found += _flat(value.get("init_args") or {}, f"{prefix}{name}.")
        elif isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _in_words(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def _short_name(class_path: str) -> str:
    return class_path.rpartition(".")[2]


def _embedded(name: str, picture: bytes | None) -> dict[str, str] | None:
    """What the page says of a picture: how wide it is on a screen, so that all have letters of the same size."""
    if picture is None:
        return None
    pixels = int.from_bytes(picture[16:20])  # as a PNG file has it
    width = round(pixels * _SCREEN_DPI / DPI)
    return {"alt": _ALT[name], "width": str(width), "content": base64.b64encode(picture).decode()}


def _row(pair: Pair) -> _Row:
    low, high = pair.interval
    first, second = pair.values
    return _Row(
        pair.best,
        pair.other,
        pair.measure,
        f"{first - second:.4f}",
        f"[{low:.4f}, {high:.4f}]",
        p_in_words(pair.p),
        pair.differ,
    )


def _how_compared(pairs: list[Pair]) -> str:
    ways = [
        "accuracy by McNemar's test (mid-p)" if any(pair.mcnemar for pair in pairs) else "",
        "the other measurements by exchanging the two runs at random"
        if any(not pair.mcnemar for pair in pairs)
        else "",
    ]
    several = max((pair.compared for pair in pairs), default=0)
    holm = f" Each p is corrected for {several} comparisons with the best run (Holm)." if several > 1 else ""
    return f"{', '.join(filter(None, ways))}.{holm}"


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
