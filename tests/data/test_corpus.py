from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rnn_lightning
from rnn_lightning.data import cache as cache_module
from rnn_lightning.data import corpus as corpus_module
from rnn_lightning.data.corpus import Corpus, open_corpus
from rnn_lightning.data.reviews import locate, read
from rnn_lightning.text import TextEncoder
from tests.archives import members, pack, unpack

_FILES = [
    "ids.npy",
    "offsets.npy",
    "labels.npy",
    "splits.npy",
    "films.npy",
    "review_ids.npy",
    "lexicon.json",
    "meta.json",
]


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was tokenised so far."""
    tokenized = corpus_module._tokenized
    done: list[Path] = []

    def counted(path: Path) -> Corpus:
        done.append(path)
        return tokenized(path)

    monkeypatch.setattr(corpus_module, "_tokenized", counted)
    return done


def _rows(corpus: Corpus, rows: range | list[int]) -> list[list[int]]:
    return [corpus.ids[corpus.offsets[row] : corpus.offsets[row + 1]].tolist() for row in rows]


def _same(a: Corpus, b: Corpus) -> bool:
    names = ("ids", "offsets", "labels", "splits", "films", "review_ids")
    return a.words == b.words and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def _folder(cache: Path) -> Path:
    (folder,) = (entry for entry in cache.iterdir() if entry.is_dir())
    return folder


def test_ids_are_those_of_the_text_encoder(archive: Path) -> None:
    corpus = open_corpus(archive)
    reviews = read(archive)
    assert _rows(corpus, range(20)) == TextEncoder(corpus.words).encode(reviews.texts)
    assert corpus.words == sorted(set(corpus.words))
    assert {"don't", "電", "😀", "schön", ".", "testimony"} < set(corpus.words)
    assert not {"br", "label", "<unk>"} & set(corpus.words)
    assert set(corpus.ids.tolist()) == set(range(2, len(corpus.words) + 2))
    assert corpus.labels.tolist() == reviews.labels.tolist()
    assert corpus.films.tolist() == reviews.films.tolist()
    assert corpus.splits.tolist() == reviews.splits.tolist()
    assert corpus.review_ids.tolist() == reviews.ids.tolist()


def test_ids_are_those_of_the_text_encoder_on_the_real_archive(prepared_archive: Path) -> None:
    corpus = open_corpus(prepared_archive)
    texts = read(prepared_archive).texts
    rows = list(range(0, len(texts), len(texts) // 500))
    assert _rows(corpus, rows) == TextEncoder(corpus.words).encode([texts[row] for row in rows])
    assert len(corpus.offsets) == 50_001
    assert corpus.ids.dtype == np.int32


def test_kept_as_arrays_mapped_from_disk(archive: Path) -> None:
    corpus = open_corpus(archive)
    assert isinstance(corpus.ids.base, np.memmap)
    assert not corpus.ids.flags.writeable


def test_prepared_once(archive: Path, builds: list[Path]) -> None:
    assert _same(open_corpus(archive), open_corpus(archive))
    assert builds == [archive]


def test_same_content_under_another_name_is_the_same(archive: Path, builds: list[Path]) -> None:
    open_corpus(archive)
    open_corpus(archive.rename(archive.with_name("renamed")))
    assert len(builds) == 1


def test_says_that_it_works(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        open_corpus(archive)
        open_corpus(archive)
    assert caplog.messages == ["Reading small.tar.gz and splitting its reviews into words (once)"]


def test_folder_is_the_same_as_archive(archive: Path, tmp_path: Path, builds: list[Path]) -> None:
    folder = locate(str(unpack(tmp_path / "folder", members())))
    assert _same(open_corpus(folder), open_corpus(archive))
    open_corpus(folder)
    assert len(builds) == 2


def test_changed_folder_is_read_again(tmp_path: Path, builds: list[Path]) -> None:
    folder = locate(str(unpack(tmp_path / "folder", members())))
    open_corpus(folder)
    review = folder / "test" / "pos" / "1_9.txt"
    status = review.stat()
    review.write_text("Terrible!!")  # as long as before
    os.utime(review, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert "terrible" in open_corpus(folder).words
    (folder / "test" / "pos" / "5_9.txt").write_text("One more")
    assert len(open_corpus(folder).labels) == 21
    (folder / "notes.txt").write_text("not a review")
    open_corpus(folder)
    assert len(builds) == 3


def test_changed_archive_is_read_again(archive: Path) -> None:
    open_corpus(archive)
    pack(archive, {**members(), "aclImdb/test/pos/1_9.txt": b"Terrible"})
    assert "terrible" in open_corpus(archive).words


@pytest.mark.parametrize("rule", ["FORMAT_VERSION", "TOKENIZER_VERSION"])
def test_other_rules_make_another_corpus(
    archive: Path, builds: list[Path], monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    open_corpus(archive)
    monkeypatch.setattr(cache_module, rule, 99)
    open_corpus(archive)
    assert len(builds) == 2


def _delete(file: Path) -> None:
    file.unlink()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _flip(place: float) -> Callable[[Path], None]:
    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[int(place * (len(content) - 1))] ^= 0x01
        file.write_bytes(content)

    return flip


@pytest.mark.parametrize("name", _FILES)
@pytest.mark.parametrize("damage", [_delete, _cut, _empty, _flip(0), _flip(0.5), _flip(1)])
def test_damage_is_noticed_and_mended(
    archive: Path, cache: Path, builds: list[Path], name: str, damage: Callable[[Path], None]
) -> None:
    whole = open_corpus(archive)
    expected = Corpus(whole.words, *(np.array(getattr(whole, file.removesuffix(".npy"))) for file in _FILES[:6]))
    damage(_folder(cache) / name)
    assert _same(open_corpus(archive), expected)
    assert len(builds) == 2
    open_corpus(archive)
    assert len(builds) == 2


def test_every_file_is_checked(archive: Path, cache: Path) -> None:
    open_corpus(archive)
    assert sorted(file.name for file in _folder(cache).iterdir()) == sorted(_FILES)


def test_interrupted_build_leaves_nothing(
    archive: Path, cache: Path, builds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_corpus(archive)
    assert not [entry for entry in cache.iterdir() if entry.is_dir()]
    (cache / "imdb-0123.partial").mkdir()  # of a process that was killed
    open_corpus(archive)
    assert _folder(cache).suffix == ""
    assert len(builds) == 2


def test_cache_folder_that_cannot_be_written(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"cannot write the cache folder .*/file/rnn-lightning: Not a dir.*; .*XDG"):
        open_corpus(archive)


def test_full_disk(archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ValueError, match=r"cannot write the cache folder .*: No space left on device"):
        open_corpus(archive)
    assert not [entry for entry in cache.iterdir() if entry.is_dir()]


def test_reviews_without_words(tmp_path: Path) -> None:
    files = dict.fromkeys(members(), b" ")
    with pytest.raises(ValueError, match="have no words"):
        open_corpus(pack(tmp_path / "a.tar.gz", files))


def test_archive_that_vanished(archive: Path) -> None:
    archive.unlink()
    with pytest.raises(ValueError, match="does not exist"):
        open_corpus(archive)


def test_two_processes_at_once_build_once(archive: Path, cache: Path) -> None:
    program = (
        "import logging, sys, pathlib; from rnn_lightning.data.corpus import open_corpus;"
        "logging.basicConfig(level=logging.INFO); print('ready', flush=True); sys.stdin.readline();"
        "print(len(open_corpus(pathlib.Path(sys.argv[1])).labels))"
    )
    package = Path(rnn_lightning.__file__).parent.parent
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(archive)],
            env={**os.environ, "PYTHONPATH": str(package)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]
    assert [out for out, _ in answers] == ["20\n", "20\n"]
    assert sum(err.count("Reading") for _, err in answers) == 1
    assert _folder(cache).suffix == ""


def test_takes_what_another_process_built_meanwhile(
    archive: Path, cache: Path, builds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_corpus(archive)
    finished = _folder(cache)
    hidden = finished.rename(cache / "elsewhere")

    class Lock:
        """Had to wait, since another process was building the corpus."""

        def __init__(self, path: Path) -> None:
            pass

        def __enter__(self) -> None:
            hidden.rename(finished)

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(cache_module, "FileLock", Lock)
    assert len(open_corpus(archive).labels) == 20
    assert len(builds) == 1
