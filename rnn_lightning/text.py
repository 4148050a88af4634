"""From raw text to token ids, and back: words in lower case and punctuation marks, or characters as they are."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from rnn_lightning.batch import PAD, UNKNOWN, Batch, Truncate, pad_ragged

Unit = Literal["word", "spaced_word", "character"]
"""What a token is: a word or punctuation mark, where each CJK character is a word (word), or where CJK words end at
spaces as all others do (spaced_word); or any character, spaces and line ends included (character)."""
SPECIAL_TOKENS = ("<pad>", "<unk>")
TOKENIZER_VERSION = 1
"""To be raised by whoever changes how text becomes tokens: prepared corpora are then made anew."""

_LINE_BREAK = Regex(r"(?i)<br\s*/?>")
_CJK = r"\p{Han}|\p{Hiragana}|\p{Katakana}"
CJK_RUN = re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
"""Chinese or Japanese with nothing in between, for Python's own expressions, which do not know of scripts."""
_TOKENS: dict[Unit, Regex] = {
    "word": Regex(rf"{_CJK}|(?:(?!{_CJK})\w)+(?:['’](?:(?!{_CJK})\w)+)*|[^\w\s]"),
    "spaced_word": Regex(r"\w+(?:['’]\w+)*|[^\w\s]"),
    "character": Regex(r"(?m)."),
}
LONGEST = 1_000_000
"""A word of so many characters counts as unknown: it would be a word of one text alone, and fill a vocabulary."""
_PIECE = 1 << 14
"""Characters in a piece of a long text, at the least: a few times as many pieces as cores are at work together."""
_AT_ONCE = 1 << 20
"""Characters that are tokenised together: a token takes some hundred bytes on its way to being a number."""
_STARTER = (
    r"[^\W\u1160-\u11ff\ud7b0-\ud7ff\U00016d40-\U00016d7f]|[\s!-~\u3000-\u3029\uff01-\uff65\U0001f000-\U0001faff]"
)
"""Characters that no normalisation joins to the one before: neither marks nor the vowels of some scripts."""
_WORD_END = (
    r"(?<![rR\s])\s"  # what comes after <br may belong to it
    r"|[!-&(-.:-=?@\[-^`{-~\u3001-\u3003\u3008-\u3011\uff01\uff0c\uff1a\uff1b\uff1f\U0001f300-\U0001faff]"
)
_BORDERS: dict[Unit, re.Pattern[str]] = {
    "word": re.compile(rf"{_WORD_END}|[\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff]"),
    "spaced_word": re.compile(_WORD_END),
    "character": re.compile(_STARTER),
}
"""Before these a text can be cut without a change to its tokens. There are more such places; these are sure ones."""
_CLINGS = set(".,;:!?)]}%…，。、；：！？）】」』’”")
"""Tokens that follow a word without a space."""


def word_tokenizer(words: Sequence[str] = (), unit: Unit = "word") -> Tokenizer:
    """A tokenizer that gives word i of `words` the id i + 2, after padding (0) and unknown (1)."""
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    if unit == "character":
        tokenizer.normalizer = normalizers.NFC()
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Replace(_LINE_BREAK, " "), normalizers.NFC(), normalizers.Lowercase()]
        )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_TOKENS[unit], behavior="removed", invert=True)
    return tokenizer


def pieces(blocks: Iterable[str], unit: Unit) -> Iterator[str]:
    """Cuts a text at other places: the tokens of the pieces, one after the other, are those of the whole text.

    Only where a million characters have no white space, punctuation or, for `unit` word, Chinese or Japanese among
    them, the text is cut all the same.

    Args:
        blocks: the text, cut anywhere.
        unit: what the tokens are.
    """
    rest = ""
    for block in blocks:
        text, start = rest + block, 0
        while end := _border(text, start, _BORDERS[unit]):
            yield text[start:end]
            start = end
        rest = text[start:]
    if rest:
        yield rest


