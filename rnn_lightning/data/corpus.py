"""The reviews as word ids: made once, kept in the user's cache folder, and mapped from there into memory."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import tokenizers
from filelock import FileLock

from rnn_lightning.data import reviews
from rnn_lightning.text import TOKENIZER_VERSION, encode_chunks, lexicon, word_tokenizer

FORMAT_VERSION = 1
"""To be raised by whoever changes the files of the cache: corpora prepared before are then made anew."""

_ARRAYS = ("ids", "offsets", "labels", "splits", "films", "review_ids")
_LEXICON = "lexicon.json"
_META = "meta.json"
_PARTIAL = ".partial"
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
    cache = platformdirs.user_cache_path("rnn-lightning")
    folder = cache / f"imdb-{_key(path)}"
    corpus = _load(folder)
    if corpus is not None:
        return corpus
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "imdb.lock"):
            corpus = _load(folder)  # another process may have been faster
            if corpus is None:
                corpus = _build(path, folder)
    except OSError as error:
        raise ValueError(
            f"cannot write the cache folder {cache}: {error.strerror or error}; "
            "the environment variable XDG_CACHE_HOME moves it"
        ) from error
    return corpus


def _build(path: Path, folder: Path) -> Corpus:
    for leftover in folder.parent.glob(f"imdb-*{_PARTIAL}"):
        shutil.rmtree(leftover)
    partial = folder.with_name(folder.name + _PARTIAL)
    corpus = _tokenized(path)
    partial.mkdir()
    try:
        _save(partial, corpus)
    except OSError:
        shutil.rmtree(partial)  # a full disk has no room for half a corpus
        raise
    if folder.exists():
        shutil.rmtree(folder)
    partial.replace(folder)
    loaded = _load(folder)
    if loaded is None:
        raise ValueError(f"the files just written to the cache folder {folder} cannot be read back; check that disk")
    return loaded


def _tokenized(path: Path) -> Corpus:
    _log.info("Reading %s and splitting its reviews into words (once)", path.name)
    read = reviews.read(path)
    words = lexicon(read.texts)
    if not words:
        raise ValueError(f"the reviews in {path} have no words")
    chunks = encode_chunks(word_tokenizer(words), read.texts)
    ids = [np.array(review, np.int32) for chunk in chunks for review in chunk]
    offsets = np.concatenate(([0], np.cumsum([len(review) for review in ids])))
    return Corpus(words, np.concatenate(ids), offsets, read.labels, read.splits, read.films, read.ids)


def _save(folder: Path, corpus: Corpus) -> None:
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(corpus, name), allow_pickle=False)
    (folder / _LEXICON).write_text(json.dumps(corpus.words), encoding="utf-8")
    meta = {"format": FORMAT_VERSION, "crc32": {file: _crc32(folder / file) for file in _files()}}
    (folder / _META).write_text(json.dumps(meta), encoding="utf-8")


def _load(folder: Path) -> Corpus | None:
    """The corpus kept in a folder; None if it is missing or damaged."""
    try:
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
        if meta != {"format": FORMAT_VERSION, "crc32": {file: _crc32(folder / file) for file in _files()}}:
            return None
        words = json.loads((folder / _LEXICON).read_text(encoding="utf-8"))
        # As plain arrays: numpy looks things up faster in them than in its own memmap class.
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in _ARRAYS
        }
        return Corpus(words, **arrays)
    except (OSError, ValueError):
        return None


def _files() -> list[str]:
    return [*(f"{name}.npy" for name in _ARRAYS), _LEXICON]


def _crc32(file: Path) -> int:
    return zlib.crc32(file.read_bytes())


def _key(path: Path) -> str:
    """Names everything the corpus is made from: the reviews, and the rules that make words of them."""
    rules = {"format": FORMAT_VERSION, "text": TOKENIZER_VERSION, "tokenizers": tokenizers.__version__}
    digest = hashlib.sha256(json.dumps(rules).encode())
    digest.update(_fingerprint(path))
    return digest.hexdigest()[:20]


def _fingerprint(path: Path) -> bytes:
    with reviews.clear_errors(path):
        if path.is_dir():
            files = []
            for entry in reviews.review_files(path):
                status = entry.stat()
                relative = Path(entry.path).relative_to(path).as_posix()
                files.append((relative, status.st_size, status.st_mtime_ns))
            return hashlib.sha256(json.dumps(sorted(files)).encode()).digest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
