"""What the tests of the baselines share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnn_lightning.batch import Ragged


def texts(*sequences: Sequence[int], targets: Sequence[int] | None = None) -> Ragged:
    """Token ids; with targets one a sequence, without them each step's target is the next token.

    In the latter case the last token is a target only: n + 1 tokens make n steps, as in a window of a longer text.
    """
    if targets is not None:
        return _joined([np.array(sequence, np.int64) for sequence in sequences], np.array(targets, np.int64))
    inputs = [np.array(sequence[:-1], np.int64) for sequence in sequences]
    after = [np.array(sequence[1:], np.int64) for sequence in sequences]
    return _joined(inputs, np.concatenate(after))


def features(*sequences: Sequence[Sequence[float]], targets: Sequence[float], size: int = 1) -> Ragged:
    """Sequences of features (T, D), T may be 0; one target a sequence, classes if they are whole numbers."""
    return _joined([np.array(sequence, np.float32).reshape(-1, size) for sequence in sequences], np.array(targets))


def _joined(sequences: list[np.ndarray], targets: np.ndarray) -> Ragged:
    return Ragged(np.concatenate(sequences), np.cumsum([0, *(len(sequence) for sequence in sequences)]), targets)
