"""What passes from the data to a model: a padded batch, and a few plain facts about the data.

B sequences, T steps (the longest of the batch), D features a step, C classes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from rnn_lightning.scaling import Scaling
    from rnn_lightning.text import TextEncoder

Truncate = Literal["head", "tail", "head_tail"]
PAD, UNKNOWN = 0, 1
"""The token ids with a meaning of their own, in every vocabulary."""
NO_LABEL = -100
"""Stands among the classes of a sequence's steps where a step has none; torch's losses leave it out by default."""
NO_ROW = -1
"""Stands for a sequence's number where that is not known; in training, where a sequence is not to count."""
HEAD_SHARE = 0.25
"""With ``head_tail``, the share of `max_length` that is taken from a sequence's beginning."""


class Batch(NamedTuple):
    """Sequences padded to the longest of them.

    Attributes:
        inputs: token ids (B, T) int64, or features (B, T, D) float.
        lengths: valid steps of each sequence (B,) int64, 0 allowed.
        targets: one a sequence (B,), or a probability for each of its classes (B, C); one a step (B, T), which may be
            NO_LABEL; or None when there are none.
        rows: the number of each sequence in its part of the data (B,), or NO_ROW; None where that is not known.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor | None = None
    rows: Tensor | None = None


class Ragged(NamedTuple):
    """All sequences of a split one after the other, without padding: S sequences, N steps in all.

    Attributes:
        values: token ids (N,), or features (N, D).
        offsets: sequence s is values[offsets[s]:offsets[s + 1]] (S + 1,).
        targets: one a sequence (S,), or one a step (N,), where a class may be NO_LABEL.
    """

    values: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any]
    targets: np.ndarray[Any, Any]

    def checksum(self) -> int:
        """A number that tells these sequences from others, by how many steps each has, and its target."""
        return zlib.crc32(self.targets.astype(float).tobytes() + self.offsets.astype(np.int64).tobytes())


@dataclass(frozen=True)
class Facts:
    """What a model has to know of its data to build its first and its last layer.

    Attributes:
        input_size: features a step; None where the inputs are tokens.
        labels: the classes' names, in the order of their numbers; empty where the targets are numbers or tokens.
        encoder: turns raw text into token ids; None where the inputs are features.
        per_step: there is a target for each step, and not one for the whole sequence: a class, or a token where there
            are no labels.
        streams: each row of a batch goes on where the same row of the batch before ended; an epoch begins anew.
        scaling: how raw features were scaled; None where the features are as they come.
        target_scaling: mean and deviation of targets that are numbers: a model learns them scaled, and gives its
            predictions as the targets are. None leaves them as they come.
    """

    input_size: int | None
    labels: tuple[str, ...]
    encoder: TextEncoder | None = None
    per_step: bool = False
    streams: bool = False
    scaling: Scaling | None = None
    target_scaling: Scaling | None = None


def kept(max_length: int, truncate: Truncate) -> tuple[int, int]:
    """How many steps of a longer sequence are kept from its beginning, and how many from its end."""
    head = {"head": max_length, "tail": 0, "head_tail": int(max_length * HEAD_SHARE)}[truncate]
    return head, max_length - head


def pad_ragged(
    values: np.ndarray[Any, Any],
    starts: np.ndarray[Any, Any],
    sizes: np.ndarray[Any, Any],
    max_length: int | None = None,
    truncate: Truncate = "head",
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Cuts sequences out of one flat array and pads them with zeros, without a loop over them.

    Args:
        values: all sequences, one after the other (N, ...).
        starts: where each wanted sequence begins (B,).
        sizes: how many values it has (B,).
        max_length: steps kept of a longer sequence; None keeps all.
        truncate: which steps to keep: the first, the last, or a quarter from the beginning and the rest from the end.

    Returns:
        The padded sequences (B, T, ...), T at least 1, and their lengths after truncation (B,) int64.
    """
    limit = int(sizes.max(initial=0)) if max_length is None else max_length
    lengths = np.minimum(sizes, limit).astype(np.int64)
    head, _ = kept(limit, truncate)
    steps = np.arange(max(int(lengths.max(initial=0)), 1))
    valid = steps < lengths[:, None]
    source = starts[:, None] + steps + np.where(steps < head, 0, (sizes - lengths)[:, None])
    padded = np.zeros((*valid.shape, *values.shape[1:]), values.dtype)
    padded[valid] = values[source[valid]]
    return padded, lengths
