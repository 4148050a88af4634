"""A text file as tokens: those of the whole text, wherever it is cut, from memory or from the cache."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning.data import cache as cache_module
from rnn_lightning.data import text_file
from rnn_lightning.data.text_file import Tokens, open_tokens, prepare
from rnn_lightning.text import TextEncoder, Unit, lexicon
from tests.test_text import TEXTS

BOOK = "One line of a book, and é, 学习.\r\n" * 9_000
MARK = b"\xef\xbb\xbf"


@pytest.fixture
def book(tmp_path: Path, kept: None) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(BOOK, "utf-8", newline="")
    return path


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short texts are kept in the cache, too."""
    monkeypatch.setattr(text_file, "_SHORT", 0)


def _same(a: Tokens, b: Tokens) -> bool:
    return a.words == b.words and np.array_equal(a.ids, b.ids)


def _folders(cache: Path) -> list[Path]:
    return [entry for entry in cache.iterdir() if entry.is_dir()] if cache.is_dir() else []


def _inside(cache: Path) -> Path:
    (folder,) = _folders(cache)
    return folder


def _prepared(caplog: pytest.LogCaptureFixture) -> int:
    return sum(message.startswith("Reading") for message in caplog.messages)


@given(TEXTS, st.sampled_from(get_args(Unit)), st.integers(1, 9), st.booleans(), st.sampled_from([0, 1 << 22]))
def test_tokens_are_those_of_the_whole_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, unit: Unit, block: int, mark: bool, short: int
) -> None:
    """As Python reads it in one go: the byte order mark left out, each line end one character."""
    path = tmp_path_factory.mktemp("texts") / "text"
    path.write_bytes(MARK * mark + text.encode())
    whole = path.read_text("utf-8-sig")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path.parent))
        patch.setattr(text_file, "_BLOCK", block)
        patch.setattr(text_file, "_SHORT", short)
        if not whole.strip():
            with pytest.raises(ValueError, match=r"text is empty"):
                open_tokens(path, unit)
            return
        words, ids = open_tokens(path, unit)
    assert words == lexicon([whole], unit)
    assert ids.tolist() == TextEncoder(words, unit=unit).encode([whole])[0]


@pytest.mark.parametrize("unit", get_args(Unit))
def test_a_long_text_is_kept_in_the_cache_with_the_tokens_of_the_whole(book: Path, cache: Path, unit: Unit) -> None:
    words, ids = open_tokens(book, unit)
    expected = TextEncoder(words, unit=unit).encode([BOOK[:-2].replace("\r\n", "\n") + "\n"])[0]
    assert np.array_equal(ids, expected)
    assert isinstance(ids.base, np.memmap)
    assert not ids.flags.writeable
    assert ids.dtype == np.uint8
    assert sorted(file.name for file in _inside(cache).iterdir()) == ["ids.npy", "lexicon.json", "meta.json"]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("count", "size"), [(200, 1), (300, 2), (70_000, 4)])
def test_a_number_takes_as_few_bytes_as_hold_it(tmp_path: Path, count: int, size: int) -> None:
    text = " ".join(f"w{i}" for i in range(count))
    (tmp_path / "text").write_text(text)
    words, ids = open_tokens(tmp_path / "text", "word")
    assert ids.itemsize == size
    assert [words[i - 2] for i in ids] == text.split()


def test_a_short_text_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "text").write_text("short as it is")
    prepare(tmp_path / "text", "word")
    open_tokens(tmp_path / "text", "word")
    assert not cache.exists()


