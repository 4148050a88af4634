"""Files that are damaged or of another kind, places that cannot be written: told in a line, and nothing is left."""

from __future__ import annotations

import io
import os
import pickle
import resource
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.archives import members, pack
from tests.cli.conftest import SMALL_LANGUAGE
from tests.cli.helpers import one_mistake
from tests.conftest import SMALL, SMALL_REVIEWS, Command

BEST = Path("checkpoints") / "best.ckpt"


def _tree(folder: Path) -> dict[Path, bytes | None]:
    """Everything in a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def _refused(command: Command, argv: tuple[object, ...], *parts: str) -> str:
    """Holds a command to be refused with these words, and to leave everything as it was."""
    before = _tree(Path())
    said = one_mistake(command(*argv), *parts)
    assert _tree(Path()) == before
    return said


# checkpoints


class _Malicious:
    """Unpickled, it makes a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("made",)


def flip_a_weight(path: Path) -> None:
    """Changes the lowest bit of one byte, in the middle of the largest weight."""
    with zipfile.ZipFile(path) as file:
        part = max((info for info in file.infolist() if "/data/" in info.filename), key=lambda info: info.file_size)
    content = bytearray(path.read_bytes())
    names = sum(int.from_bytes(content[part.header_offset + at :][:2], "little") for at in (26, 28))
    content[part.header_offset + 30 + names + part.file_size // 2] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _older_format(path: Path) -> None:
    torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)


def _with_code(path: Path) -> None:
    torch.save({**torch.load(path, weights_only=True), "callbacks": {"x": _Malicious()}}, path)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "one bit of a weight": (flip_a_weight, "model.ckpt is a damaged checkpoint: "),
    "cut off": (_cut, "model.ckpt is not a checkpoint, or is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "model.ckpt is not a checkpoint, or is damaged"),
    "a text": (lambda path: path.write_text("hello\n"), "model.ckpt is not a checkpoint, or is damaged"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({})), "model.ckpt is not a checkpoint, or is damaged"),
    "a pickle of code": (
        lambda path: path.write_bytes(pickle.dumps(_Malicious())),
        "model.ckpt is not a checkpoint, or is damaged",
    ),
    "code inside": (_with_code, "model.ckpt is not a checkpoint, or is damaged"),
    "an older format": (_older_format, "model.ckpt is not a checkpoint, or is damaged"),
    "another program's": (
        lambda path: torch.save({"state_dict": {}}, path),
        "model.ckpt is not a checkpoint of rnn-lightning",
    ),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "model.ckpt"),
    "missing": (Path.unlink, "there is no checkpoint model.ckpt"),
}
VERBS: dict[str, tuple[str, ...]] = {
    "test": ("test", "--data=SyntheticSequences"),
    "validate": ("validate", "--data=SyntheticSequences"),
    "predict": ("predict", "--data=SyntheticSequences", "--output=out.jsonl"),
    "generate": ("generate", "--prompt=我"),
    "fit": ("fit", *SMALL),
    "fit a language model": ("fit", *SMALL_LANGUAGE),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_checkpoint_that_is_none_is_refused_by_every_verb(
    command: Command, feature_run: Path, language_run: Path, verb: str, kind: str
) -> None:
    damage, said = DAMAGES[kind]
    run = language_run if verb in ("generate", "fit a language model") else feature_run
    path = (run / BEST).rename("model.ckpt")
    damage(path)
    _refused(command, (*VERBS[verb], "--ckpt_path", path), said)


@pytest.mark.parametrize("verb", ["test", "validate", "predict", "generate"])
def test_a_damaged_weight_of_the_newest_run_is_found(
    command: Command, feature_run: Path, language_run: Path, verb: str
) -> None:
    run = language_run if verb == "generate" else feature_run
    flip_a_weight(run / BEST)
    argv = VERBS["generate"] if verb == "generate" else (verb, "--run", run)
    _refused(command, argv, f"{run / BEST} is a damaged checkpoint: ", "in it is not as it was written")


def test_a_training_does_not_go_on_from_another_task(command: Command, feature_run: Path, language_run: Path) -> None:
    told = f"{feature_run / BEST} holds a SequenceClassifier, and this would train a LanguageModel"
    _refused(command, ("fit", *SMALL_LANGUAGE, "--ckpt_path", feature_run / BEST), told)
    told = f"{language_run / BEST} holds a LanguageModel, and this would train a SequenceClassifier"
    _refused(command, ("fit", *SMALL, "--ckpt_path", language_run / BEST), told)


def test_a_training_does_not_go_on_from_weights_alone(command: Command, feature_run: Path) -> None:
    checkpoint = torch.load(feature_run / BEST, weights_only=True)
    del checkpoint["optimizer_states"]
    torch.save(checkpoint, "model.ckpt")
    _refused(command, ("fit", *SMALL, "--ckpt_path=model.ckpt"), "model.ckpt holds the weights alone")
    assert command("test", "--ckpt_path=model.ckpt", "--data=SyntheticSequences").code == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("generate", "--prompt=a", "--ckpt_path", "{features}"), "generate wants a LanguageModel"),
        (("test", "--ckpt_path", "{words}", "--data=SyntheticSequences"), "a language model learns to go on with a"),
        (("validate", "--ckpt_path", "{words}", "--data=SyntheticSequences"), "a language model learns to go on with"),
        (("test", "--ckpt_path", "{features}", "--data=NextWord"), "LanguageModel learns it"),
        (("predict", "--ckpt_path", "{features}", "--data=NextWord"), "LanguageModel learns it"),
        (("test", "--ckpt_path", "{features}", "--data.input_size=7"), "the data has sequences of 7 features"),
        (("predict", "--ckpt_path", "{features}", "--data.num_classes=4"), "and the classes 0, 1, 2, 3"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_model_is_not_used_on_what_it_was_not_made_for(
    command: Command, feature_run: Path, language_run: Path, argv: tuple[str, ...], said: str
) -> None:
    paths = {"features": feature_run / BEST, "words": language_run / BEST}
    _refused(command, tuple(word.format(**paths) for word in argv), said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a config: it has no sections"),
        (b"model: {class_path: x", "config.yaml, line 1: this is not YAML"),
        (b"caf\xe9", "config.yaml, line 1: this is not UTF-8 text (byte 3)"),
        (b"data: {class_path: x}\n", "is not the config of a run: no class_path in the section 'model'"),
        (b"model: {class_path: x}\ndata: 3\n", "is not the config of a run: no class_path in the section 'data'"),
    ],
    ids=["empty", "cut off", "Latin-1", "no model", "no data"],
)
@pytest.mark.parametrize("verb", [("test",), ("predict",), ("generate", "--prompt=我")], ids=" ".join)
def test_a_damaged_config_of_a_run_is_told(
    command: Command, language_run: Path, verb: tuple[str, ...], content: bytes, said: str
) -> None:
    (language_run / "config.yaml").write_bytes(content)
    _refused(command, verb, f"{language_run}/config.yaml", said)


