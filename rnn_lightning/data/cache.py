"""What was made of texts once, kept in the user's cache folder: a lexicon, and arrays mapped from there into memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import tokenizers
from filelock import FileLock
from numpy.lib import format as npy

from rnn_lightning.data.private import cache_folder
from rnn_lightning.text import TOKENIZER_VERSION

FORMAT_VERSION = 2
"""To be raised by whoever changes what is kept: texts prepared before are then prepared anew."""

_LEXICON = "lexicon.json"
_META = "meta.json"
_PARTIAL = ".partial"
_BLOCK = 1 << 20


class Mapped(np.ndarray[Any, Any]):
    """An array in a file. To another process goes its place alone, and not the gigabytes that are in it."""

    file: Path | None

    def __new__(cls, file: Path) -> Self:
        array: Self = np.load(file, mmap_mode="r", allow_pickle=False).view(cls)
        array.file = file
        return array

    def __array_finalize__(self, origin: Any) -> None:
        self.file = None  # a part of it, or what was computed from it, is an array like any other

    def __reduce__(self) -> Any:
        return super().__reduce__() if self.file is None else (Mapped, (self.file,))


class Kept(NamedTuple):
    """What a folder of the cache holds.

    Attributes:
        words: the lexicon.
        arrays: by their names.
    """

    words: list[str]
    arrays: dict[str, Mapped]


def key_of(content: bytes, **rules: str) -> str:
    """Names everything that is made of texts: by them, and by the rules that split them.

    Args:
        content: a digest of the texts.
        rules: what else decides of it, by name.
    """
    versions = {"format": FORMAT_VERSION, "text": TOKENIZER_VERSION, "tokenizers": tokenizers.__version__}
    return hashlib.sha256(json.dumps({**versions, **rules}).encode() + content).hexdigest()[:20]


def open_kept(kind: str, key: str, names: Sequence[str], build: Callable[[Path], list[str]]) -> Kept:
    """Opens what is kept under a key, and has it made first where it is missing or damaged.

    Args:
        kind: what the folder's name begins with. Of a kind one folder is made at a time, in whatever process.
        key: what `key_of` returned.
        names: the arrays.
        build: writes the arrays, as <name>.npy, into the folder that it is given, and returns the lexicon.

    Raises:
        ValueError: the cache folder cannot be written, or others can write to it.
    """
    cache = cache_folder()
    folder = cache / f"{kind}-{key}"
    kept = _load(folder, names)
    if kept is not None:
        return kept
    try:
        with FileLock(cache / f"{kind}.lock"):
            kept = _load(folder, names)  # another process may have been faster
            if kept is None:
                for leftover in cache.glob(f"{kind}-*{_PARTIAL}"):
                    shutil.rmtree(leftover)
                _make(folder, names, build)
                kept = _load(folder, names)
    except OSError as error:
        raise ValueError(
            f"cannot write the cache folder {cache}: {error.strerror or error}; "
            "the environment variable XDG_CACHE_HOME moves it"
        ) from error
    if kept is None:
        raise ValueError(f"the files just written to the cache folder {folder} cannot be read back; check that disk")
    return kept


def save_parts(file: Path, parts: Iterable[np.ndarray[Any, Any]], dtype: np.dtype[Any]) -> None:
    """Writes an array of one dimension that comes part by part, as `numpy.save` would write the whole."""
    with file.open("wb") as stream:
        _write_header(stream, dtype, 0)
        size = 0
        for part in parts:
            stream.write(part.astype(dtype, copy=False).data)
            size += len(part)
        stream.seek(0)
        _write_header(stream, dtype, size)  # as long as before: numpy leaves room for the number to grow


def _write_header(stream: Any, dtype: np.dtype[Any], size: int) -> None:
    npy.write_array_header_1_0(stream, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)})


def _make(folder: Path, names: Sequence[str], build: Callable[[Path], list[str]]) -> None:
    partial = folder.with_name(folder.name + _PARTIAL)
    partial.mkdir()
    try:
        words = build(partial)
        (partial / _LEXICON).write_text(json.dumps(words), encoding="utf-8")
        (partial / _META).write_text(json.dumps(_checksums(partial, names)), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # a full disk has no room for half of it
        raise


def _load(folder: Path, names: Sequence[str]) -> Kept | None:
    """What a folder holds; None if it is missing or damaged."""
    try:
        if json.loads((folder / _META).read_text(encoding="utf-8")) != _checksums(folder, names):
            return None
        words = json.loads((folder / _LEXICON).read_text(encoding="utf-8"))
        return Kept(words, {name: Mapped(folder / f"{name}.npy") for name in names})
    except Exception:  # numpy and json have many words for a damaged file
        return None


def _checksums(folder: Path, names: Sequence[str]) -> dict[str, int]:
    return {file: _crc32(folder / file) for file in (*(f"{name}.npy" for name in names), _LEXICON)}


def _crc32(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum
