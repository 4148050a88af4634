"""Short names of layers, tasks and data sets: `lstm`, `SequenceClassifier`, `IMDb`.

The classes are named as "module:Class", so that listing them imports nothing heavy. Other packages add theirs through
the entry-point groups `rnn_lightning.layers`, `rnn_lightning.tasks` and `rnn_lightning.data`.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

Group = Literal["layers", "tasks", "data"]

_OWN: dict[Group, dict[str, str]] = {
    "layers": {
        "gru": "rnn_lightning.layers.gru:GRU",
        "gru_ln": "rnn_lightning.layers.gru_ln:LayerNormGRU",
        "lstm": "rnn_lightning.layers.lstm:LSTM",
        "lstm_ln": "rnn_lightning.layers.lstm_ln:LayerNormLSTM",
        "mingru": "rnn_lightning.layers.mingru:MinGRU",
        "minlstm": "rnn_lightning.layers.minlstm:MinLSTM",
        "qrnn": "rnn_lightning.layers.qrnn:QRNN",
        "rnn": "rnn_lightning.layers.rnn:RNN",
        "rnn_ln": "rnn_lightning.layers.rnn_ln:LayerNormRNN",
        "sru": "rnn_lightning.layers.sru:SRU",
        "slstm": "rnn_lightning.layers.slstm:SLSTM",
        "transformer": "rnn_lightning.layers.transformer:Transformer",
    },
    "tasks": {
        "LanguageModel": "rnn_lightning.tasks.language_model:LanguageModel",
        "SequenceClassifier": "rnn_lightning.tasks.sequence_classifier:SequenceClassifier",
        "SequenceTagger": "rnn_lightning.tasks.sequence_tagger:SequenceTagger",
    },
    "data": {
        "AddingProblem": "rnn_lightning.data.adding:AddingProblem",
        "CopyMemory": "rnn_lightning.data.copy_memory:CopyMemory",
        "Digits": "rnn_lightning.data.digits:Digits",
        "IMDb": "rnn_lightning.data.imdb:IMDb",
        "NextWord": "rnn_lightning.data.next_word:NextWord",
        "Parity": "rnn_lightning.data.parity:Parity",
        "SelectiveCopy": "rnn_lightning.data.selective_copy:SelectiveCopy",
        "SyntheticSequences": "rnn_lightning.data.synthetic:SyntheticSequences",
        "TemporalOrder": "rnn_lightning.data.temporal_order:TemporalOrder",
    },
}


def names(group: Group) -> list[str]:
    """All known names of a group, own ones and those of installed packages, in alphabetical order."""
    return sorted({*_OWN[group], *(entry.name for entry in _entry_points(group))})


def resolve(group: Group, name: str) -> Any:
    """The class that a name stands for; an own one before another package's.

    Raises:
        ValueError: nothing has this name.
    """
    if name in _OWN[group]:
        module, _, attribute = _OWN[group][name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    for entry in _entry_points(group):
        if entry.name == name:
            return entry.load()
    singular = {"layers": "recurrent layer", "tasks": "task", "data": "data set"}[group]
    raise ValueError(
        f"there is no {singular} '{name}'; there are {', '.join(names(group))}{did_you_mean(name, names(group))}"
    )


def place(group: Group, name: str) -> str | None:
    """Where a class stands, as "module:Class", without importing it; None where nothing has this name."""
    if name in _OWN[group]:
        return _OWN[group][name]
    return next((entry.value for entry in _entry_points(group) if entry.name == name), None)


def distribution(group: Group, name: str) -> str | None:
    """The installed package that adds this name; None for an own one."""
    if name in _OWN[group]:
        return None
    return next((e.dist.name for e in _entry_points(group) if e.name == name and e.dist is not None), None)


def did_you_mean(name: str, known: list[str]) -> str:
    """The tail of an error text, "; did you mean 'lstm'?", or nothing where no known name is near in whatever case."""
    by_lower_case = {word.lower(): word for word in known}
    same_letters = [word for word in by_lower_case if sorted(word) == sorted(name.lower())]
    near = same_letters or get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return f"; did you mean '{by_lower_case[near[0]]}'?" if near else ""


def _entry_points(group: Group) -> list[EntryPoint]:
    return list(entry_points(group=f"rnn_lightning.{group}"))
