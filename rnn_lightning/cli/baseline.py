"""`rnn-lightning baseline`: what methods without a network reach on the same data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnn_lightning.baselines import Baseline, Score, baselines, has_extra
from rnn_lightning.callbacks.journal import in_words, say
from rnn_lightning.cli import configs, kept
from rnn_lightning.cli.app import DataCommand
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.words import refuse_names, taken
from rnn_lightning.data.base import SequenceData
from rnn_lightning.layers.ngrams import LONGEST

_SECTIONS = ("data", "seed_everything")
"""The sections of a config that concern this verb."""
_EXTRA = "Linear models need scikit-learn: pip install 'rnn-lightning[baseline]'"


def baseline(options: list[str]) -> int:
    """Prints a line for each method.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.
    """
    words = taken("baseline", options)
    refuse_names("baseline", words)
    longest = words.whole_number("--longest", 2)
    if longest > LONGEST:
        raise UserError(f"--longest is {longest}; it must be at most {LONGEST}")
    left = [configs.written_out(configs.base(), _SECTIONS)]
    for flag, value in configs.pairs(words.left):
        if flag == "--config":
            left.append(configs.written_out(Path(str(value)), _SECTIONS))
        else:
            left.append(flag if value is None else f"{flag}={value}")
    command = DataCommand("baseline", left)
    data = command.datamodule
    if not isinstance(data, SequenceData):
        raise UserError(f"baseline wants a data set of the kind SequenceData, which {type(data).__name__} is not")
    if words.has("--keep") and not has_extra():
        raise UserError(_EXTRA)
    data.prepare_data()
    data.setup("fit")
    if words.has("--keep"):
        kept.check(data)
    methods = []
    if not words.has("--json"):
        say(f"Baselines on {data.name}")
        say(f"  {data.summary()}")
    for method in baselines(data.facts, data.train.whole(), data.val.whole(), data.test.whole(), longest):
        methods.append(method)
        if not words.has("--json"):
            say(f"  {_line(method)}")
    run = kept.keep(methods[-1].machine, command, data) if words.has("--keep") else None
    if words.has("--json"):
        found = [{"method": method.name, **_as_json(method.scores)} for method in methods]
        say(json.dumps({"data": data.name, "baselines": found, **({"run": str(run)} if run else {})}))
    elif run is not None:
        say(f"Kept in {run}")
        say(
            f"Next: rnn-lightning test  ·  rnn-lightning predict --text TEXT  ·  rnn-lightning fit --model.ngrams {run}"
        )
    elif not data.facts.per_step and not has_extra():
        say(f"  {_EXTRA}")
    return 0


def _line(method: Baseline) -> str:
    values = {name: score.value for name, score in method.scores.items()}
    intervals = {name: score.interval for name, score in method.scores.items()}
    return f"{method.name}:  {in_words(values, intervals)}"


def _as_json(scores: Mapping[str, Score]) -> dict[str, Any]:
    values = {name: score.value for name, score in scores.items()}
    return {**values, "intervals": {name: score.interval for name, score in scores.items()}}