def _border(text: str, start: int, borders: re.Pattern[str]) -> int | None:
    """Where the piece that begins at `start` ends; None if the text is too short to tell."""
    near, far = start + _PIECE, start + _PIECE + LONGEST
    found = borders.search(text, near, far)
    if found is None and len(text) >= far + _PIECE:
        found = _BORDERS["character"].search(text, far, far + _PIECE)
        return found.start() if found else far
    return found.start() if found else None


def lexicon(texts: Iterable[str], unit: Unit = "word") -> list[str]:
    """Every token that occurs in the texts, in the order of the alphabet, which tells nothing of how frequent it is."""
    found: set[str] = set()
    for batch in _batches(texts):
        found.update(_trained(batch, unit).get_vocab())
    return sorted(found)


def encode_chunks(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[list[int]]]:
    """The token ids of each text, a million characters of texts at a time, on all cores."""
    for batch in _batches(texts):
        yield [encoding.ids for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]


class Numbered(NamedTuple):
    """The tokens of some texts one after the other, and how many each text has (N,)."""

    tokens: np.ndarray[Any, Any]
    sizes: np.ndarray[Any, Any]


def numbered(texts: Iterable[str], unit: Unit, known: dict[str, int]) -> Iterator[Numbered]:
    """The tokens of all texts, a million characters at a time, in one reading of the texts.

    Args:
        texts: texts, or pieces of a text.
        unit: what the tokens are.
        known: gets a number for each token, from 1 on as they come; a word of a million characters has the number 0.
    """
    for batch in _batches(texts):
        vocabulary, ids, sizes = _characters(batch) if unit == "character" else _words(batch, unit)
        numbers = np.zeros(max(vocabulary.values(), default=0) + 1, np.int64)
        for token, index in vocabulary.items():
            if len(token) < LONGEST:
                numbers[index] = known.setdefault(token, len(known) + 1)
        yield Numbered(numbers.astype(np.min_scalar_type(len(known)))[ids], np.array(sizes, np.int64))


