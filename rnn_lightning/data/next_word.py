"""A text to predict token by token: five words of Chinese by default, any text file by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from rnn_lightning.batch import Batch, Facts, pad_ragged
from rnn_lightning.data.base import SequenceData, Sequences, at_least
from rnn_lightning.text import CJK_RUN, SPECIAL_TOKENS, TextEncoder, Unit, lexicon, most_frequent, remap

SENTENCE = "我 喜欢 学习 深度 学习"
"""The default text: four different words, and four pairs of a word and the next."""
_SHORT = 100
"""A text of fewer tokens is not divided: its training, validation and test parts are all of it."""
_LONGEST_WORD = 4
"""Where runs of CJK characters are longer than this on average, nobody has put spaces between the words."""

_NAMES: dict[Unit, str] = {"word": "words", "spaced_word": "words", "character": "characters"}


class NextWord(SequenceData):
    """A text, cut into windows; at each step the target is the next token.

    The first part of the text is for training, the next for validation, the last for testing.

    Args:
        path: a UTF-8 text file; without it the sentence 我 喜欢 学习 深度 学习.
        unit: word or character. Chinese and Japanese without spaces is taken character by character in both.
        vocab_size: tokens in the vocabulary, the most frequent ones of the training part; all others are unknown.
        num_steps: tokens of a window.
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
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction

    def prepare_data(self) -> None:
        """Looks whether the text can be read.

        Raises:
            ValueError: it cannot.
        """
        self._text()

    def setup(self, stage: str) -> None:
        """Makes the three parts, encoded for the model at work.

        Raises:
            ValueError: the text cannot be read, or a part of it has fewer than two tokens.
        """
        text = self._text()
        encoder = self.model_encoder
        unit: Unit = encoder.unit if encoder is not None else _unit(text, self.unit)
        lines = text.splitlines(keepends=True)
        words = lexicon(lines, unit)
        ids = np.array([i for line in TextEncoder(words, unit=unit).encode(lines) for i in line], np.int64)
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
            counts = np.bincount(ids[slice(*self.parts["train"])], minlength=len(words) + len(SPECIAL_TOKENS))
            encoder = TextEncoder(most_frequent(words, counts, self.vocab_size), unit=unit)
        ids = remap(words, encoder.words)[ids]
        self.facts = Facts(None, (), encoder, per_step=True)
        self.train, self.val, self.test = (
            _Windows(ids[start:end], self.num_steps) for start, end in self.parts.values()
        )

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

    def _text(self) -> str:
        if self.path is None:
            return SENTENCE
        path = Path(self.path).expanduser()
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text (byte {error.start})") from error
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        if not text.strip():
            raise ValueError(f"{path} is empty: there is no text to learn from")
        return text


def _unit(text: str, unit: Literal["word", "character"]) -> Unit:
    """The tokens of a text: are its Chinese or Japanese words divided by spaces?"""
    if unit == "character":
        return "character"
    runs = CJK_RUN.findall(text)
    return "word" if runs and sum(map(len, runs)) > _LONGEST_WORD * len(runs) else "spaced_word"


class _Windows(Sequences):
    """Windows of one part of a text, one after the other; the targets are the same tokens a step later."""

    def __init__(self, ids: np.ndarray[Any, Any], num_steps: int) -> None:
        self.ids = ids
        self.starts = np.arange(0, len(ids) - 1, num_steps)
        self.lengths = np.minimum(num_steps, len(ids) - 1 - self.starts)

    def __getitems__(self, indices: list[int]) -> Batch:
        starts, sizes = self.starts[indices], self.lengths[indices]
        inputs, lengths = pad_ragged(self.ids, starts, sizes)
        targets, _ = pad_ragged(self.ids, starts + 1, sizes)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.from_numpy(targets))
