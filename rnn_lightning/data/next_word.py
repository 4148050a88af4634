"""A text to predict token by token: five words of Chinese by default, any text file by its path."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnn_lightning.batch import UNKNOWN, Facts
from rnn_lightning.data import text_file
from rnn_lightning.data.base import at_least
from rnn_lightning.data.windows import WindowedData, Windows
from rnn_lightning.text import CJK_RUN, SPECIAL_TOKENS, TextEncoder, Unit, most_frequent, remap

SENTENCE = "我 喜欢 学习 深度 学习"
"""The default text: four different words, and four pairs of a word and the next."""
_SHORT = 100
"""A text of fewer tokens is not divided: its training, validation and test parts are all of it."""
_LONGEST_WORD = 4
"""Where runs of CJK characters are longer than this on average, nobody has put spaces between the words."""
_AT_ONCE = 1 << 18
"""Tokens that are counted together."""
_log = logging.getLogger("rnn_lightning")

_NAMES: dict[Unit, str] = {"word": "words", "spaced_word": "words", "character": "characters"}


class NextWord(WindowedData):
    """A text, cut into windows; at each step the target is the next token.

    Windows begin without memory and come in another order each epoch. With `streams` a batch goes on where the one
    before ended instead, and a language model carries its state from window to window: only the gradient ends with the
    window (truncated back-propagation through time).

    The first part of the text is for training, the next for validation, the last for testing. The text may be longer
    than the memory, if only its different words are not: one of more than 4 MiB is split into tokens once, which are
    kept in the user's cache folder.

    Args:
        path: a UTF-8 text file; without it the sentence 我 喜欢 学习 深度 学习.
        unit: word or character. Chinese and Japanese without spaces, as the first 4 MiB have it, is taken character by
            character in both. A word of a million characters or more is unknown.
        vocab_size: tokens in the vocabulary, the most frequent ones of the training part; all others are unknown.
        num_steps: tokens of a window.
        streams: divide each part of the text into as many streams as a batch has rows, side by side, and go through
            them window by window. A stream has at least a window: short texts have fewer. Each stream begins without
            memory, so that scores are a little better the fewer they are.
        val_fraction: share of the text that is for validation.
        test_fraction: share of the text that is for testing.
        batch_size: windows in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "next_word"

    def __init__(
        self,
        path: str | None = None,
        unit: Literal["word", "character"] = "word",
        vocab_size: int = 10_000,
        num_steps: int = 64,
        streams: bool = False,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        batch_size: int = 32,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers)
        at_least("vocab_size", vocab_size, 1)
        at_least("num_steps", num_steps, 1)
        if unit not in ("word", "character"):
            raise ValueError(f"unit is '{unit}', not one of word, character")
        for name, share in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
            if not 0 < share < 1:
                raise ValueError(f"{name} is {share}; it must lie between 0 and 1")
        if val_fraction + test_fraction >= 1:
            raise ValueError(
                f"val_fraction {val_fraction} and test_fraction {test_fraction} leave nothing for training"
            )
        self.path = path
        self.unit = unit
        self.vocab_size = vocab_size
        self.num_steps = num_steps
        self.streams = streams
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction

    def prepare_data(self) -> None:
        """Looks whether the text can be read, and splits a long one into tokens, unless that was done before.

        Raises:
            ValueError: it cannot be read, or the cache folder cannot be written.
        """
        if self._file is not None:
            text_file.prepare(self._file, self._unit())

    def setup(self, stage: str) -> None:
        """Makes the three parts, encoded for the model at work.

        Raises:
            ValueError: as in `prepare_data`, or a part of the text has fewer than two tokens.
        """
        encoder, unit = self.model_encoder, self._unit()
        words, ids = (
            text_file.split([SENTENCE], unit) if self._file is None else text_file.open_tokens(self._file, unit)
        )
        if len(ids) < 2:
            raise ValueError(f"{self.path} has {len(ids)} {_NAMES[unit]}: there is no next one to predict")
        self.parts = self._parts(len(ids))
        for name, (start, end) in self.parts.items():
            if end - start < 2:
                raise ValueError(
                    f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} of {len(ids):,} "
                    f"{_NAMES[unit]} leave {end - start} for the {name} part; it needs 2 or more"
                )
        if encoder is None:
            counts = _counts(ids[slice(*self.parts["train"])], len(words) + len(SPECIAL_TOKENS))
            if counts[UNKNOWN]:
                _log.warning(
                    "%s has words of a million characters or more, which count as unknown: "
                    "data.unit character takes any text",
                    self.path,
                )
            encoder = TextEncoder(most_frequent(words, counts, self.vocab_size), unit=unit)
        self.facts = Facts(None, (), encoder, per_step=True, streams=self.streams)
        new_ids = remap(words, encoder.words)
        self.train, self.val, self.test = (Windows(ids, part, new_ids, self.num_steps) for part in self.parts.values())

    def summary(self) -> str:
        """What `setup` made, in one line."""
        assert self.facts.encoder is not None
        unit = _NAMES[self.facts.encoder.unit]
        sizes = {name: end - start for name, (start, end) in self.parts.items()}
        vocabulary = f"vocabulary {len(self.facts.encoder.words):,} {unit}"
        if self.parts["val"] == self.parts["train"]:
            return (
                f"{sizes['train']:,} {unit}, {vocabulary}; training, validation and test are the same, all of the text"
            )
        parts = f"{sizes['train']:,} train / {sizes['val']:,} validation / {sizes['test']:,} test {unit}"
        return f"{parts}, {vocabulary}"

    def _parts(self, count: int) -> dict[str, tuple[int, int]]:
        """Where each part begins and ends."""
        if count < _SHORT:
            return dict.fromkeys(("train", "val", "test"), (0, count))
        test = count - round(count * self.test_fraction)
        val = test - round(count * self.val_fraction)
        return {"train": (0, val), "val": (val, test), "test": (test, count)}

    @property
    def _file(self) -> Path | None:
        return None if self.path is None else Path(self.path).expanduser()

    def _unit(self) -> Unit:
        """What the tokens are: as the model at work has them, else as the text asks for."""
        if self.model_encoder is not None:
            return self.model_encoder.unit
        if self.unit == "character":
            return "character"
        # Are Chinese or Japanese words divided by spaces?
        runs = CJK_RUN.findall(SENTENCE if self._file is None else text_file.beginning(self._file))
        return "word" if runs and sum(map(len, runs)) > _LONGEST_WORD * len(runs) else "spaced_word"


def _counts(ids: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """How often each id below `size` occurs."""
    counts, part = np.zeros(size, np.int64), max(_AT_ONCE, size)
    for start in range(0, len(ids), part):
        counts += np.bincount(ids[start : start + part], minlength=size)
    return counts
