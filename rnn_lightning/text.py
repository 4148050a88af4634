"""From raw text to token ids: words in lower case, each punctuation mark and each CJK character a token of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from rnn_lightning.batch import UNKNOWN, Batch, Truncate, pad_ragged

SPECIAL_TOKENS = ("<pad>", "<unk>")
TOKENIZER_VERSION = 1
"""To be raised by whoever changes how text becomes tokens: prepared corpora are then made anew."""

_LINE_BREAK = Regex(r"(?i)<br\s*/?>")
_CJK = r"\p{Han}|\p{Hiragana}|\p{Katakana}"
_TOKEN = Regex(rf"{_CJK}|(?:(?!{_CJK})\w)+(?:['’](?:(?!{_CJK})\w)+)*|[^\w\s]")
_CHUNK = 2048


def word_tokenizer(words: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer that gives word i of `words` the id i + 2, after padding (0) and unknown (1)."""
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(_LINE_BREAK, " "), normalizers.NFC(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_TOKEN, behavior="removed", invert=True)
    return tokenizer


def encode_chunks(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[list[int]]]:
    """The token ids of each text, a few thousand texts at a time, on all cores."""
    for start in range(0, len(texts), _CHUNK):
        encodings = tokenizer.encode_batch_fast(list(texts[start : start + _CHUNK]), add_special_tokens=False)
        yield [encoding.ids for encoding in encodings]


class TextEncoder:
    """Turns raw text into batches of token ids, and travels inside the checkpoint of the model that was trained on it.

    Args:
        words: the vocabulary, most frequent first; word i gets id i + 2, after padding (0) and unknown (1).
        max_length: tokens kept of a longer text; None keeps all.
        truncate: which tokens to keep: the first, the last, or a quarter from the beginning and the rest from the end.
    """

    def __init__(self, words: Sequence[str], max_length: int | None = None, truncate: Truncate = "head") -> None:
        self.words = list(words)
        self.max_length = max_length
        self.truncate: Truncate = truncate
        self._tokenizer = word_tokenizer(self.words)

    @property
    def vocab_size(self) -> int:
        """Number of token ids, padding and unknown included."""
        return len(self.words) + len(SPECIAL_TOKENS)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, not truncated."""
        return [ids for chunk in encode_chunks(self._tokenizer, texts) for ids in chunk]

    def batch(self, texts: Sequence[str]) -> Batch:
        """A batch of the texts: truncated, padded, with no targets."""
        encoded = self.encode(texts)
        sizes = np.array([len(ids) for ids in encoded], np.int64)
        flat = np.concatenate([np.asarray(ids, np.int64) for ids in encoded] or [np.zeros(0, np.int64)])
        ids, lengths = pad_ragged(flat, np.cumsum(sizes) - sizes, sizes, self.max_length, self.truncate)
        return Batch(torch.from_numpy(ids), torch.from_numpy(lengths))

    def state(self) -> dict[str, Any]:
        """Everything that makes this encoder, as plain data."""
        return {
            "version": TOKENIZER_VERSION,
            "words": self.words,
            "max_length": self.max_length,
            "truncate": self.truncate,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TextEncoder:
        """The encoder whose `state()` this is.

        Raises:
            ValueError: the text was split by a newer or older rule than this version of the package knows.
        """
        if state["version"] != TOKENIZER_VERSION:
            raise ValueError(
                f"the model's text encoder has version {state['version']}, this rnn-lightning knows {TOKENIZER_VERSION}"
            )
        return cls(state["words"], state["max_length"], state["truncate"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextEncoder) and self.state() == other.state()

    def __hash__(self) -> int:
        return hash(json.dumps(self.state(), sort_keys=True))
