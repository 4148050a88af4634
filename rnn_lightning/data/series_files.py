"""Real-valued series of one's own, with a class or a number each, or a class at each step.

S sequences, N steps in all, D features.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rnn_lightning.batch import NO_LABEL, Batch, Facts, pad_ragged
from rnn_lightning.data import tables
from rnn_lightning.data.base import Sequences
from rnn_lightning.data.labels import Labels
from rnn_lightning.data.own_files import OwnFiles, class_folders, visible
from rnn_lightning.scaling import Scaling

Array = np.ndarray[Any, Any]

_SHOWN = 10
"""Features that are named; a table may have hundreds."""


class SeriesFiles(OwnFiles):
    """Real-valued series of one's own, each with a class, or with a number (regression), or with a class at each step.

    A row is a step, in the order of the file. The sequences stand in one table, where the column `group` tells them
    apart; or each in a table of its own in a folder, where their classes are either a column or the names of the
    folders they are in. A folder that has folders train, val and test is divided by them. Tables are .csv, .tsv, .jsonl
    or .json with an object in each line, all of them also compressed as .gz, or .parquet.

    Each feature is brought to mean 0 and standard deviation 1 of the training part's steps. These numbers stay with the
    model: whatever it is tested on or predicts is scaled by them.

    Args:
        path: file or folder.
        group: column that tells the sequences of a file apart; null where each file is a sequence.
        features: columns of the features; without it all columns that begin with a number, but for `group` and `label`.
        label: column of the labels: the same at all steps of a sequence, unless `per_step`.
        per_step: there is a label for each step; a step may have none (SequenceTagger).
        regression: the labels are numbers to be predicted, not classes.
        val_path: file or folder for validation.
        test_path: file or folder for testing.
        val_fraction: share of the sequences of `path` for validation, where that has no file of its own.
        test_fraction: share of the sequences of `path` for testing, where that has no file of its own.
        split_seed: decides which sequence is in which part; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        path: str,
        group: str | None = None,
        features: list[str] | None = None,
        label: str = "label",
        per_step: bool = False,
        regression: bool = False,
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            *(path, label, regression, val_path, test_path, val_fraction, test_fraction, split_seed),
            *(batch_size, num_workers),
        )
        if per_step and regression:
            raise ValueError("per_step and regression are both true: a number at each step is not learnt, a class is")
        if features is not None and len(features) == 0:
            raise ValueError("features is empty; it names the columns of the features")
        for name in features or ():
            if name in (group, label) or (features or []).count(name) > 1:
                raise ValueError(f"features has '{name}', which is there twice, or the group or the label")
        self.group = group
        self.features = features
        self.per_step = per_step

    def setup(self, stage: str) -> None:
        """Makes the three parts, scaled for the model at work.

        Raises:
            ValueError: a file cannot be read or has no such column, or a value or a label is missing.
        """
        sources = self._sources()
        if sources["train"].is_file() and self.group is None:
            known = ", ".join(tables.columns(sources["train"]))
            raise ValueError(
                f"{self.path} is one table: group has to name the column that tells its sequences apart; it has {known}"
            )
        columns = self._columns(sources["train"])
        labels, ends = Labels(self.label, self.regression), {}
        reader = _Reader(columns, self.group, labels, self.per_step)
        for part, path in sources.items():
            for file, label in self._files(path):
                reader.read(file, label)
            ends[part] = len(reader.names)
        steps = reader.steps()
        parts = self._divided("sequences", ends, None if self.per_step else labels)
        learnt = steps.of(parts["train"])
        targets, names, target_scaling = self._targets(labels, steps.order[learnt] if self.per_step else parts["train"])
        if self.per_step:
            targets = targets[steps.order]
        scaling = self.model_scaling or Scaling.of(columns, steps.values[learnt])
        self.facts = Facts(len(columns), names, None, self.per_step, scaling=scaling, target_scaling=target_scaling)
        scaled = steps._replace(values=scaling.apply(steps.values))
        self.train, self.val, self.test = (
            _Series(scaled, targets, parts[part], self.per_step) for part in ("train", "val", "test")
        )

    def summary(self) -> str:
        """What `setup` made, in one line."""
        sizes = [len(part) for part in (self.train, self.val, self.test)]
        lengths = np.concatenate([part.lengths for part in (self.train, self.val, self.test)])
        scaling, labels = self.facts.scaling, self.facts.labels
        assert scaling is not None
        more = f" and {len(scaling.names) - _SHOWN:,} more" if len(scaling.names) > _SHOWN else ""
        return (
            f"{sizes[0]:,} train / {sizes[1]:,} validation / {sizes[2]:,} test sequences of "
            f"{_range(lengths.min(), lengths.max())} steps, features {', '.join(scaling.names[:_SHOWN])}{more}, "
            f"{f'{len(labels):,} classes' if labels else 'numbers'}"
        )

    def unlabelled(self, path: Path, columns: Sequence[str]) -> tuple[list[str], list[Array]]:
        """The names and the raw features (T, D) of all sequences of a file or folder, whatever else it holds.

        Args:
            path: file, or folder of files.
            columns: the features.

        Raises:
            ValueError: it cannot be read or has no such column, or a value is missing.
        """
        reader = _Reader(columns, self.group, None, False)
        for file in [path] if path.is_file() else visible(path, tables.is_table):
            reader.read(file, None)
        steps = reader.steps()
        return reader.names, np.split(steps.values, steps.offsets[1:-1])

    def _columns(self, path: Path) -> Sequence[str]:
        """The features: those of the model at work, or those that are asked for, or all that begin with a number."""
        model = self.model_scaling
        if model is not None and tuple(self.features or model.names) != model.names:
            raise ValueError(f"the model was trained on the features {', '.join(model.names)}, in this order")
        if model is not None or self.features is not None:
            return model.names if model is not None else self.features or ()
        file = next(self._files(path))[0]
        columns = [name for name in tables.columns(file) if name not in (self.group, self.label)]
        first = next(tables.rows(file, columns), None)
        found = [name for name, cell in zip(columns, first[1], strict=True) if tables.is_number(cell)] if first else []
        if not found:
            raise ValueError(
                f"{file} has no column of features that begins with a number, beside the group and the label"
            )
        return found

    def _files(self, path: Path) -> Iterator[tuple[Path, str | None]]:
        """The tables of a file or folder; where they are in folders of classes, with their class."""
        with tables.clear_errors(path):
            found = [path] if not path.is_dir() else visible(path, tables.is_table)
        if found or self.per_step:
            if not found:
                raise ValueError(f"{path} holds no tables")
            yield from ((file, None) for file in found)
        else:
            yield from class_folders(path, tables.is_table, "table")


