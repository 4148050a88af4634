"""Texts of one's own, with a class or a number each: a table or a folder."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from rnn_lightning.batch import Facts, Truncate
from rnn_lightning.data import tables
from rnn_lightning.data.encoded import tokenized
from rnn_lightning.data.labelled_texts import LabelledTexts, Targets
from rnn_lightning.data.labels import Labels
from rnn_lightning.data.own_files import OwnFiles, class_folders, visible
from rnn_lightning.text import Unit

_log = logging.getLogger("rnn_lightning")


class TextFiles(OwnFiles, LabelledTexts):
    """Texts of one's own, each with a class, or with a number (regression).

    They stand in a table (.csv, .tsv, .jsonl, .json with an object in each line, all of them also compressed as .gz, or
    .parquet), a text in each row; or in a folder with a folder of .txt files for each class. A folder that has folders
    train, val and test with such folders of classes is divided by them. All text is UTF-8.

    Validation and test part have a file of their own or are taken from `path`: with the same share of each class, or,
    with `group`, by whole groups. The vocabulary and the classes are those of the training part. A model that brings
    its own text encoder and classes gets the texts encoded with those.

    Args:
        path: file or folder.
        text: column of the texts, or a list of columns that are joined by spaces.
        label: column of the labels.
        regression: the labels are numbers to be predicted, not classes.
        group: column of what rows have in common, such as their author: one is in one part as a whole.
        val_path: file or folder for validation.
        test_path: file or folder for testing.
        val_fraction: share of `path` for validation, where that has no file of its own.
        test_fraction: share of `path` for testing, where that has no file of its own.
        split_seed: decides which text is in which part; the training's own seed has no part in it.
        vocab_size: tokens in the vocabulary, the most frequent ones of the training part; all others are unknown.
        max_length: tokens kept of a longer text; null keeps all.
        truncate: which tokens to keep: the first, the last, or a quarter from the beginning and the rest from the end.
        unlabelled_path: table, or folder of .txt files, of further texts without a label, of which copies of validation
            and test texts are left out: for the vocabulary, for a language model to read, and for a teacher to label.
        targets: what is learnt: the labels, or, of all texts one after the other, the next token at each step, for a
            LanguageModel, or the previous one, from the end to the beginning.
        num_steps: tokens of a window, where the targets are tokens.
        teacher: a classifier, as a run (its folder, or its name under runs/) or a checkpoint, that labels the texts
            without a label; these are learnt from too then.
        teacher_weight: its share in the targets of texts that have a label.
        temperature: above 1, its answers are taken to be less certain than they are.
        unit: word, where each Chinese or Japanese character is a word; spaced_word, where their words end at spaces as
            all others do; or character.
        batch_size: texts in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        path: str,
        text: str | list[str] = "text",
        label: str = "label",
        regression: bool = False,
        group: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        vocab_size: int = 25_000,
        max_length: int | None = 400,
        truncate: Truncate = "head_tail",
        unlabelled_path: str | None = None,
        targets: Targets = "labels",
        num_steps: int = 128,
        teacher: str | None = None,
        teacher_weight: float = 0.0,
        temperature: float = 1.0,
        unit: Unit = "word",
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            *(path, label, regression, val_path, test_path, val_fraction, test_fraction, split_seed),
            *(batch_size, num_workers),
        )
        self._check_texts(
            *(vocab_size, max_length, truncate, targets, num_steps), *(teacher, teacher_weight, temperature)
        )
        if unit not in get_args(Unit):
            raise ValueError(f"unit is '{unit}', not one of {', '.join(get_args(Unit))}")
        self.text = [text] if isinstance(text, str) else text
        if not self.text:
            raise ValueError("text is empty; it names the columns of the texts")
        self.name = self._named(self.name, targets)
        self.group = group
        self.unlabelled_path = unlabelled_path
        self.unit: Unit = unit

    def setup(self, stage: str) -> None:
        """Makes the three parts, encoded for the model at work.

        Raises:
            ValueError: a file cannot be read or has no such column, or a text has no label or one of no class.
        """
        labels, groups = Labels(self.label, self.regression), array("q")
        ends: dict[str, int] = {}
        unit = self.unit if self.model_encoder is None else self.model_encoder.unit
        tokens = tokenized(chain(self._texts(labels, groups, ends), self._further()), unit)
        parts = self._divided("texts", ends, labels, np.array(groups) if self.group is not None else None)
        targets, names, scaling = self._targets(labels, parts["train"])
        further = np.arange(len(labels), len(tokens.offsets) - 1)
        self._arrange(stage, tokens, targets, parts, further, Facts(None, names, target_scaling=scaling), unit)
        self._classes = len(names)

    def summary(self) -> str:
        """What `setup` made, in one line."""
        targets = f"{self._classes:,} classes" if self._classes else "numbers"
        return ", ".join([self._sizes(" texts"), *([] if self.streams else [targets]), self._vocabulary()])

    @classmethod
    def name_with(cls, options: Mapping[str, Any]) -> str | None:
        """The name of the file or folder, without its ending."""
        name = super().name_with(options)
        return None if name is None else cls._named(name, options.get("targets", "labels"))

    def _further(self) -> Iterator[str]:
        """The texts without a label."""
        if self.unlabelled_path is None:
            return
        path = Path(self.unlabelled_path).expanduser()
        if not path.is_dir():
            yield from self.unlabelled(path)
            return
        with tables.clear_errors(path):
            files = visible(path, lambda file: file.is_file() and file.suffix.lower() == ".txt")
        if not files:
            raise ValueError(f"{path} holds no .txt files")
        for file in files:
            yield _joined(["".join(tables.lines(file))])

    def unlabelled(self, path: Path) -> Iterator[str]:
        """The texts of a table, whatever else it holds.

        Raises:
            ValueError: it cannot be read or has no such column.
        """
        for _, cells in tables.rows(path, self.text):
            yield _joined(cells)

    def _texts(self, labels: Labels, groups: array[int], ends: dict[str, int]) -> Iterator[str]:
        """All texts, part by part; what else belongs to them goes where it is collected."""
        known: dict[str, int] = {}
        empty: list[str] = []
        for part, path in self._sources().items():
            for row in self._rows(path):
                labels.add(labels.value(row.label, row.path, row.line), row.path, row.line)
                if self.group is not None:
                    if row.group in (None, ""):
                        raise ValueError(
                            f"{row.place}: the column '{self.group}' is empty, which tells the groups apart"
                        )
                    groups.append(known.setdefault(str(row.group), len(known)))
                if not row.text or row.text.isspace():
                    empty.append(row.place)
                yield row.text
            if len(labels) == max(ends.values(), default=0):
                raise ValueError(f"{path} has no rows")
            ends[part] = len(labels)
        if empty:
            _log.warning("%s of the texts have nothing in them, first of all %s", f"{len(empty):,}", empty[0])

    def _rows(self, path: Path) -> Iterator[_Row]:
        if path.is_dir():
            if self.group is not None:
                raise ValueError(f"{path} is a folder: there is no column '{self.group}' for the groups")
            for file, label in class_folders(path, lambda file: file.suffix.lower() == ".txt", ".txt"):
                yield _Row(file, 0, _joined(["".join(tables.lines(file))]), label, None)
            return
        names = [*self.text, self.label, *([] if self.group is None else [self.group])]
        count = len(self.text)
        for line, cells in tables.rows(path, names):
            yield _Row(path, line, _joined(cells[:count]), cells[count], cells[-1])


class _Row(NamedTuple):
    path: Path
    line: int
    text: str
    label: tables.Cell
    group: tables.Cell

    @property
    def place(self) -> str:
        return tables.place(self.path, self.line)


def _joined(cells: Sequence[tables.Cell]) -> str:
    return " ".join(str(cell) for cell in cells if cell is not None).replace("\r\n", "\n")
