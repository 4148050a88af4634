"""A file that is no whole checkpoint is refused in one line, and never run."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_lightning import SequenceClassifier, load
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.tasks.helpers import feature_model, saved, text_model


class _Malicious:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "no checkpoint")


OTHER_FILES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello\n"),
    "line of numbers": lambda path: path.write_text("0123456789" * 20),
    "image": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"state_dict": {}})),
    "pickle of a class": lambda path: path.write_bytes(pickle.dumps(Path("x"))),
    "zip": _zip,
    "tensor": lambda path: torch.save(torch.ones(3), path),
    "weights alone": lambda path: torch.save(feature_model().state_dict(), path),
    "foreign checkpoint": lambda path: torch.save({"state_dict": {}, "hyper_parameters": {}}, path),
    "list": lambda path: torch.save([1, 2], path),
}


def _refused(path: Path) -> str:
    with pytest.raises(ValueError, match="checkpoint") as error:
        load(path)
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_another_file_is_no_checkpoint(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    OTHER_FILES[kind](path)
    assert f"{path} is not a checkpoint" in _refused(path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("make", [feature_model, text_model])
def test_a_file_that_was_cut_off_is_refused(make: Callable[[], Any], share: float, tmp_path: Path) -> None:
    path = saved(make(), tmp_path / "model.ckpt")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "is not a checkpoint, or is damaged" in _refused(path)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(feature_model(), tmp_path_factory.mktemp("whole") / "model.ckpt")


def _weights(model: SequenceClassifier) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in model.state_dict().items()}


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(whole: Path, data: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path = whole.with_name("flipped.ckpt")
    path.write_bytes(content)
    try:
        loaded = load(path)
    except ValueError:
        assert str(path) in _refused(path)
    else:
        assert _weights(loaded) == _weights(load(whole))


def test_a_flipped_bit_in_any_part_is_found_and_the_part_named(whole: Path) -> None:
    path = whole.with_name("flipped.ckpt")
    with zipfile.ZipFile(whole) as file:
        parts = {info.filename: file.read(info) for info in file.infolist()}
    for name, part in parts.items():
        content = whole.read_bytes()
        start = content.index(part, content.index(name.encode()))
        path.write_bytes(content[:start] + bytes([part[0] ^ 1]) + content[start + 1 :])
        assert _refused(path) == f"{path} is a damaged checkpoint: {name} in it is not as it was written"


def test_a_part_that_is_marked_as_a_folder_is_found(whole: Path) -> None:
    """Torch would take whatever is in the memory for its weights."""
    path = whole.with_name("marked.ckpt")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            info.external_attr = 0x10 if info.filename.endswith("/data/3") else 0
            target.writestr(info, content)
    assert "data/3 in it is not as it was written" in _refused(path)


@pytest.mark.parametrize("part", ["epoch", "hyper_parameters", "state_dict", CHECKPOINT_KEY])
def test_a_checkpoint_without_one_of_its_parts_is_none(whole: Path, tmp_path: Path, part: str) -> None:
    checkpoint = torch.load(whole, weights_only=True)
    del checkpoint[part]
    torch.save(checkpoint, tmp_path / "model.ckpt")
    assert _refused(tmp_path / "model.ckpt").endswith("is not a checkpoint of rnn-lightning")


@pytest.mark.parametrize("origin", [{}, {"task": "SequenceClassifier"}, "SequenceClassifier", None], ids=str)
def test_a_checkpoint_that_does_not_say_what_wrote_it_is_none(whole: Path, tmp_path: Path, origin: Any) -> None:
    checkpoint = torch.load(whole, weights_only=True)
    torch.save({**checkpoint, CHECKPOINT_KEY: origin}, tmp_path / "model.ckpt")
    assert _refused(tmp_path / "model.ckpt").endswith("is not a checkpoint of rnn-lightning")


@pytest.mark.parametrize("missing", ["nowhere.ckpt", "run"])
def test_a_missing_file_is_named(missing: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / missing
    wanted = path / "checkpoints" / "best.ckpt" if missing == "run" else path
    assert _refused(path) == f"there is no checkpoint {wanted}"


@pytest.mark.parametrize("write", ["pickle", "torch", "inside a checkpoint"])
def test_code_in_a_file_is_not_run(write: str, tmp_path: Path) -> None:
    path, made = tmp_path / "model.ckpt", tmp_path / "made"
    if write == "pickle":
        path.write_bytes(pickle.dumps(_Malicious(made)))
    elif write == "torch":
        torch.save({CHECKPOINT_KEY: {}, "state_dict": _Malicious(made)}, path)
    else:
        checkpoint = torch.load(saved(feature_model(), path), weights_only=True)
        torch.save({**checkpoint, "callbacks": {"x": _Malicious(made)}}, path)
    assert "is not a checkpoint, or is damaged" in _refused(path)
    assert not made.exists()
    # The file is armed: whoever unpickles it without care does run it.
    if write == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert made.is_dir()


def _changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


def _other_encoder_version(checkpoint: dict[str, Any]) -> None:
    state = json.loads(bytes(checkpoint["state_dict"]["_extra_state"].numpy()))
    state["encoder"]["version"] = 99
    content = bytearray(json.dumps(state), "utf-8")
    checkpoint["state_dict"]["_extra_state"] = torch.frombuffer(content, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_encoder_version, "the model's text encoder has version 99, this rnn-lightning knows 1."),
        (lambda c: c["hyper_parameters"].update(cell="lstmm"), "there is no recurrent layer 'lstmm'"),
        (
            lambda c: c["hyper_parameters"].update(hidden_size=5),
            "its hyper-parameters ask for weights of 1,064 bytes, and it has ",
        ),
        (lambda c: c["hyper_parameters"].update(colour="red"), "unexpected keyword argument 'colour'"),
        (lambda c: c[CHECKPOINT_KEY].update(task="Tagger"), "there is no task 'Tagger'"),
        (lambda c: c["state_dict"].pop("head.0.bias"), "its hyper-parameters ask for weights of "),
    ],
    ids=["text encoder", "cell", "sizes", "option", "task", "weights"],
)
def test_a_checkpoint_of_another_version_says_which(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    path = _changed(saved(text_model(), tmp_path / "model.ckpt"), change)
    with pytest.raises(ValueError, match="cannot be loaded") as error:
        load(path)
    text = str(error.value)
    assert text.startswith("the checkpoint was written by rnn-lightning 0.")
    assert message in text
    assert "\n" not in text