class _Steps(NamedTuple):
    """Sequences, one after the other.

    Attributes:
        values: features of the steps (N, D).
        offsets: sequence s is values[offsets[s]:offsets[s + 1]] (S + 1,).
        order: how many steps were read before each (N,).
    """

    values: Array
    offsets: Array
    order: Array

    def of(self, sequences: Array) -> Array:
        """Where the steps of some sequences stand."""
        chosen = np.zeros(len(self.offsets) - 1, bool)
        chosen[sequences] = True
        return np.flatnonzero(np.repeat(chosen, np.diff(self.offsets)))


class _Reader:
    """Reads sequences from tables.

    Args:
        columns: the features.
        group: column that tells the sequences of a table apart; None: there is one in each.
        labels: takes those of the sequences, or of the steps; None where they are not wanted.
        per_step: each step has one.
    """

    def __init__(self, columns: Sequence[str], group: str | None, labels: Labels | None, per_step: bool) -> None:
        self.columns = columns
        self.group = group
        self.labels = labels
        self.per_step = per_step
        self.names: list[str] = []
        self._values = array("d")
        self._sequences = array("q")

    def read(self, file: Path, label: str | None) -> None:
        """Reads the sequences of a file, each of which has this label; None: it is in a column."""
        size, labels = len(self.columns), self.labels
        others = [self.group, labels.column if labels is not None and label is None else None]
        asked = [*self.columns, *(column for column in others if column is not None)]
        known: dict[str, tuple[int, float]] = {}
        for line, cells in tables.rows(file, asked):
            self._values.extend(tables.numbers(cells[:size], self.columns, file, line))
            name = file.name.partition(".")[0] if self.group is None else _name(cells[size], file, line, self.group)
            value = 0.0 if labels is None else self._label(labels, label or cells[-1], file, line)
            if name not in known:
                known[name] = len(self.names), value
                self.names.append(name)
                if labels is not None and not self.per_step:
                    labels.add(value, file, line)
            sequence, first = known[name]
            if labels is not None and self.per_step:
                labels.add(value, file, line)
            elif labels is not None and value != first:
                raise ValueError(
                    f"{tables.place(file, line)}: the label of the sequence '{name}' is '{labels.name(value)}', "
                    f"and was '{labels.name(first)}' before"
                )
            self._sequences.append(sequence)
        if not known:
            raise ValueError(f"{file} has no rows")

    def _label(self, labels: Labels, cell: tables.Cell, file: Path, line: int) -> float:
        none = self.per_step and (cell is None or not str(cell).strip())
        return NO_LABEL if none else labels.value(cell, file, line)

    def steps(self) -> _Steps:
        """All that was read."""
        sequences = np.array(self._sequences)
        order = np.argsort(sequences, kind="stable")
        offsets = np.concatenate(([0], np.cumsum(np.bincount(sequences))))
        return _Steps(np.array(self._values).reshape(-1, len(self.columns))[order], offsets, order)


def _name(cell: tables.Cell, file: Path, line: int, column: str) -> str:
    name = "" if cell is None else str(cell).strip()
    if not name:
        raise ValueError(f"{tables.place(file, line)}: the column '{column}' is empty, which tells the sequences apart")
    return name


def _range(least: int, most: int) -> str:
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


class _Series(Sequences):
    """Some of the sequences.

    Args:
        steps: all of them.
        targets: one for each of all sequences (S,), or one a step (N,).
        rows: which sequences these are.
        per_step: there is one a step.
    """

    def __init__(self, steps: _Steps, targets: Array, rows: Array, per_step: bool) -> None:
        self.values = steps.values
        self.starts = steps.offsets[rows]
        self.lengths = steps.offsets[rows + 1] - self.starts
        self.targets = targets if per_step else targets[rows]
        self.per_step = per_step

    def __getitems__(self, indices: list[int]) -> Batch:
        starts, sizes = self.starts[indices], self.lengths[indices]
        inputs, lengths = pad_ragged(self.values, starts, sizes)
        targets = pad_ragged(self.targets, starts, sizes)[0] if self.per_step else self.targets[indices]
        return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.from_numpy(targets))
