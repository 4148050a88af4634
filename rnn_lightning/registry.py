"""Short names of layers, tasks and data sets: `lstm`, `SequenceClassifier`, `IMDb`.

The classes are named as "module:Class", so that listing them imports nothing heavy. Other packages add theirs through
the entry-point groups `rnn_lightning.layers`, `rnn_lightning.tasks` and `rnn_lightning.data`; a class that stands in no
package is added by `add`, for this process.
"""

from __future__ import annotations

import importlib
import traceback
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, NamedTuple

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
        "BagOfNgrams": "rnn_lightning.tasks.bag_of_ngrams:BagOfNgrams",
        "LanguageModel": "rnn_lightning.tasks.language_model:LanguageModel",
        "Ensemble": "rnn_lightning.tasks.ensemble:Ensemble",
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
        "SeriesFiles": "rnn_lightning.data.series_files:SeriesFiles",
        "SyntheticSequences": "rnn_lightning.data.synthetic:SyntheticSequences",
        "TemporalOrder": "rnn_lightning.data.temporal_order:TemporalOrder",
        "TextFiles": "rnn_lightning.data.text_files:TextFiles",
    },
}


GROUPS: dict[Group, str] = {"layers": "recurrent layer", "tasks": "task", "data": "data set"}
"""What a thing of each group is called."""


class _Added(NamedTuple):
    class_: type[Any]
    origin: str


_ADDED: dict[Group, dict[str, _Added]] = {"layers": {}, "tasks": {}, "data": {}}


def names(group: Group) -> list[str]:
    """All known names of a group, own ones, those of installed packages and added ones, in alphabetical order."""
    return sorted({*_OWN[group], *_ADDED[group], *(entry.name for entry in _entry_points(group))})


def resolve(group: Group, name: str) -> Any:
    """The class that a name stands for; an own one before another package's.

    Raises:
        ValueError: nothing has this name, or the package that has it is broken.
    """
    if name in _OWN[group]:
        module, _, attribute = _OWN[group][name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    if name in _ADDED[group]:
        return _ADDED[group][name].class_
    for entry in _entry_points(group):
        if entry.name == name:
            return _loaded(group, entry)
    raise ValueError(
        f"there is no {GROUPS[group]} '{name}'; there are {', '.join(names(group))}{did_you_mean(name, names(group))}"
    )


def place(group: Group, name: str) -> str | None:
    """Where a class stands, as "module:Class", without importing it; None where nothing has this name."""
    if name in _OWN[group]:
        return _OWN[group][name]
    if name in _ADDED[group]:
        return f"{_ADDED[group][name].class_.__module__}:{_ADDED[group][name].class_.__qualname__}"
    return next((entry.value for entry in _entry_points(group) if entry.name == name), None)


def add(group: Group, name: str, class_: type[Any], origin: str) -> None:
    """Adds a class of a notebook, or of a file, for as long as this process lives.

    Args:
        group: layers, tasks or data.
        name: its short name.
        class_: a RecurrentLayer, SequenceTask or SequenceData.
        origin: where it comes from, such as my_layer.py: checkpoints say that they need it. From the same origin a
            class takes the place of the one before.

    Raises:
        ValueError: the name is taken.
    """
    if name in names(group) and (name not in _ADDED[group] or origin != _ADDED[group][name].origin):
        raise ValueError(f"there is a {GROUPS[group]} '{name}' already, from {source(group, name) or 'rnn-lightning'}")
    _ADDED[group][name] = _Added(class_, origin)


def forget(origin: str) -> None:
    """Takes away what was added from somewhere."""
    for added in _ADDED.values():
        for name in [name for name, there in added.items() if there.origin == origin]:
            del added[name]


def source(group: Group, name: str) -> str | None:
    """The installed package that adds this name, or what `add` was told; None for an own one."""
    if name in _OWN[group]:
        return None
    if name in _ADDED[group]:
        return _ADDED[group][name].origin
    return next((e.dist.name for e in _entry_points(group) if e.name == name and e.dist is not None), None)


def plugin_modules() -> set[str]:
    """The modules and packages that others add classes from, as they are imported."""
    entries = {entry.module for group in GROUPS for entry in _entry_points(group)}
    added = {there.class_.__module__ for group in GROUPS for there in _ADDED[group].values()}
    return {module.partition(".")[0] for module in entries | added} - {"rnn_lightning"}


def did_you_mean(name: str, known: list[str]) -> str:
    """The tail of an error text, "; did you mean 'lstm'?", or nothing where no known name is near in whatever case."""
    by_lower_case = {word.lower(): word for word in known}
    same_letters = [word for word in by_lower_case if sorted(word) == sorted(name.lower())]
    near = same_letters or get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return f"; did you mean '{by_lower_case[near[0]]}'?" if near else ""


def _entry_points(group: Group) -> list[EntryPoint]:
    return list(entry_points(group=f"rnn_lightning.{group}"))


def _loaded(group: Group, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if isinstance(error, SyntaxError) else f" ({Path(last.filename).name}, line {last.lineno})"
        package = f"the package {entry.dist.name}" if entry.dist is not None else entry.value
        raise ValueError(
            f"{package} cannot give the {GROUPS[group]} '{entry.name}': {type(error).__name__}: {error}{place}"
        ) from error
