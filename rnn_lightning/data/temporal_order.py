"""Temporal order: in which order did two signs come, long ago? (Hochreiter and Schmidhuber 1997, experiment 6a.)

S sequences, T steps of the shortest one.
"""

from __future__ import annotations

import numpy as np

from rnn_lightning.batch import Facts
from rnn_lightning.data.base import at_least
from rnn_lightning.data.seeded import SeededData, SeededSequences

_SYMBOLS = "EBabcdXY"
_LETTERS = range(2, 6)
_CLASSES = ("XX", "XY", "YX", "YY")


class TemporalOrder(SeededData):
    """Two steps are X or Y, all others say nothing: which two were they, and in which order?

    A sequence begins with E and ends with B; between them stand letters from a to d, drawn evenly, but for two steps
    that are X or Y, one between T/10 and 2T/10 and one between 5T/10 and 6T/10. It has from T to 1.1 T steps. The eight
    symbols are the features, 1 where they stand. Chance level: each of the classes XX, XY, YX, YY is one in four.

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        num_steps: steps of the shortest sequences, T; at least 10.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "temporal_order"

    def __init__(
        self,
        num_train: int = 10_000,
        num_val: int = 2_000,
        num_test: int = 2_000,
        num_steps: int = 100,
        data_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, num_workers)
        at_least("num_steps", num_steps, 10)
        self.num_steps = num_steps
        self.facts = Facts(len(_SYMBOLS), _CLASSES)

    def chance_level(self) -> dict[str, float]:
        """One class in four."""
        return {"accuracy": 1 / len(_CLASSES)}

    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        rows, tenths = np.arange(size), [share * self.num_steps // 10 for share in range(12)]
        lengths = random.integers(tenths[10], tenths[11], size, endpoint=True)
        x = random.integers(_LETTERS.start, _LETTERS.stop, (size, tenths[11]), np.uint8)
        x[np.arange(tenths[11]) >= lengths[:, None]] = len(_SYMBOLS)
        x[:, 0], x[rows, lengths - 1] = _SYMBOLS.index("E"), _SYMBOLS.index("B")
        first, second = random.integers(2, size=(2, size))
        x[rows, random.integers(tenths[1], tenths[2], size, endpoint=True)] = _SYMBOLS.index("X") + first
        x[rows, random.integers(tenths[5], tenths[6], size, endpoint=True)] = _SYMBOLS.index("X") + second
        return SeededSequences(x, lengths, 2 * first + second, num_symbols=len(_SYMBOLS))
