"""A text file as token ids, however long it is: a long one is split once, and mapped from the cache into memory."""

from __future__ import annotations

import codecs
import hashlib
import io
import logging
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np

from rnn_lightning.data.cache import key_of, open_kept, save_parts
from rnn_lightning.regular import check_regular
from rnn_lightning.text import Unit, in_order, numbered, pieces

_SHORT = 1 << 22
"""A file of so many bytes or fewer is split in memory each time, in a second."""
_BLOCK = 1 << 20
"""Bytes that are read at once."""
_BEGINNING = 4
"""Blocks that show what kind of text it is."""
_log = logging.getLogger("rnn_lightning")


class Tokens(NamedTuple):
    """A whole text.

    Attributes:
        words: each token that occurs, in the order of the alphabet; word i has id i + 2, as in a `TextEncoder`.
        ids: the tokens of the text (N,).
    """

    words: list[str]
    ids: np.ndarray[Any, Any]


def prepare(path: Path, unit: Unit) -> None:
    """Looks whether a text can be read, and splits a long one into tokens, unless that was done before.

    Raises:
        ValueError: it cannot be read, is not UTF-8 or is empty, or the cache folder cannot be written.
    """
    if _is_short(path):
        _check(path)
    else:
        open_tokens(path, unit)


def open_tokens(path: Path, unit: Unit) -> Tokens:
    """The tokens of a text: those of the whole text at once, though no more than a few MiB of it are in memory.

    Raises:
        ValueError: as in `prepare`.
    """
    if _is_short(path):
        _check(path)
        return split(list(_read(path)), unit)
    key = _key(path, unit)
    kept = open_kept("text", key, ["ids"], partial(_build, path, unit, key))
    return Tokens(kept.words, kept.arrays["ids"])


def split(blocks: list[str], unit: Unit) -> Tokens:
    """The tokens of a text that was cut anywhere."""
    known: dict[str, int] = {}
    numbers = np.concatenate([part.tokens for part in numbered(pieces(blocks, unit), unit, known)])
    words, ids = in_order(known)
    return Tokens(words, ids[numbers])


def beginning(path: Path) -> str:
    """The first 4 MiB of a text; all of it if it is not longer.

    Raises:
        ValueError: it cannot be read or is not UTF-8.
    """
    return "".join(islice(_read(path), _BEGINNING))


def _is_short(path: Path) -> bool:
    check_regular(path)
    try:
        return path.stat().st_size <= _SHORT
    except OSError:
        return True  # to be told by who reads it


def _build(path: Path, unit: Unit, key: str, folder: Path) -> list[str]:
    _log.info("Reading %s and splitting it into tokens (once)", path.name)
    _check(path)
    known: dict[str, int] = {}
    parts = []
    with TemporaryFile(dir=folder) as file:
        for numbers, _ in numbered(pieces(_read(path), unit), unit, known):
            file.write(numbers.data)
            parts.append((numbers.dtype, len(numbers)))
        words, ids = in_order(known)
        file.seek(0)
        save_parts(folder / "ids.npy", (ids[np.fromfile(file, dtype, count)] for dtype, count in parts), ids.dtype)
    if _key(path, unit) != key:
        raise ValueError(f"{path} was changed while it was read")
    return words


def _check(path: Path) -> None:
    """Reads a text to its end, whatever is in the beginning."""
    if not sum(not block.isspace() for block in _read(path)):
        raise ValueError(f"{path} is empty: there is no text to learn from")


def _read(path: Path) -> Iterator[str]:
    """The text in blocks that end anywhere, each line end as one character."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    done = 0
    try:
        with path.open("rb") as file:
            while True:
                block = file.read(_BLOCK)
                done += len(block)
                if text := decoder.decode(block, final=not block):
                    yield text
                if not block:
                    return
    except UnicodeDecodeError as error:
        byte = done - len(error.object) + error.start
        raise ValueError(f"{path} is not UTF-8 text (byte {byte})") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def _key(path: Path, unit: Unit) -> str:
    try:
        with path.open("rb") as file:
            return key_of(hashlib.file_digest(file, "sha256").digest(), unit=unit)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
