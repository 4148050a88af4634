"""`rnn-lightning baseline`: what methods without a network reach on the same data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnn_lightning.baselines import Score, baselines, has_extra
from rnn_lightning.callbacks.journal import in_words, say
from rnn_lightning.cli import configs
from rnn_lightning.cli.app import DataCommand
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.words import refuse_names, taken
from rnn_lightning.data.base import SequenceData

_SECTIONS = ("data", "seed_everything")
"""The sections of a config that concern this verb."""


def baseline(options: list[str]) -> int:
    """Prints a line for each method.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.
    """
    words = taken("baseline", options)
    refuse_names("baseline", words)
    left = [configs.written_out(configs.base(), _SECTIONS)]
    for flag, value in configs.pairs(words.left):
        if flag == "--config":
            left.append(configs.written_out(Path(str(value)), _SECTIONS))
        else:
            left.append(flag if value is None else f"{flag}={value}")
    data = DataCommand("baseline", left).datamodule
    if not isinstance(data, SequenceData):
        raise UserError(f"baseline wants a data set of the kind SequenceData, which {type(data).__name__} is not")
    data.prepare_data()
    data.setup("fit")
    methods = baselines(data.facts, data.train.whole(), data.val.whole(), data.test.whole())
    if words.has("--json"):
        found = [{"method": method.name, **_as_json(method.scores)} for method in methods]
        say(json.dumps({"data": data.name, "baselines": found}))
        return 0
    say(f"Baselines on {data.name}")
    say(f"  {data.summary()}")
    for method in methods:
        values = {name: score.value for name, score in method.scores.items()}
        intervals = {name: score.interval for name, score in method.scores.items()}
        say(f"  {method.name}:  {in_words(values, intervals)}")
    if not data.facts.per_step and not has_extra():
        say("  Linear models need scikit-learn: pip install 'rnn-lightning[baseline]'")
    return 0


def _as_json(scores: Mapping[str, Score]) -> dict[str, Any]:
    values = {name: score.value for name, score in scores.items()}
    return {**values, "intervals": {name: score.interval for name, score in scores.items()}}
