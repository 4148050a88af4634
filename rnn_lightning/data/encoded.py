"""Texts of one lexicon, each in one of three splits: N texts, L different words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from rnn_lightning.batch import Batch, Ragged, pad_ragged
from rnn_lightning.data.base import Sequences
from rnn_lightning.text import SPECIAL_TOKENS, TextEncoder, Unit, in_order, numbered, pieces, remap

Array = np.ndarray[Any, Any]


class Tokens(NamedTuple):
    """Texts as ids in a lexicon.

    Attributes:
        words: each word that occurs, in the order of the alphabet (L,); word i has id i + 2, as in a `TextEncoder`.
        ids: the words of all texts, one text after the other.
        offsets: text n is ids[offsets[n]:offsets[n + 1]] (N + 1,).
    """

    words: list[str]
    ids: Array
    offsets: Array


def tokenized(texts: Iterable[str], unit: Unit) -> Tokens:
    """The tokens of texts that are read once; no more than a few million characters of them are in memory."""
    known: dict[str, int] = {}
    pieces_of_text: list[int] = []
    parts = list(numbered(_in_pieces(texts, unit, pieces_of_text), unit, known))
    words, ids = in_order(known)
    ends = np.cumsum(np.concatenate([part.sizes for part in parts]))[np.cumsum(pieces_of_text) - 1]
    return Tokens(words, np.concatenate([ids[part.tokens] for part in parts]), np.concatenate(([0], ends)))


def _in_pieces(texts: Iterable[str], unit: Unit, counts: list[int]) -> Iterator[str]:
    """Long texts in pieces; says of how many each text is."""
    for text in texts:
        parts = list(pieces([text], unit)) or [""]
        counts.append(len(parts))
        yield from parts


def joined(one: Any, other: Any) -> Tokens:
    """The texts of both, in one lexicon.

    Args:
        one: `Tokens`, or what has the same attributes.
        other: the same.
    """
    words = sorted({*one.words, *other.words})
    ids = [remap(tokens.words, words).astype(np.int32)[tokens.ids] for tokens in (one, other)]
    return Tokens(words, np.concatenate(ids), np.concatenate((one.offsets, one.offsets[-1] + other.offsets[1:])))


def without_copies(tokens: Any, rows: Array, of: Array) -> Array:
    """Those of these texts that have not the same words as one of the others.

    Args:
        tokens: `Tokens`, or what has the same attributes.
        rows: which texts.
        of: which others.
    """
    known = {_key(tokens, row) for row in of}
    return np.array([row for row in rows if _key(tokens, row) not in known], np.int64)


def _key(tokens: Any, row: int) -> bytes:
    content: bytes = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].tobytes()
    return content


def word_counts(tokens: Any, rows: Array) -> Array:
    """How often each word id occurs in these texts (L + 2,).

    Args:
        tokens: `Tokens`, or what has the same attributes.
        rows: which texts.
    """
    chosen = np.zeros(len(tokens.offsets) - 1, bool)
    chosen[rows] = True
    found = tokens.ids[np.repeat(chosen, np.diff(tokens.offsets))]
    return np.bincount(found, minlength=len(tokens.words) + len(SPECIAL_TOKENS))


class EncodedTexts(Sequences):
    """Some of the texts, with the ids of an encoder's vocabulary.

    Args:
        tokens: all texts: `Tokens`, or what has the same attributes.
        targets: one for each of all texts (N,).
        rows: which texts these are.
        new_ids: for each id of the lexicon the one in the vocabulary (L + 2,).
        encoder: says how to truncate.
    """

    def __init__(self, tokens: Any, targets: Array, rows: Array, new_ids: Array, encoder: TextEncoder) -> None:
        self.words = tokens.words
        self.ids = tokens.ids
        self.starts = tokens.offsets[rows]
        self.sizes = tokens.offsets[rows + 1] - self.starts
        self.targets = targets[rows]
        self.rows = rows
        self.new_ids = new_ids
        self.max_length = encoder.max_length
        self.truncate = encoder.truncate
        self.space = "" if encoder.unit == "character" else " "
        limit = self.sizes.max() if self.max_length is None else self.max_length
        self.lengths = np.minimum(self.sizes, limit)

    def __getitems__(self, indices: list[int]) -> Batch:
        ids, lengths = pad_ragged(self.ids, self.starts[indices], self.sizes[indices], self.max_length, self.truncate)
        inputs = self.new_ids[ids]  # padding stays padding
        targets = self.targets[indices]
        return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.from_numpy(targets))

    def text(self, index: int) -> str:
        """The words of a whole text, as the lexicon has them."""
        start = self.starts[index]
        ids = self.ids[start : start + self.sizes[index]].tolist()
        first = len(SPECIAL_TOKENS)
        return self.space.join(self.words[word - first] if word >= first else SPECIAL_TOKENS[word] for word in ids)

    def whole(self) -> Ragged:
        """All texts at full length, each word by its id in the lexicon."""
        ids = [self.ids[start : start + size] for start, size in zip(self.starts, self.sizes, strict=True)]
        return Ragged(np.concatenate(ids), np.concatenate(([0], np.cumsum(self.sizes))), np.asarray(self.targets))