def in_order(known: dict[str, int]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The lexicon of the tokens that `numbered` met, and for each of its numbers the id: word i has the id i + 2."""
    words = sorted(known)
    ids = np.full(len(words) + 1, UNKNOWN, np.min_scalar_type(len(words) + len(SPECIAL_TOKENS)))
    ids[[known[word] for word in words]] = np.arange(len(words)) + len(SPECIAL_TOKENS)
    return words, ids


def _words(texts: Sequence[str], unit: Unit) -> tuple[dict[str, int], np.ndarray[Any, Any], list[int]]:
    """Each different word of the texts with an id for here, all of them by those ids, and how many each text has."""
    tokenizer = _trained(texts, unit)
    ids = [np.array(row, np.int64) for chunk in encode_chunks(tokenizer, texts) for row in chunk]
    return tokenizer.get_vocab(), np.concatenate(ids), [len(row) for row in ids]


def _characters(texts: Sequence[str]) -> tuple[dict[str, int], np.ndarray[Any, Any], list[int]]:
    """The same for characters, which are ids already: ten times as fast without a tokenizer."""
    texts = [text if text.isascii() else normalizers.NFC().normalize_str(text) for text in texts]
    text = "".join(texts)
    ids = np.frombuffer(text.encode("utf-32-le"), "<u4")
    return {char: ord(char) for char in set(text)}, ids, [len(text) for text in texts]


def _trained(texts: Sequence[str], unit: Unit) -> Tokenizer:
    """A tokenizer that knows every token of the texts."""
    tokenizer = word_tokenizer(unit=unit)
    trainer = trainers.WordLevelTrainer(vocab_size=2**31, min_frequency=0, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    return tokenizer


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts that are few enough to be tokenised together."""
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def most_frequent(words: Sequence[str], counts: np.ndarray[Any, Any], size: int) -> list[str]:
    """The vocabulary of a text: at most `size` of its words, most frequent first, ties in the order of `words`.

    Args:
        words: the lexicon; word i has id i + 2.
        counts: how often each id occurs in the training part (len(words) + 2,).
        size: words in the vocabulary, at most.
    """
    by_count = np.argsort(-counts[len(SPECIAL_TOKENS) :], kind="stable")[:size]
    return [words[i] for i in by_count if counts[i + len(SPECIAL_TOKENS)]]


def remap(words: Sequence[str], vocabulary: Sequence[str]) -> np.ndarray[Any, Any]:
    """For each id in the lexicon `words` the id in the vocabulary (len(words) + 2,); unknown where it has none."""
    known = {word: index for index, word in enumerate(vocabulary, len(SPECIAL_TOKENS))}
    return np.array([PAD, UNKNOWN, *(known.get(word, UNKNOWN) for word in words)], np.int64)


class TextEncoder:
    """Turns raw text into batches of token ids, and travels inside the checkpoint of the model that was trained on it.

    Args:
        words: the vocabulary, most frequent first; word i gets id i + 2, after padding (0) and unknown (1).
        max_length: tokens kept of a longer text; None keeps all.
        truncate: which tokens to keep: the first, the last, or a quarter from the beginning and the rest from the end.
        unit: what a token is: word, spaced_word or character.
    """

    def __init__(
        self,
        words: Sequence[str],
        max_length: int | None = None,
        truncate: Truncate = "head",
        unit: Unit = "word",
    ) -> None:
        self.words = list(words)
        self.max_length = max_length
        self.truncate: Truncate = truncate
        self.unit: Unit = unit
        self._tokenizer = word_tokenizer(self.words, unit)

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

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text as they stand in it, one for each id that `batch` makes of it."""
        # Composed first: the places of a letter and its accent in the raw text would be those of the letter alone.
        texts = [unicodedata.normalize("NFC", text) for text in texts]
        found = []
        for text, encoding in zip(texts, self._tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
            places = encoding.offsets
            start, size = np.zeros(1, np.int64), np.array([len(places)])
            kept, lengths = pad_ragged(np.arange(len(places)), start, size, self.max_length, self.truncate)
            found.append([text[slice(*places[index])] for index in kept[0, : lengths[0]]])
        return found

    def piece(self, index: int, before: int | None) -> str:
        """What a token adds to a text that is written token by token.

        Args:
            index: its id, not padding or unknown.
            before: the id of the token before it; None at the beginning.
        """
        word = self.words[index - len(SPECIAL_TOKENS)]
        if self.unit == "word" and CJK_RUN.match(word):
            return word
        return word if self.unit == "character" or before is None or word in _CLINGS else f" {word}"

    def tokenizer_json(self) -> str:
        """What `tokenizers.Tokenizer.from_str` makes the same token ids with, not truncated."""
        return self._tokenizer.to_str()

    def state(self) -> dict[str, Any]:
        """Everything that makes this encoder, as plain data."""
        return {
            "version": TOKENIZER_VERSION,
            "words": self.words,
            "max_length": self.max_length,
            "truncate": self.truncate,
            "unit": self.unit,
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
        words, longest, truncate = (state.get(name) for name in ("words", "max_length", "truncate"))
        unit = state.get("unit", "word")  # checkpoints of an earlier version have none
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("the words of the model's text encoder are none")
        if longest is not None and (not isinstance(longest, int) or not 1 <= longest < 2**63):
            raise ValueError(f"the model's text encoder has the max_length {longest}")
        if truncate not in get_args(Truncate) or unit not in get_args(Unit):
            raise ValueError("the model's text encoder truncates, or splits, in a way that this version does not know")
        return cls(words, longest, cast(Truncate, truncate), unit)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextEncoder) and self.state() == other.state()

    def __hash__(self) -> int:
        return hash(json.dumps(self.state(), sort_keys=True))
