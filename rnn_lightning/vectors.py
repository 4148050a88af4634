"""Word vectors that others have trained, from a file in GloVe's text format, compressed by gzip or not.

Each line is a word and its E numbers, divided by spaces (Pennington, Socher and Manning 2014,
https://nlp.stanford.edu/projects/glove/). A first line with two whole numbers, as word2vec and fastText write it, is
passed over.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_lightning.regular import check_regular

_GZIP = b"\x1f\x8b"
_LONGEST, _LARGEST = 1 << 20, 10_000
"""Bytes of a line, and numbers of a vector, at the most."""


class WordVectors(NamedTuple):
    """What a file knows of some words, W of them.

    Attributes:
        values: a vector for each word (W, E) float32; zeros where the file has none.
        known: whether the file has one (W,).
    """

    values: np.ndarray[Any, Any]
    known: np.ndarray[Any, Any]


def vector_size(path: str | Path) -> int:
    """Numbers in each vector of a file, E, by its first line.

    Raises:
        ValueError: the file cannot be read, or does not begin as one of vectors does.
    """
    with closing(_lines(Path(path))) as lines:
        for number, line in islice(lines, 1):
            size = len(_numbers(line.rstrip().split(" ")[1:], Path(path), number))
            if size > _LARGEST:
                raise ValueError(f"{path}, line {number}: {size:,} numbers are too many for a vector")
            return size
    raise ValueError(f"{path} is empty: there are no vectors in it")


def read_vectors(path: str | Path, words: Sequence[str]) -> WordVectors:
    """The vectors of these words. Where a file has a word twice, the first counts.

    Raises:
        ValueError: the file cannot be read, a line of it is broken or longer or shorter than the first, or it has none
            of the words.
    """
    path = Path(path)
    size = vector_size(path)
    index = {word: row for row, word in enumerate(words)}
    values = np.zeros((len(words), size), np.float32)
    known = np.zeros(len(words), bool)
    for number, line in _lines(path):
        word, *numbers = line.rstrip().rsplit(" ", size)
        # A word may have spaces in it, but then it does not end in a number.
        if len(numbers) != size or (" " in word and _is_number(word.rpartition(" ")[2])):
            found = line.rstrip().count(" ")
            raise ValueError(f"{path}, line {number}: {found} numbers, where the first line has {size}")
        row = index.get(word)
        if row is not None and not known[row]:
            values[row] = _numbers(numbers, path, number)
            known[row] = True
    if not known.any():
        raise ValueError(f"{path} has a vector for none of the {len(words):,} words of the vocabulary")
    return WordVectors(values, known)


def _lines(path: Path) -> Generator[tuple[int, str], None, None]:
    """The lines that hold a word, with their numbers."""
    number = 0
    check_regular(path.expanduser())
    try:
        with path.expanduser().open("rb") as file:
            zipped = file.read(2) == _GZIP
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if zipped else file
            for number, raw in enumerate(iter(lambda: stream.readline(_LONGEST + 1), b""), 1):
                if len(raw) > _LONGEST:
                    raise ValueError(f"{path}, line {number}: it has more than {_LONGEST:,} bytes")
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                if line.strip() and not (number == 1 and _is_header(line)):
                    yield number, line
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}, line {number}: this is not UTF-8 text") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or cut off after line {number} ({error})") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def _numbers(words: list[str], path: Path, number: int) -> np.ndarray[Any, Any]:
    """The numbers of a line (E,) float32."""
    if not words:
        raise ValueError(f"{path}, line {number}: a word and its numbers are wanted, divided by spaces")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        values = np.array([float(word) if _is_number(word) else np.nan for word in words], np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(f"{path}, line {number}: '{words[finite.argmin()]}' is not a finite number")
    return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_header(line: str) -> bool:
    """How many words there are, and how many numbers each has."""
    return len(line.split()) == 2 and all(word.isdigit() for word in line.split())
