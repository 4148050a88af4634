"""Data that changes, is cut off or goes away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rnn_lightning.data import cache
from tests.archives import members, pack
from tests.cli.helpers import epochs, only_run
from tests.conftest import SMALL_REVIEWS, Command
from tests.faults import fault
from tests.faults.conftest import InEpoch

READING = "splitting its reviews into words (once)"
Seen = Callable[[str], None]


@fault(
    what="The cache folder is removed during a training",
    injected="the folder deleted within epoch 2",
    seen="the training goes on: what it uses is mapped into memory; `epoch 3/3`; exit code 0",
    lost="nothing: the next training prepares the texts anew",
)
def test_a_cache_that_is_removed_does_not_end_the_training(
    command: Command, seen: Seen, archive: Path, tmp_path: Path, in_epoch: InEpoch
) -> None:
    in_epoch(2, lambda: shutil.rmtree(tmp_path / "cache"))
    result = command("fit", *SMALL_REVIEWS, f"--data.path={archive}", "--trainer.max_epochs=3")
    assert result.code == 0
    seen(result.out)


@fault(
    what="A file of the cache is damaged: cut off, emptied, a byte changed, gone",
    injected="each of these done to the prepared words between two trainings",
    seen="`splitting its reviews into words (once)`: the checksum does not fit, so they are prepared anew",
    lost="the time that takes",
)
def test_a_damaged_cache_is_made_anew(command: Command, seen: Seen, archive: Path, tmp_path: Path) -> None:
    argv = ("fit", *SMALL_REVIEWS, f"--data.path={archive}", "--trainer.max_epochs=1")
    assert command(*argv).code == 0
    (ids,) = (tmp_path / "cache" / "rnn-lightning").glob("imdb-*/ids.npy")
    content = ids.read_bytes()
    changed = content[:-1] + bytes([content[-1] ^ 1])
    for damaged in (content[: len(content) // 2], b"", changed, None):
        ids.unlink() if damaged is None else ids.write_bytes(damaged)
        result = command(*argv)
        assert result.code == 0
        seen(result.err)
        assert ids.read_bytes() == content
    assert READING not in command(*argv).err


@fault(
    what="A cache of an earlier version",
    injected="texts prepared under another number of the format",
    seen="`splitting its reviews into words (once)`: they are prepared anew, in a folder beside the old one",
    lost="the time that takes",
)
def test_a_cache_of_another_version_is_not_used(
    command: Command, seen: Seen, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("fit", *SMALL_REVIEWS, f"--data.path={archive}", "--trainer.max_epochs=1")
    with monkeypatch.context() as earlier:
        earlier.setattr(cache, "FORMAT_VERSION", cache.FORMAT_VERSION - 1)
        assert command(*argv).code == 0
    result = command(*argv)
    assert result.code == 0
    seen(result.err)


@fault(
    what="The archive is another one than the cache was made of",
    injected="a review changed in the archive between two trainings",
    seen="`splitting its reviews into words (once)`: the new archive's words are used, never those of the old one",
    lost="nothing",
)
def test_an_archive_that_changed_is_read_anew(command: Command, seen: Seen, archive: Path) -> None:
    path = Path("reviews.tar.gz")
    argv = ("fit", *SMALL_REVIEWS, f"--data.path={path}", "--trainer.max_epochs=1")
    shutil.copy(archive, path)
    assert command(*argv).code == 0
    changed = {name: content + (b" zzyzx" if "train/pos" in name else b"") for name, content in members().items()}
    pack(path, changed)
    result = command(*argv)
    assert result.code == 0
    seen(result.err)


@fault(
    what="The archive changes between a training and `fit --resume`",
    injected="a word added to each positive review",
    seen="`the checkpoint's vocabulary is not the one of this data: training cannot go on with it`; exit code 2",
    lost="nothing: with the archive as it was it goes on",
)
def test_a_training_does_not_go_on_with_other_words(command: Command, seen: Seen, archive: Path) -> None:
    path = Path("reviews.tar.gz")
    shutil.copy(archive, path)
    argv = ("fit", *SMALL_REVIEWS, f"--data.path={path}", "--trainer.max_epochs=1")
    assert command(*argv).code == 0
    changed = {name: content + (b" zzyzx" if "train/pos" in name else b"") for name, content in members().items()}
    pack(path, changed)
    result = command("fit", "--resume", "--trainer.max_epochs=2")
    assert result.code == 2
    seen(result.err)
    shutil.copy(archive, path)
    assert command("fit", "--resume", "--trainer.max_epochs=2").code == 0
    assert len(epochs(only_run())) == 2


@fault(
    what="An archive that is cut off",
    injected="the second half of the archive is missing",
    seen="`reviews.tar.gz is damaged or cut off`; exit code 2",
    lost="nothing: no half of it is prepared",
)
def test_an_archive_that_is_cut_off_is_told(command: Command, seen: Seen, archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    Path("reviews.tar.gz").write_bytes(content[: len(content) // 2])
    result = command("fit", *SMALL_REVIEWS, "--data.path=reviews.tar.gz")
    assert result.code == 2
    seen(result.err)
    assert not list((tmp_path / "cache").rglob("imdb-*"))


def _rows(count: int) -> str:
    return "text,label\n" + "".join(f"word{n % 5} again,{'yes' if n % 2 else 'no'}\n" for n in range(count))


TABLE = (
    *("fit", "--data=TextFiles", "--data.path=own.csv", "--data.text=text", "--data.label=label"),
    *("--model.hidden_size=4", "--model.embedding_size=4", "--trainer.max_epochs=1"),
)


@fault(
    what="Rows are added to an own table between a training and `fit --resume`",
    injected="40 rows more at its end",
    seen="`the checkpoint's vocabulary is not the one of this data: training cannot go on with it`; exit code 2",
    lost="nothing: with the table as it was it goes on",
)
def test_a_training_does_not_go_on_with_other_rows(command: Command, seen: Seen) -> None:
    Path("own.csv").write_text(_rows(60))
    assert command(*TABLE).code == 0
    Path("own.csv").write_text(_rows(100))
    result = command("fit", "--resume", "--trainer.max_epochs=2")
    assert result.code == 2
    seen(result.err)
    Path("own.csv").write_text(_rows(60))
    assert command("fit", "--resume", "--trainer.max_epochs=2").code == 0


@fault(
    what="An own table is gone when the training goes on",
    injected="the file deleted before `fit --resume`",
    seen="`own.csv`; exit code 2",
    lost="nothing: with the table in its place it goes on",
)
def test_a_table_that_is_gone_is_told(command: Command, seen: Seen) -> None:
    Path("own.csv").write_text(_rows(60))
    assert command(*TABLE).code == 0
    Path("own.csv").rename("away.csv")
    result = command("fit", "--resume", "--trainer.max_epochs=2")
    assert result.code == 2
    seen(result.err)
    Path("away.csv").rename("own.csv")
    assert command("fit", "--resume", "--trainer.max_epochs=2").code == 0
