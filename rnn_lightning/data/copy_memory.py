"""Copy memory: some symbols, a long time of nothing, and the same symbols again.

The task is that of Hochreiter and Schmidhuber 1997 in the form of Arjovsky et al. 2016, https://arxiv.org/abs/1511.06464.
S sequences, T steps of waiting, T + 20 steps in all.
"""

from __future__ import annotations

import math

import numpy as np

from rnn_lightning.batch import NO_LABEL, Facts
from rnn_lightning.data.base import at_least
from rnn_lightning.data.seeded import SeededData, SeededSequences

_LETTERS = "abcdefgh"
_BLANK, _GO = len(_LETTERS), len(_LETTERS) + 1
_REMEMBERED = 10


class CopyMemory(SeededData):
    """Ten letters to be repeated after a long wait.

    A sequence is ten letters out of eight, T - 1 blanks, a sign that the wait is over, and ten more blanks, at which
    the letters are to be named in their order. The ten symbols are the features, 1 where they stand. Only those last
    ten steps have a label. Chance level: each letter is one of eight, an accuracy of 1/8 and a loss of ln 8.

    In most papers blanks are to be named at all other steps. Once that is learnt, a step's mean loss there is 10/(T +
    20) of the one here: by chance 10 ln 8 / (T + 20).

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        num_steps: steps of waiting, T; a sequence has T + 20.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "copy_memory"

    def __init__(
        self,
        num_train: int = 10_000,
        num_val: int = 2_000,
        num_test: int = 2_000,
        num_steps: int = 20,
        data_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, num_workers)
        at_least("num_steps", num_steps, 1)
        self.num_steps = num_steps
        self.facts = Facts(len(_LETTERS) + 2, tuple(_LETTERS), per_step=True)

    def chance_level(self) -> dict[str, float]:
        """That of a guess among the letters."""
        return {"loss": math.log(len(_LETTERS)), "accuracy": 1 / len(_LETTERS)}

    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        letters = random.integers(len(_LETTERS), size=(size, _REMEMBERED))
        x = np.full((size, self.num_steps + 2 * _REMEMBERED), _BLANK, np.uint8)
        targets = np.full(x.shape, NO_LABEL)
        x[:, :_REMEMBERED] = targets[:, -_REMEMBERED:] = letters
        x[:, -_REMEMBERED - 1] = _GO
        return SeededSequences(x, None, targets, num_symbols=_GO + 1)
