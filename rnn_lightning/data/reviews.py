"""The Large Movie Review Dataset (Maas et al., ACL 2011): found or downloaded, and read without unpacking it."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from rnn_lightning.data.download import download
from rnn_lightning.data.private import cache_folder
from rnn_lightning.regular import check_regular

ARCHIVE = "aclImdb_v1.tar.gz"
URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{ARCHIVE}"
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
SPLITS = ("train", "test")
CLASSES = ("neg", "pos")
UNKNOWN_FILM = -1

_REVIEW = re.compile(r"(?:^|/)(train|test)/(neg|pos)/(\d+)_\d+\.txt$")
_UNLABELLED = re.compile(r"(?:^|/)train/unsup/(\d+)_\d+\.txt$")
_URLS = re.compile(r"(?:^|/)train/urls_(neg|pos)\.txt$")
_TITLE = re.compile(rb"/title/tt(\d+)")
_OPENERS: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_LONGEST_REVIEW = 1 << 20
"""Bytes; the longest of the original has 13,704."""
_LONGEST_LIST = 1 << 26
"""Bytes of a list of addresses; the original's have 612,500."""
_MOST_TEXT = 1 << 28
"""Bytes of all reviews; the original's labelled ones have 65 million."""
_MOST_MEMBERS = 300_000
"""Files and folders in an archive; the original has 100,021."""
_MOST_BYTES = 1 << 31
"""Of an archive, unpacked; the original has 480 million."""
_LONGEST_HEADER = 1 << 16
"""Bytes of a name or of what else is said of a file in an archive."""
_STUMBLES = (ValueError, RecursionError, OverflowError)
"""What the tarfile module makes of a header that makes no sense."""
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError)


class _NotTheOriginalError(ValueError):
    """There is more in it than in the original."""


class Reviews(NamedTuple):
    """The labelled reviews, sorted by split, id and label; N of them.

    Attributes:
        texts: what the reviewers wrote.
        labels: 0 negative, 1 positive (N,).
        splits: 0 training, 1 test (N,).
        ids: the number a review's file name begins with (N,); unique within a split and a label.
        films: number of the reviewed title, 64354 for tt0064354, -1 where it is unknown, as for all of test (N,).
    """

    texts: list[str]
    labels: np.ndarray[Any, Any]
    splits: np.ndarray[Any, Any]
    ids: np.ndarray[Any, Any]
    films: np.ndarray[Any, Any]


def data_folder() -> Path:
    """Where data sets lie: $RNN_LIGHTNING_DATA, or the user's cache folder."""
    named = os.environ.get("RNN_LIGHTNING_DATA")
    return Path(named).expanduser() if named else cache_folder()


def locate(path: str | None = None) -> Path:
    """Finds the reviews, and downloads them if no place was named and they are not in the data folder.

    Args:
        path: an archive of the reviews, or a folder they were unpacked to: aclImdb or the one around it.

    Returns:
        The archive, or the folder aclImdb.

    Raises:
        ValueError: there is nothing at `path`, or the download failed.
    """
    if path is None:
        archive = data_folder() / ARCHIVE
        with clear_errors(archive):
            there = archive.exists()
        if not there:
            download(URL, SHA256, archive)
        return archive
    named = Path(path).expanduser()
    with clear_errors(named):
        named.stat()
        check_regular(named)
        for folder in (named, named / "aclImdb"):
            if (folder / SPLITS[0]).is_dir():
                return folder
    if named.is_dir():
        raise ValueError(f"{named} holds no reviews: there is no folder train or aclImdb/train in it")
    return named


def read(path: Path) -> Reviews:
    """Reads the labelled reviews of an archive, as a stream, or of a folder.

    Args:
        path: what `locate` returned.

    Raises:
        ValueError: it cannot be read, is damaged or cut off, or a class is missing.
    """
    reviews: dict[tuple[int, int, int], str] = {}
    films: dict[int, list[int]] = {}
    with clear_errors(path):
        for name, content in _contents(path, (_REVIEW, _URLS)):
            if match := _REVIEW.search(name):
                split, label, number = match.groups()
                reviews[SPLITS.index(split), int(number), CLASSES.index(label)] = _decoded(content, name, path)
            elif match := _URLS.search(name):
                films[CLASSES.index(match[1])] = [_title(line) for line in content.splitlines()]
    if not reviews:
        raise ValueError(f"{path} holds no reviews: a review is a file like train/pos/0_9.txt")
    present = {(split, label) for split, _, label in reviews}
    missing = [f"{s}/{c}" for i, s in enumerate(SPLITS) for k, c in enumerate(CLASSES) if (i, k) not in present]
    if missing:
        raise ValueError(f"{path} is incomplete: it has no reviews in {', '.join(missing)}")
    keys = sorted(reviews)
    table = np.array(keys, np.int64)
    return Reviews(
        texts=[reviews[key] for key in keys],
        labels=table[:, 2],
        splits=table[:, 0],
        ids=table[:, 1],
        films=np.array([_film(films, key) for key in keys], np.int64),
    )


def read_unlabelled(path: Path) -> list[str]:
    """Reads the reviews without a label, in the order of their numbers.

    Args:
        path: what `locate` returned.

    Raises:
        ValueError: it cannot be read, is damaged or cut off, or there are none.
    """
    with clear_errors(path):
        found = {
            int(match[1]): _decoded(content, name, path)
            for name, content in _contents(path, (_UNLABELLED,))
            if (match := _UNLABELLED.search(name))
        }
    if not found:
        raise ValueError(f"{path} has no reviews without a label: such a one is a file like train/unsup/0_0.txt")
    return [found[number] for number in sorted(found)]