@pytest.mark.usefixtures("kept")
def test_a_text_is_prepared_once(tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "text"
    path.write_text("one two one")
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        prepare(path, "word")
        made = (_inside(cache) / "ids.npy").stat().st_mtime_ns
        first = open_tokens(path, "word")
        assert _same(open_tokens(path.rename(tmp_path / "renamed"), "word"), first)
    assert caplog.messages == ["Reading text and splitting it into tokens (once)"]
    assert (_inside(cache) / "ids.npy").stat().st_mtime_ns == made


@pytest.mark.usefixtures("kept")
def test_a_changed_text_is_prepared_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "text"
    path.write_text("one two one")
    status = path.stat()
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        assert open_tokens(path, "word").words == ["one", "two"]
        path.write_text("one six one")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert open_tokens(path, "word").words == ["one", "six"]
        assert len(open_tokens(path, "character").words) == 7
    assert _prepared(caplog) == 3


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("rule", ["FORMAT_VERSION", "TOKENIZER_VERSION"])
def test_other_rules_prepare_a_text_anew(
    tmp_path: Path, rule: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("one two one")
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        open_tokens(tmp_path / "text", "word")
        monkeypatch.setattr(cache_module, rule, 99)
        open_tokens(tmp_path / "text", "word")
    assert _prepared(caplog) == 2


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", ["ids.npy", "lexicon.json", "meta.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_damaged_cache_is_made_anew(
    tmp_path: Path, cache: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "text").write_text("one two one")
    first = open_tokens(tmp_path / "text", "word")
    expected = Tokens(first.words, np.array(first.ids))
    file = _inside(cache) / name
    content = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        assert _same(open_tokens(tmp_path / "text", "word"), expected)
        assert _same(open_tokens(tmp_path / "text", "word"), expected)
    assert _prepared(caplog) == 1


@pytest.mark.usefixtures("kept")
@given(st.integers(0, 40), st.integers(1, 9), st.booleans())
def test_the_byte_that_is_not_utf_8_is_told(
    tmp_path_factory: pytest.TempPathFactory, place: int, block: int, mark: bool
) -> None:
    path = tmp_path_factory.mktemp("texts") / "text"
    before = MARK * mark + ("é学😀\r\n" * 9).encode()[:place].decode(errors="ignore").encode()
    path.write_bytes(before + b"\xff and more")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path.parent))
        patch.setattr(text_file, "_BLOCK", block)
        with pytest.raises(ValueError, match=rf"text is not UTF-8 text \(byte {len(before)}\)$"):
            prepare(path, "word")
    assert not [entry for entry in (path.parent / "rnn-lightning").iterdir() if entry.is_dir()]


def test_a_bad_byte_at_the_end_of_a_long_text_is_told_and_leaves_nothing(book: Path, cache: Path) -> None:
    size = book.stat().st_size
    with book.open("ab") as file:
        file.write("é".encode()[:1])
    with pytest.raises(ValueError, match=rf"is not UTF-8 text \(byte {size}\)$"):
        open_tokens(book, "word")
    assert _folders(cache) == []


def test_a_long_text_of_white_space_is_empty(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "text").write_text(" \n" * 3_000_000)  # long enough for the cache
    with pytest.raises(ValueError, match=r"text is empty: there is no text to learn from$"):
        open_tokens(tmp_path / "text", "word")
    assert _folders(cache) == []


def test_a_cache_folder_that_cannot_be_written_is_told(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"cannot write the cache folder .*/file/rnn-lightning: Not a dir.*; .*XDG"):
        prepare(book, "word")


@pytest.mark.usefixtures("kept")
def test_a_text_that_grows_while_it_is_read_is_told(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text"
    path.write_text("one two")

    def grow(file: Path, *rest: object) -> None:
        path.write_text("one two three")
        save_parts(file, *rest)  # type: ignore[arg-type]

    save_parts = text_file.save_parts
    monkeypatch.setattr(text_file, "save_parts", grow)
    with pytest.raises(ValueError, match=r"text was changed while it was read$"):
        open_tokens(path, "word")
    assert _folders(cache) == []


PREPARE = (
    "import logging, os, pathlib, resource, signal, sys; from rnn_lightning.data import text_file;"
    "text_file._SHORT = 0; logging.basicConfig(level=logging.INFO);"
    "print('ready', flush=True); sys.stdin.readline(); {before};"
    "print(len(text_file.open_tokens(pathlib.Path(sys.argv[1]), 'word').ids))"
)


def _process(book: Path, before: str = "pass") -> subprocess.Popen[str]:
    """A process that waits for a line, runs a statement, and opens the tokens of a text."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", PREPARE.format(before=before), str(book)]
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_at_once_prepare_a_text_once(book: Path, cache: Path) -> None:
    processes = [_process(book) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]
    count = len(open_tokens(book, "word").ids)
    assert [out for out, _ in answers] == [f"{count}\n"] * 2
    assert sum(err.count("Reading") for _, err in answers) == 1
    assert _inside(cache).suffix == ""


def test_what_a_killed_process_left_is_removed(book: Path, cache: Path) -> None:
    process = _process(book, "text_file.save_parts = lambda *args: os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate("go\n")
    assert process.returncode == -signal.SIGKILL
    assert _inside(cache).suffix == ".partial"
    prepare(book, "character")
    assert _inside(cache).suffix == ""


@pytest.mark.parametrize("size", [100, 50_000, 108_000])  # the book has 108,000 tokens
def test_a_disk_that_fills_up_is_told_and_nothing_half_written_stays(book: Path, cache: Path, size: int) -> None:
    """A limit on the size of files stands for it: writing fails in the same way."""
    process = _process(book, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))")
    _, err = process.communicate("go\n")
    assert process.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"ValueError: cannot write the cache folder {cache}: File too large; the environment")
    assert _folders(cache) == []
