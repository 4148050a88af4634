"""The reviews as word ids: made once, kept in the user's cache folder, and mapped from there into memory."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnn_lightning.data import reviews
from rnn_lightning.data.cache import key_of, open_kept
from rnn_lightning.data.encoded import Tokens
from rnn_lightning.text import encode_chunks, lexicon, word_tokenizer

_ARRAYS = ("ids", "offsets", "labels", "splits", "films", "review_ids")
_log = logging.getLogger("rnn_lightning")


@dataclass(frozen=True)
class Corpus:
    """All reviews as word ids; N reviews, L different words.

    Attributes:
        words: each word that occurs, in the order of the alphabet (L,); word i has id i + 2, as in a `TextEncoder`.
        ids: the words of all reviews, one review after the other, int32.
        offsets: review n is ids[offsets[n]:offsets[n + 1]] (N + 1,).
        labels: 0 negative, 1 positive (N,).
        splits: 0 training, 1 test (N,).
        films: number of the reviewed title, -1 where it is unknown (N,).
        review_ids: the number a review's file name begins with (N,).
    """

    words: list[str]
    ids: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    splits: np.ndarray[Any, Any]
    films: np.ndarray[Any, Any]
    review_ids: np.ndarray[Any, Any]


def open_corpus(path: Path) -> Corpus:
    """Opens the prepared corpus of an archive or folder, and prepares it first where it is missing or damaged.

    Args:
        path: what `reviews.locate` returned.

    Raises:
        ValueError: the reviews cannot be read, or the cache folder cannot be written.
    """
    kept = open_kept("imdb", key_of(_fingerprint(path)), _ARRAYS, partial(_build, path))
    return Corpus(kept.words, **kept.arrays)


def open_unlabelled(path: Path) -> Tokens:
    """Opens the prepared reviews without a label, and prepares them first where they are missing or damaged.

    Args:
        path: what `reviews.locate` returned.

    Raises:
        ValueError: there are none, or as in `open_corpus`.
    """
    key = key_of(_fingerprint(path, labelled=False))
    kept = open_kept("unlabelled-imdb", key, ("ids", "offsets"), partial(_build_unlabelled, path))
    return Tokens(kept.words, kept.arrays["ids"], kept.arrays["offsets"])


def _build_unlabelled(path: Path, folder: Path) -> list[str]:
    _log.info("Reading the reviews without a label of %s and splitting them into words (once)", path.name)
    words, ids, offsets = _as_ids(reviews.read_unlabelled(path), path)
    np.save(folder / "ids.npy", ids, allow_pickle=False)
    np.save(folder / "offsets.npy", offsets, allow_pickle=False)
    return words


def _build(path: Path, folder: Path) -> list[str]:
    corpus = _tokenized(path)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(corpus, name), allow_pickle=False)
    return corpus.words


def _tokenized(path: Path) -> Corpus:
    _log.info("Reading %s and splitting its reviews into words (once)", path.name)
    read = reviews.read(path)
    words, ids, offsets = _as_ids(read.texts, path)
    return Corpus(words, ids, offsets, read.labels, read.splits, read.films, read.ids)


def _as_ids(texts: list[str], path: Path) -> Tokens:
    words = lexicon(texts)
    if not words:
        raise ValueError(f"the reviews in {path} have no words")
    ids = [np.array(review, np.int32) for chunk in encode_chunks(word_tokenizer(words), texts) for review in chunk]
    return Tokens(words, np.concatenate(ids), np.concatenate(([0], np.cumsum([len(review) for review in ids]))))


def _fingerprint(path: Path, labelled: bool = True) -> bytes:
    """Tells the reviews from others."""
    with reviews.clear_errors(path):
        if path.is_dir():
            files = []
            for entry in reviews.review_files(path, labelled):
                status = entry.stat()
                relative = Path(entry.path).relative_to(path).as_posix()
                files.append((relative, status.st_size, status.st_mtime_ns))
            return hashlib.sha256(json.dumps(sorted(files)).encode()).digest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