def review_files(folder: Path, labelled: bool = True) -> Iterator[os.DirEntry[str]]:
    """The files of an unpacked folder that `read` would open, or else `read_unlabelled`."""
    return _files(folder, (_REVIEW, _URLS) if labelled else (_UNLABELLED,))


def _contents(path: Path, wanted: tuple[re.Pattern[str], ...]) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the files that fit one of these patterns."""
    size = 0
    for name, content in _members_of_folder(path, wanted) if path.is_dir() else _members_of_archive(path, wanted):
        size += len(content)
        if size > _MOST_TEXT:
            raise _NotTheOriginalError(f"{path} is not the original: reviews of more than {_MOST_TEXT:,} bytes")
        yield name, content


def _files(folder: Path, wanted: tuple[re.Pattern[str], ...]) -> Iterator[os.DirEntry[str]]:
    labelled = (f"{split}/{label}" for split in SPLITS for label in CLASSES)
    for place in (SPLITS[0], f"{SPLITS[0]}/unsup", *labelled):
        if (folder / place).is_dir():
            with os.scandir(folder / place) as entries:
                for entry in entries:
                    if any(pattern.search(f"{place}/{entry.name}") for pattern in wanted) and entry.is_file():
                        yield entry


def _members_of_folder(folder: Path, wanted: tuple[re.Pattern[str], ...]) -> Iterator[tuple[str, bytes]]:
    for entry in _files(folder, wanted):
        name = Path(entry.path).relative_to(folder).as_posix()
        _check_size(folder, name, entry.stat().st_size)
        with open(entry.path, "rb") as file:
            yield name, file.read()


def _members_of_archive(path: Path, wanted: tuple[re.Pattern[str], ...]) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        opener = _OPENERS.get(file.read(2))
        file.seek(0)
        # The tarfile module would decompress by itself, but then it skips the checksum at the end.
        stream = _Watched(opener(file) if opener else file, path)
        with _opened(stream, path) as archive:
            for member in _members(archive, path):
                # Neither links nor devices nor pipes, and the name is only looked at: nothing is written to the disk.
                if member.isfile() and any(pattern.search(member.name) for pattern in wanted):
                    _check_size(path, member.name, member.size)
                    yield member.name, archive.extractfile(member).read()  # type: ignore[union-attr]  # it is a file
            stream.drain()
            # After a header it cannot read the tarfile module stops as if the archive ended there.
            if stream.size <= archive.offset or stream.data_end > archive.offset:
                raise tarfile.ReadError("no end mark")


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """What an archive holds, one by one; what is past is forgotten."""
    for count in itertools.count(1):
        try:
            member = archive.next()
        except _NotTheOriginalError:
            raise
        except _STUMBLES as error:
            raise tarfile.ReadError("a header that makes no sense") from error
        if member is None:
            return
        if member.size < 0 or member.issparse():
            raise tarfile.ReadError("a file with holes, or of less than nothing")
        if member.size > _MOST_BYTES:
            raise _NotTheOriginalError(f"{path} is not the original: it says that a file has {member.size:,} bytes")
        if count > _MOST_MEMBERS:
            raise _NotTheOriginalError(f"{path} is not the original: it has more than {_MOST_MEMBERS:,} members")
        yield member
        archive.members = []  # type: ignore[attr-defined]  # it keeps them all


def _check_size(path: Path, name: str, size: int) -> None:
    most = _LONGEST_REVIEW if _REVIEW.search(name) else _LONGEST_LIST
    if size > most:
        raise _NotTheOriginalError(f"{path} is not the original: {name} has {size:,} bytes, more than {most:,}")


class _Member(tarfile.TarInfo):
    """A member that the tarfile module reads into memory only as far as it makes sense."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Looks at a header before what it announces is read."""
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type not in tarfile.REGULAR_TYPES and member.size > _LONGEST_HEADER):
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def _opened(stream: Any, path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18, tarinfo=_Member)  # the caller closes it
    except _NotTheOriginalError:
        raise
    except (tarfile.ReadError, *_STUMBLES) as error:
        raise ValueError(f"{path} is not a tar archive, compressed or not") from error


class _Watched:
    """A stream that knows how much was read from it, and where the zeros begin that it ended with."""

    def __init__(self, stream: Any, path: Path) -> None:
        self.stream = stream
        self.path = path
        self.size = 0
        self.data_end = 0

    def read(self, size: int) -> bytes:
        block: bytes = self.stream.read(size)
        if content := len(block.rstrip(b"\0")):
            self.data_end = self.size + content
        self.size += len(block)
        if self.size > _MOST_BYTES:
            raise _NotTheOriginalError(
                f"{self.path} is not the original: it unpacks to more than {_MOST_BYTES:,} bytes"
            )
        return block

    def drain(self) -> None:
        while self.read(1 << 20):
            pass


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename or path} does not exist") from error
    except PermissionError as error:
        raise ValueError(f"{error.filename or path} cannot be read: no permission") from error
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged or cut off ({error}); get it again from {URL}") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise ValueError(f"{path} takes more memory than there is") from error


def _decoded(content: bytes, name: str, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {name} is not UTF-8 text (byte {error.start})") from error


def _title(url: bytes) -> int:
    match = _TITLE.search(url)
    return int(match[1]) if match else UNKNOWN_FILM


def _film(films: dict[int, list[int]], key: tuple[int, int, int]) -> int:
    """Line n of train/urls_pos.txt, counted from 0, is the film of train/pos/n_*.txt."""
    split, number, label = key
    titles = films.get(label, []) if split == 0 else []
    return titles[number] if number < len(titles) else UNKNOWN_FILM
