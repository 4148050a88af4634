"""Selective copying: which steps are worth remembering is told by the steps themselves.

The task is that of Jing et al. 2019, https://arxiv.org/abs/1706.02761, and of Gu and Dao 2023,
https://arxiv.org/abs/2312.00752. S sequences, L steps to read, K letters.
"""

from __future__ import annotations

import math

import numpy as np

from rnn_lightning.batch import NO_LABEL, Facts
from rnn_lightning.data.base import at_least
from rnn_lightning.data.seeded import SeededData, SeededSequences

_LETTERS = "abcdefgh"
_BLANK, _GO = len(_LETTERS), len(_LETTERS) + 1


class SelectiveCopy(SeededData):
    """A few letters at any places among blanks, to be repeated in their order.

    A sequence is L steps with K letters out of eight and blanks between them, then K signs, at which the letters are to
    be named. The ten symbols are the features, 1 where they stand. Only the last K steps have a label. Unlike in
    CopyMemory no counting of steps helps: a layer has to choose by content what it keeps. Chance level: each letter is
    one of eight, an accuracy of 1/8 and a loss of ln 8.

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        num_steps: steps to read, L; a sequence has L + K.
        num_tokens: letters to be repeated, K.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "selective_copy"

    def __init__(
        self,
        num_train: int = 10_000,
        num_val: int = 2_000,
        num_test: int = 2_000,
        num_steps: int = 64,
        num_tokens: int = 4,
        data_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, num_workers)
        at_least("num_steps", num_steps, 1)
        at_least("num_tokens", num_tokens, 1)
        if num_tokens > num_steps:
            raise ValueError(f"num_tokens is {num_tokens}, above num_steps, which is {num_steps}")
        self.num_steps = num_steps
        self.num_tokens = num_tokens
        self.facts = Facts(len(_LETTERS) + 2, tuple(_LETTERS), per_step=True)

    def chance_level(self) -> dict[str, float]:
        """That of a guess among the letters."""
        return {"loss": math.log(len(_LETTERS)), "accuracy": 1 / len(_LETTERS)}

    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        letters = random.integers(len(_LETTERS), size=(size, self.num_tokens))
        order = random.random((size, self.num_steps)).argsort(1)
        places = np.sort(order[:, : self.num_tokens], 1)
        x = np.full((size, self.num_steps + self.num_tokens), _BLANK, np.uint8)
        targets = np.full(x.shape, NO_LABEL)
        np.put_along_axis(x, places, letters.astype(np.uint8), 1)
        x[:, self.num_steps :] = _GO
        targets[:, self.num_steps :] = letters
        return SeededSequences(x, None, targets, num_symbols=_GO + 1)