# texts and archives

TEXTS = {
    "empty": (b"", "text is empty: there is no text to learn from"),
    "blank": (b" \n\n\t\n", "text is empty: there is no text to learn from"),
    "one word": (b"word\n", "text has 1 words: there is no next one to predict"),
    "Latin-1": (b"caf\xe9 au lait", "text is not UTF-8 text (byte 3)"),
    "UTF-16": ("a b c".encode("utf-16"), "text is not UTF-8 text (byte 0)"),
    "zip": (b"PK\x03\x04\xff\xfe", "text is not UTF-8 text (byte 4)"),
    "folder": (None, "text cannot be read: Is a directory"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_cannot_be_learnt_is_told(command: Command, language_run: Path, kind: str) -> None:
    content, said = TEXTS[kind]
    path = Path("text")
    path.mkdir() if content is None else path.write_bytes(content)
    for argv in (("fit", *SMALL_LANGUAGE), ("test",), ("validate",)):
        _refused(command, (*argv, "--data.path=text"), f"rnn-lightning: {said}\n")


def _part(*places: str) -> bytes:
    """An archive without the reviews of these places."""
    files = {name: content for name, content in members().items() if not any(place in name for place in places)}
    packed = pack(Path("part"), files).read_bytes()
    Path("part").unlink()
    return packed


def _other_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("notes.txt"))
    return buffer.getvalue()


ARCHIVES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut early": (lambda whole: whole[:300], "is damaged or cut off"),
    "cut late": (lambda whole: whole[:-4], "is damaged or cut off"),
    "a bit": (lambda whole: whole[:900] + bytes([whole[900] ^ 1]) + whole[901:], "is damaged or cut off"),
    "empty": (lambda whole: b"", "is not a tar archive, compressed or not"),
    "a page": (lambda whole: b"<html>Moved</html>", "is not a tar archive, compressed or not"),
    "another tar": (lambda whole: _other_tar(), "holds no reviews"),
    "no test split": (lambda whole: _part("/test/"), "is incomplete: it has no reviews in test/neg, test/pos"),
    "no train split": (lambda whole: _part("/train/"), "is incomplete: it has no reviews in train/neg, train/pos"),
    "a class missing": (lambda whole: _part("train/pos/"), "is incomplete: it has no reviews in train/pos"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_is_damaged_is_told_and_leaves_nothing_in_the_cache(
    command: Command, archive: Path, tmp_path: Path, kind: str
) -> None:
    damage, said = ARCHIVES[kind]
    path = Path("aclImdb.tar.gz")
    path.write_bytes(damage(archive.read_bytes()))
    _refused(command, ("fit", *SMALL_REVIEWS, f"--data.path={path}"), f"rnn-lightning: {path} {said}")
    assert {file.name for file in (tmp_path / "cache").rglob("*")} <= {"rnn-lightning", "imdb.lock"}


# places that cannot be written


@contextmanager
def _small_files(size: int) -> Iterator[None]:
    """No file can grow beyond this size, as on a disk that is nearly full; root is not excepted."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("place", ["runs", "runs/lstm-synthetic"])
def test_a_run_folder_that_cannot_be_made_is_told(command: Command, place: str) -> None:
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text("a file")
    _refused(command, ("fit", *SMALL), "the run folder runs/lstm-synthetic/", "cannot be made: Not a directory")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("file/out.jsonl", "file/out.jsonl cannot be written: Not a directory"),
        ("nowhere/out.jsonl", "nowhere/out.jsonl cannot be written: No such file or directory"),
        ("runs", "runs cannot be written: Is a directory"),
        ("", "--output wants a value"),
    ],
    ids=str,
)
def test_predictions_that_cannot_be_written_are_told(
    command: Command, feature_run: Path, output: str, said: str
) -> None:
    Path("file").write_text("a file")
    _refused(command, ("predict", f"--output={output}"), said)


@pytest.mark.parametrize("before", [None, b"earlier\n"])
def test_predictions_that_a_full_disk_has_no_room_for_leave_nothing(
    command: Command, feature_run: Path, before: bytes | None
) -> None:
    if before is not None:
        Path("out.jsonl").write_bytes(before)
    with _small_files(1000):
        _refused(command, ("predict", "--output=out.jsonl"), "out.jsonl cannot be written: File too large")


def test_predictions_go_into_a_pipe_that_is_there_already(command: Command, feature_run: Path) -> None:
    assert command("predict", "--output=wanted.jsonl").code == 0
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert command("predict", "--output=pipe").code == 0
    assert os.read(reader, 1 << 16) == Path("wanted.jsonl").read_bytes()
    os.close(reader)
    assert Path("pipe").is_fifo()


@pytest.mark.parametrize("verb", ["test", "validate"])
def test_scores_that_cannot_be_written_are_told(command: Command, feature_run: Path, verb: str) -> None:
    path = feature_run / verb / "metrics.json"
    path.mkdir(parents=True)
    _refused(command, (verb,), f"{path} cannot be written: Is a directory")
    path.rmdir()
    with _small_files(20):
        _refused(command, (verb,), f"{path} cannot be written: File too large")


def test_a_cache_folder_that_cannot_be_written_is_told(
    command: Command, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("fit", *SMALL_REVIEWS, f"--data.path={archive}", "--dry-run")
    with _small_files(200):
        _refused(command, argv, f"cannot write the cache folder {tmp_path}/cache/rnn-lightning: File too large")
    assert {file.name for file in (tmp_path / "cache").rglob("*")} <= {"rnn-lightning", "imdb.lock"}
    Path("file").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("file").resolve()))
    _refused(command, argv, "file/rnn-lightning: Not a directory; the environment variable XDG_CACHE_HOME moves it")
