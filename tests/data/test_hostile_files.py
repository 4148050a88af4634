"""Archives, folders and tables that were made to do damage: refused in a line, in little memory, nothing written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import resource
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from rnn_lightning import SeriesFiles, TextFiles
from rnn_lightning.data import reviews, tables, text_file
from rnn_lightning.vectors import read_vectors
from tests.archives import members, pack, unpack

REVIEW = "aclImdb/train/pos/7_9.txt"


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    """What takes more than half a gigabyte beyond what is there ends in a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 29), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def _refused(read: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        read()
    assert "\n" not in str(error.value)


def _archive(path: Path, *more: tarfile.TarInfo, mode: str = "w") -> Path:
    """The reviews, and further members without content."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # any mode
        for member in more:
            archive.addfile(member)
        for name, content in members().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.devmajor, member.devminor = kind, link, 1, 5
    return member


def test_nothing_of_an_archive_leads_anywhere(tmp_path: Path) -> None:
    """Paths, links, devices and pipes are neither made nor followed: the reviews are those of the files alone."""
    (tmp_path / "secret").write_text("a secret", "utf-8")
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    strange = [_member(f"{REVIEW[:-4]}{index}.txt", kind, f"{tmp_path}/secret") for index, kind in enumerate(kinds)]
    escaping = [_member(name, tarfile.REGTYPE) for name in ("../../etc/passwd", "/etc/passwd", "../escaped")]
    (tmp_path / "inner").mkdir()
    path = _archive(tmp_path / "inner" / "reviews.tar", *strange, *escaping)
    plain = reviews.read(_archive(tmp_path / "plain.tar"))
    assert reviews.read(path).texts == plain.texts
    assert {entry.name for entry in tmp_path.rglob("*")} == {"inner", "reviews.tar", "plain.tar", "secret"}


def test_a_review_by_a_path_that_leads_away_is_read_as_a_review_and_written_nowhere(tmp_path: Path) -> None:
    files = {f"../../{name}" if "train/pos/0" in name else name: content for name, content in members().items()}
    assert len(reviews.read(pack(tmp_path / "reviews.tar", files, "w")).texts) == 20
    assert {entry.name for entry in tmp_path.iterdir()} == {"reviews.tar"}


def _zeros(path: Path, size: int, opener: Callable[..., IO[bytes]], name: str) -> Path:
    """An archive with a member of so many zeros, compressed to almost nothing."""
    member = tarfile.TarInfo(name)
    member.size = size
    block = bytes(1 << 22)
    with opener(path, "wb") as file:
        file.write(member.tobuf())
        for _ in range(0, size, len(block)):
            file.write(block)
    return path


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open], ids=["gz", "bz2", "xz"])
def test_a_review_of_a_gigabyte_is_refused_before_it_is_unpacked(tmp_path: Path, opener: Any) -> None:
    path = _zeros(tmp_path / "reviews.tar", 1 << 24, opener, REVIEW)
    content = bytearray(opener(path, "rb").read(512))
    content[124:136], content[148:156] = b"%011o\0" % (1 << 30), b" " * 8
    content[148:156] = b"%06o\0 " % sum(content)
    with opener(path, "wb") as file:
        file.write(content)
    _refused(lambda: reviews.read(path), r"is not the original: .*7_9.txt has 1,073,741,824 bytes, more than 1,048,576")


def test_an_archive_that_grows_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "_MOST_BYTES", 1 << 24)
    path = _zeros(tmp_path / "one.tar.gz", 1 << 25, gzip.open, "film.mkv")
    assert path.stat().st_size < 1 << 16
    _refused(lambda: reviews.read(path), "is not the original: it says that a file has 33,554,432 bytes")
    path = pack(tmp_path / "many.tar.gz", {f"{number}.mkv": bytes(1 << 20) for number in range(17)})
    _refused(lambda: reviews.read(path), r"is not the original: it unpacks to more than 16,777,216 bytes")


def test_members_and_texts_have_their_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _archive(tmp_path / "reviews.tar", *[_member(f"{index}", tarfile.REGTYPE) for index in range(100)])
    monkeypatch.setattr(reviews, "_MOST_MEMBERS", 100)
    _refused(lambda: reviews.read(path), "is not the original: it has more than 100 members")
    monkeypatch.undo()
    monkeypatch.setattr(reviews, "_MOST_TEXT", 500)
    _refused(lambda: reviews.read(path), "is not the original: reviews of more than 500 bytes")


def test_the_memory_for_a_million_members_is_not_that_of_all_of_them(tmp_path: Path) -> None:
    path = _archive(tmp_path / "reviews.tar", *[_member(f"{index:090}", tarfile.REGTYPE) for index in range(200)])
    found = []
    with reviews._opened(path.open("rb"), path) as archive:
        for _ in reviews._members(archive, path):
            found.append(len(archive.members))
    assert max(found) == 1


def test_a_header_that_announces_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        member = _member("x", kind)
        member.size = 1 << 33
        path = tmp_path / "reviews.tar"
        path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
        _refused(lambda path=path: reviews.read(path), "is damaged or cut off|is not a tar archive")  # type: ignore[misc]


def test_headers_of_headers_of_headers_are_refused(tmp_path: Path) -> None:
    member = _member("x", tarfile.GNUTYPE_LONGNAME)
    member.size = 2
    path = tmp_path / "reviews.tar"
    path.write_bytes((member.tobuf(tarfile.GNU_FORMAT) + b"n\0".ljust(512, b"\0")) * 5000 + bytes(10240))
    _refused(lambda: reviews.read(path), "is damaged or cut off|is not a tar archive")


def test_a_file_with_holes_is_refused(tmp_path: Path) -> None:
    old = _member(REVIEW, tarfile.GNUTYPE_SPARSE)
    new = _member(REVIEW, tarfile.REGTYPE)
    new.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,1", "GNU.sparse.size": "99"}
    for member in (old, new):
        path = _archive(tmp_path / "reviews.tar", member)
        _refused(lambda path=path: reviews.read(path), "a file with holes")  # type: ignore[misc]


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.tar.gz", members()).read_bytes()
    path = pack(tmp_path / "outer.tar.gz", {"aclImdb.tar.gz": inner})
    _refused(lambda: reviews.read(path), "holds no reviews")
    _refused(lambda: reviews.read(_gz(tmp_path / "twice.tar.gz", inner)), "is not a tar archive")


def _gz(path: Path, content: bytes) -> Path:
    with gzip.open(path, "wb") as file:
        file.write(content)
    return path


def test_what_else_stands_in_a_folder_is_not_opened(tmp_path: Path) -> None:
    unpack(tmp_path, members())
    folder = tmp_path / "aclImdb"
    os.mkfifo(folder / "train" / "pos" / "70_9.txt")
    (folder / "train" / "pos" / "71_9.txt").symlink_to("/dev/zero")
    assert len(reviews.read(folder).texts) == 20
    with (folder / "train" / "pos" / "73_9.txt").open("wb") as file:
        file.truncate(1 << 40)
    _refused(lambda: reviews.read(folder), r"73_9.txt has 1,099,511,627,776 bytes, more than 1,048,576")
    (folder / "train" / "pos" / "73_9.txt").unlink()
    (folder / "train" / "pos" / "73_9.txt").symlink_to("73_9.txt")
    _refused(lambda: reviews.read(folder), "cannot be read: Too many levels of symbolic links")


READERS: dict[str, Callable[[Path], Any]] = {
    "reviews": lambda path: reviews.locate(str(path)),
    "text": lambda path: text_file.prepare(path, "word"),
    "table": tables.columns,
    "texts": lambda path: TextFiles(str(path)).setup("fit"),
    "series": lambda path: SeriesFiles(str(path), group="id").setup("fit"),
    "vectors": lambda path: read_vectors(path, ["a"]),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_not_waited_for(reader: str, tmp_path: Path) -> None:
    for name in ("own.csv", "own.parquet"):
        os.mkfifo(tmp_path / name)
        _refused(lambda name=name: READERS[reader](tmp_path / name), "is a pipe or a device")  # type: ignore[misc]


def test_a_row_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_LONGEST", 1 << 20)
    for name, begin, part in (
        ("line.csv", b"text,label\n", b"a"),
        ("quoted.csv", b'text,label\n"', b"a\n"),
        ("fields.csv", b"text,label\n", b'"a\n",'),
        ("line.jsonl", b'{"text": "', b"a"),
        ("nested.jsonl", b"", b"["),
    ):
        path = _gz(tmp_path / f"{name}.gz", begin + part * ((1 << 20) // len(part) + 1))
        _refused(lambda path=path: list(tables.rows(path, ["text"])), "more than 1,048,576 characters")  # type: ignore[misc]


def test_what_grows_too_much_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SMALL", 1 << 16)
    path = _gz(tmp_path / "own.csv.gz", b"text,label\n" + b"a,b\n" * (1 << 16))
    _refused(lambda: list(tables.rows(path, ["text"])), "becomes more than 200 times as long when it is unpacked")
    content = b"text,label\n" + b"".join(b"%d,b\n" % number for number in range(1 << 15))
    (tmp_path / "own.csv").write_bytes(content)
    for whole in (tmp_path / "own.csv", _gz(tmp_path / "whole.csv.gz", content)):
        assert sum(1 for _ in tables.rows(whole, ["text"])) == 1 << 15


def test_deep_json_and_zero_bytes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": ' + "[" * 100_000 + "\n", "utf-8")
    _refused(lambda: list(tables.rows(path, ["text"])), "line 1: this is not JSON")
    path.write_bytes(b'{"text": "\0"}\n')
    _refused(lambda: list(tables.rows(path, ["text"])), "line 1: there is a zero byte")


def test_a_parquet_file_that_says_too_much_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "own.parquet"
    parquet.write_table(pyarrow.table({"text": ["a"] * 100, "label": ["b"] * 100}), path)
    content = path.read_bytes()
    size = struct.unpack("<I", content[-8:-4])[0]
    footer = content[-8 - size : -8].replace(b"\x16\xc8\x01", b"\x16" + b"\xfe\xff\xff\xff\x7f")  # rows, as a varint
    path.write_bytes(content[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1")
    _refused(lambda: list(tables.rows(path, ["text"])), "which is too many for its size")


def test_a_line_of_vectors_has_an_end(tmp_path: Path) -> None:
    path = _gz(tmp_path / "vectors.gz", b"a" * (1 << 21))
    _refused(lambda: read_vectors(path, ["a"]), "line 1: it has more than 1,048,576 bytes")
    path.write_bytes(b"a" + b" 1" * 20_000 + b"\n")
    _refused(lambda: read_vectors(path, ["a"]), "line 1: 20,000 numbers are too many for a vector")
