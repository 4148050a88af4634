"""What the data sets share that are read from a user's own files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnn_lightning.data.base import SequenceData, at_least
from rnn_lightning.data.labels import Labels
from rnn_lightning.data.splits import divide
from rnn_lightning.data.tables import clear_errors
from rnn_lightning.scaling import Scaling

Array = np.ndarray[Any, Any]

_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation", "dev"), "test": ("test",)}
"""What the folders of the parts are called."""


class OwnFiles(SequenceData):
    """Base of the data sets that are read from a user's own files.

    Args:
        path: file or folder of the training part, or of all parts.
        label: column of the labels.
        regression: the labels are numbers to be predicted, not classes.
        val_path: file or folder of the validation part.
        test_path: file or folder of the test part.
        val_fraction: share of `path` that is for validation, where that has no file of its own.
        test_fraction: share of `path` that is for testing, where that has no file of its own.
        split_seed: decides what is in which part.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        path: str,
        label: str,
        regression: bool,
        val_path: str | None,
        test_path: str | None,
        val_fraction: float,
        test_fraction: float,
        split_seed: int,
        batch_size: int,
        num_workers: int,
    ) -> None:
        super().__init__(batch_size, num_workers)
        self.shares = {"val": val_fraction, "test": test_fraction}
        for part, share in self.shares.items():
            if not 0 < share < 1:
                raise ValueError(f"{part}_fraction is {share}; it must lie between 0 and 1")
        at_least("split_seed", split_seed, 0)
        self.name = self.name_with({"path": path}) or ""
        self.path = path
        self.label = label
        self.regression = regression
        self.val_path = val_path
        self.test_path = test_path
        self.split_seed = split_seed

    @classmethod
    def name_with(cls, options: Mapping[str, Any]) -> str | None:
        """The name of the file or folder, without its ending."""
        if "path" not in options:
            return None
        stem = Path(options["path"]).expanduser().absolute().name.lstrip(".").partition(".")[0]
        return re.sub(r"\W+", "_", stem).strip("_") or "own"

    def prepare_data(self) -> None:
        """Looks whether the files are there.

        Raises:
            ValueError: one is not, or cannot be read.
        """
        for path in self._sources().values():
            with clear_errors(path):
                path.stat()

    def _sources(self) -> dict[str, Path]:
        """The files or folders of the parts that have one."""
        path = Path(self.path).expanduser()
        found = {"train": path}
        if (path / "train").is_dir():
            folders = ((part, path / name) for part, names in _FOLDERS.items() for name in names)
            found = {part: folder for part, folder in folders if folder.is_dir()}
        given = {"val": self.val_path, "test": self.test_path}
        return {**found, **{part: Path(name).expanduser() for part, name in given.items() if name is not None}}

    def _divided(
        self, what: str, ends: dict[str, int], labels: Labels | None, groups: Array | None = None
    ) -> dict[str, Array]:
        """What is in which part: rows that were read from a file of the part, or a share of the training part's.

        Args:
            what: what the rows are.
            ends: how many rows there were after each part that has a file of its own.
            labels: those of the rows; None where rows have several.
            groups: the number of each row's group.
        """
        count = ends["train"]
        shares = {part: share for part, share in self.shares.items() if part not in ends}
        parts = divide(
            count,
            shares,
            self.split_seed,
            f"the {count:,} {what} of {self.path}",
            None if labels is None or self.regression else labels.numbers()[:count],
            None if groups is None else groups[:count],
        )
        start = 0
        for part, end in ends.items():
            if part != "train":
                parts[part] = np.arange(start, end)
            start = end
        return parts

    def _targets(self, labels: Labels, train: Array) -> tuple[Array, tuple[str, ...], Scaling | None]:
        """The targets, the names of the classes, and for numbers their scaling."""
        if not self.regression:
            return *labels.classes(train, self.model_labels), None
        numbers = labels.numbers()
        scaling = Scaling.of([self.label], numbers[train][:, None])
        return numbers.astype(np.float32), (), scaling


def class_folders(folder: Path, fits: Callable[[Path], bool], what: str) -> Iterator[tuple[Path, str]]:
    """The files of a folder that has a folder for each class, and the names of the classes.

    Raises:
        ValueError: a folder cannot be read, or has no such files.
    """
    with clear_errors(folder):
        classes = visible(folder, Path.is_dir)
        for name in classes:
            files = visible(name, lambda file: file.is_file() and fits(file))
            if not files:
                raise ValueError(f"{name} holds no {what} files")
            yield from ((file, name.name) for file in files)
    if not classes:
        raise ValueError(f"{folder} holds no folders: one for each class is wanted, with {what} files in it")


def visible(folder: Path, fits: Callable[[Path], bool]) -> list[Path]:
    """What fits of a folder's content, in the order of the alphabet."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and fits(path))
