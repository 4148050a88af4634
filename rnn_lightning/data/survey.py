"""What a data set is made of: lengths, what is cut off and unknown, duplicates, classes.

S sequences, N steps.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rnn_lightning.batch import NO_LABEL, UNKNOWN, Batch, Ragged
from rnn_lightning.data.base import SequenceData, Sequences
from rnn_lightning.data.loader import Loader
from rnn_lightning.data.sampler import MANY

_NUMBERS = 1 << 24
"""Numbers or tokens of a part that are looked at, at the most; of no more than MANY sequences."""
_BATCHES = 2000
"""Batches whose padding is looked at."""
_CLASSES = 12
"""More classes than these have no line each."""


class Part(NamedTuple):
    """One part of the data, as far as it is looked at.

    Attributes:
        name: train, validation or test.
        size: sequences of the whole part.
        full: the sequences before anything is cut off or made unknown (S sequences).
        seen: the same ones as a network gets them.
        keys: each sequence's inputs at full length: equal ones are duplicates (S,).
        padding: share of the batches that is padding; None where it was not looked at.
    """

    name: str
    size: int
    full: Ragged
    seen: Ragged
    keys: list[bytes]
    padding: float | None = None


class _First(Sequences):
    """The first sequences of a part that has too many."""

    def __init__(self, sequences: Sequences, count: int) -> None:
        self._sequences = sequences
        self.lengths = sequences.lengths[:count]

    def __getitems__(self, indices: list[int]) -> Batch:
        return self._sequences.__getitems__(indices)


def parts(data: SequenceData) -> list[Part]:
    """The three parts of a data set, once `setup` has run."""
    width = data.facts.input_size or 1
    return [
        _part("train", data.train, width, data.train_dataloader()),
        _part("validation", data.val, width, data.val_dataloader()),
        _part("test", data.test, width),
    ]


def table(data: SequenceData, found: list[Part]) -> list[str]:
    """The lines that tell of the parts side by side."""
    rows = {"": [part.name for part in found], "sequences": [f"{part.size:,}" for part in found]}
    rows["steps: least, median, most"] = [_lengths(part.full) for part in found]
    if data.facts.encoder is not None:
        if any(_cut(part) for part in found):
            rows["sequences cut off"] = [_percent(_cut_sequences(part)) for part in found]
            rows["tokens cut off"] = [_percent(_cut(part)) for part in found]
        rows["unknown tokens"] = [_percent(_mean(part.seen.values == UNKNOWN)) for part in found]
    else:
        rows["numbers that are not finite"] = [f"{_not_finite(part):,}" for part in found]
    rows["padding in the batches"] = ["" if part.padding is None else _percent(part.padding) for part in found]
    train = set(found[0].keys)
    rows["duplicates within"] = [f"{len(part.keys) - len(set(part.keys)):,}" for part in found]
    rows["in train too"] = ["", *(f"{sum(key in train for key in part.keys):,}" for part in found[1:])]
    rows |= _classes(data.facts.labels, found)
    widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    first = max(map(len, rows))
    lines = [
        f"{name:{first}}  {'  '.join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))}".rstrip()
        for name, cells in rows.items()
    ]
    return lines + [
        f"Looked at: the first {len(part.keys):,} of {part.size:,} {part.name} sequences"
        for part in found
        if len(part.keys) < part.size
    ]


def mistakes(data: SequenceData, found: list[Part]) -> list[str]:
    """What is likely to be wrong with the data, each in a line."""
    told, encoder = [], data.facts.encoder
    if encoder is not None and _cut(found[0]) > 0.5:
        told.append(f"max_length {encoder.max_length} cuts off {_percent(_cut(found[0]))} of the training tokens")
    for part in found:
        if bad := _not_finite(part):
            told.append(f"the {part.name} part has {bad:,} numbers that are not finite")
        counts = _counts(data.facts.labels, part)
        if len(counts) > 1 and np.count_nonzero(counts) == 1:
            told.append(f"the {part.name} part has one class alone, {data.facts.labels[int(counts.argmax())]}")
    return told


def _part(name: str, sequences: Sequences, width: int, loader: Loader | None = None) -> Part:
    numbers = np.cumsum(sequences.lengths[:MANY], dtype=np.int64) * width
    count = max(int(np.searchsorted(numbers, _NUMBERS, side="right")), 1)
    some = sequences if count >= len(sequences) else _First(sequences, count)
    full = some.whole()
    seen = full if type(some).whole is Sequences.whole else Sequences.whole(some)
    keys = [full.values[start:end].tobytes() for start, end in pairwise(full.offsets)]
    return Part(name, len(sequences), full, seen, keys, None if loader is None else _padding(loader))


def _padding(loader: Loader) -> float:
    lengths = [loader.dataset.lengths[batch] for batch in loader.batches(_BATCHES)]
    steps = sum(len(batch) * int(batch.max()) for batch in lengths)
    return 1 - sum(int(batch.sum(dtype=np.int64)) for batch in lengths) / max(steps, 1)


def _lengths(full: Ragged) -> str:
    sizes = np.diff(full.offsets)
    if sizes.min() == sizes.max():
        return f"{sizes.min():,}"
    return f"{sizes.min():,}, {np.median(sizes):,.0f}, {sizes.max():,}"


def _cut(part: Part) -> float:
    """The share of the tokens that is cut off."""
    return 1 - len(part.seen.values) / max(len(part.full.values), 1)


def _cut_sequences(part: Part) -> float:
    return _mean(np.diff(part.seen.offsets) < np.diff(part.full.offsets))


def _not_finite(part: Part) -> int:
    """Among inputs and targets."""
    arrays = (part.seen.values, part.seen.targets)
    return sum(int((~np.isfinite(values)).sum()) for values in arrays if values.dtype.kind == "f")


def _counts(labels: tuple[str, ...], part: Part) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How often each class is a target."""
    targets = part.seen.targets
    if labels and targets.ndim > 1:  # a teacher's: a probability for each class
        targets = targets.argmax(1)
    return np.bincount(targets[targets != NO_LABEL], minlength=len(labels)) if labels else np.zeros(0, np.int64)


def _classes(labels: tuple[str, ...], found: list[Part]) -> dict[str, list[str]]:
    counts = [_counts(labels, part) for part in found]
    shares = [count / max(count.sum(), 1) for count in counts]
    if len(labels) <= _CLASSES:
        return {f"class {label}": [_percent(share[i]) for share in shares] for i, label in enumerate(labels)}
    kinds = {"rarest": np.argmin, "most frequent": np.argmax}
    return {
        f"{kind} of {len(labels)} classes": [f"{labels[int(which(s))]} {_percent(s[which(s)])}" for s in shares]
        for kind, which in kinds.items()
    }


def _mean(values: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
