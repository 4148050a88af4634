"""A checkpoint that was made to do damage is refused in a line: nothing is run, and no memory is taken for it."""

from __future__ import annotations

import io
import json
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning import load
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.tasks.helpers import feature_model, saved, text_model

Content = dict[str, Any]
GIGABYTES = 10**12


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(feature_model(), tmp_path_factory.mktemp("whole") / "model.ckpt")


@pytest.fixture(autouse=True)
def _little_memory() -> Any:
    """What takes more than a gigabyte beyond what is there ends in a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def _refused(path: Path) -> str:
    with pytest.raises(ValueError, match="checkpoint") as error:
        load(path)
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    return str(error.value)


def _changed(whole: Path, path: Path, change: Callable[[Content], Any]) -> Path:
    checkpoint = torch.load(whole, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize(
    "address", ["http://host/a.ckpt", "https://host/a.ckpt", "s3://bucket/a.ckpt", "file:///a.ckpt", "FTP://host/a"]
)
def test_an_address_is_not_fetched(address: str) -> None:
    assert _refused(Path(address)).endswith("is an address: a checkpoint is a file on this machine, fetched by you")


ASKS: dict[str, Content] = {
    "far too large": {"hidden_size": 10**12},
    "too large for this machine": {"hidden_size": 10**6},
    "somewhat too large": {"hidden_size": 5},
    "below zero": {"hidden_size": -3},
    "a word": {"hidden_size": "many"},
    "no whole number": {"hidden_size": 4.5},
    "too long a number": {"hidden_size": 2**70},
    "layers without end": {"num_layers": 10**12},
    "too large an input": {"input_size": 10**12},
    "too many classes": {"num_classes": 10**11},
    "a nested bomb": {"cell": "doubled"},
    "a circle": {"cell": "circle"},
    "a table for a number": {"dropout": {"class_path": "os.system", "init_args": {"command": "true"}}},
    "an instantiator": {"_instantiator": "os.system"},
    "a class path": {"_class_path": "os.system"},
    "a class path as Lightning writes it": {"class_path": "os.system", "init_args": {}},
    "a number for the name of a layer": {"cell": 3},
    "a path for the name of a layer": {"cell": "os:system"},
    "options of a layer that are none": {"cell_options": [1]},
    "names that are none": {3: 4},  # type: ignore[dict-item]  # that is the point
}


@pytest.mark.parametrize("name", ASKS)
def test_hyper_parameters_ask_for_nothing_that_is_not_there(name: str, whole: Path, tmp_path: Path) -> None:
    doubled: list[Any] = ["x"]
    for _ in range(60):
        doubled = [doubled, doubled]
    circle: list[Any] = []
    circle.append(circle)
    values = {key: {"doubled": doubled, "circle": circle}.get(str(value), value) for key, value in ASKS[name].items()}
    _refused(_changed(whole, tmp_path / "model.ckpt", lambda checkpoint: checkpoint["hyper_parameters"].update(values)))


def test_the_refusal_says_what_is_asked_for(whole: Path, tmp_path: Path) -> None:
    path = _changed(whole, tmp_path / "model.ckpt", lambda c: c["hyper_parameters"].update(hidden_size=10**5))
    assert "its hyper-parameters ask for weights of 160,006,800,004 bytes, and it has 532 of" in _refused(path)


def test_weights_that_repeat_one_number_are_not_taken_for_many(whole: Path, tmp_path: Path) -> None:
    def change(checkpoint: Content) -> None:
        checkpoint["hyper_parameters"]["hidden_size"] = size = 10**6
        for name, shape in (("input", (4 * size, 3)), ("hidden", (4 * size, size))):
            checkpoint["state_dict"][f"recurrent.layers.0.weight_{name}"] = torch.ones(1).expand(shape)

    assert "ask for weights of" in _refused(_changed(whole, tmp_path / "model.ckpt", change))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("task", ["SequenceClassifier"]),
        ("task", "os.system"),
        ("version", 3),
        ("plugins", "json.py"),
        ("plugins", [None]),
        ("plugins", {"a": 1}),
    ],
)
def test_what_a_checkpoint_says_of_itself_is_words(part: str, value: Any, whole: Path, tmp_path: Path) -> None:
    _refused(
        _changed(whole, tmp_path / "model.ckpt", lambda checkpoint: checkpoint[CHECKPOINT_KEY].update({part: value}))
    )


@pytest.mark.parametrize(
    "state",
    [
        *(b"", b"{", b"[1]", b"{}", b"[" * 100_000, b'{"labels": 3}', b"\xff", b'{"labels": [], "encoder": {}}'),
        b'{"labels": [], "encoder": {"version": 1, "words": [3], "max_length": 2, "truncate": "head", "unit": "word"}}',
        b'{"labels": [], "encoder": {"version": 1, "words": 3, "max_length": 2, "truncate": "head", "unit": "word"}}',
        b'{"labels": [], "encoder": {"version": 1, "words": ["a"], "max_length": 2, "truncate": "head", "unit": "x"}}',
        b'{"labels": [], "encoder": {"version": 1, "words": ["a"], "max_length": 9e99, "truncate": "head"}}',
        b'{"labels": [], "encoder": {"version": 1, "words": ["a"], "max_length": %d, "truncate": "head"}}' % 10**30,
        b'{"labels": [], "encoder": {"version": 1, "words": ["a"], "max_length": 2, "truncate": "haad_tail"}}',
        b'{"labels": ["a", "b"], "encoder": {"version": 1, "words": %s, "max_length": 2, "truncate": "head"}}'
        % json.dumps([f"word {number}" for number in range(50)]).encode(),
        b'{"labels": ["a"], "encoder": {"version": 1, "words": ["a"], "max_length": 2, "truncate": "head"}}',
        b'{"labels": [], "scaling": {"names": 3, "mean": [], "deviation": []}}',
    ],
    ids=lambda state: state[:60].decode("latin-1"),
)
def test_what_was_learnt_from_the_data_may_be_anything(state: bytes, tmp_path: Path) -> None:
    whole = saved(text_model(), tmp_path / "whole.ckpt")
    value = torch.frombuffer(bytearray(state), dtype=torch.uint8) if state else torch.zeros(0, dtype=torch.uint8)
    _refused(_changed(whole, tmp_path / "model.ckpt", lambda c: c["state_dict"].update(_extra_state=value)))


class _Calls:
    """Unpickled, it calls something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "harm",
    [
        _Calls(exec, "raise SystemExit"),
        _Calls(bytearray, GIGABYTES),
        _Calls(torch.FloatTensor, 10**11),
        _Calls(torch.UntypedStorage, GIGABYTES),
        _Calls(torch.Tensor, 10**6, 10**6),
        _Calls(torch._utils._rebuild_device_tensor_from_numpy, 3, torch.float32, "cpu", False),
    ],
    ids=["code", "bytearray", "tensor", "storage", "tensor by its size", "another way to make a tensor"],
)
def test_nothing_is_called_that_a_checkpoint_does_not_need(harm: _Calls, whole: Path, tmp_path: Path) -> None:
    path = _changed(whole, tmp_path / "model.ckpt", lambda checkpoint: checkpoint.update(callbacks={"x": harm}))
    assert _refused(path) == f"{path} is not a checkpoint, or is damaged"


def _rewritten(whole: Path, path: Path, compression: int = zipfile.ZIP_STORED, **more: bytes) -> Path:
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", compression) as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("data.pkl"):
                content = more.pop("pickle", content)
            target.writestr(info.filename, content)
        for name, content in more.items():
            target.writestr(name, content)
    return path


def test_parts_that_grow_when_they_are_unpacked_are_refused(whole: Path, tmp_path: Path) -> None:
    path = _rewritten(whole, tmp_path / "model.ckpt", zipfile.ZIP_DEFLATED, large=bytes(1 << 26))
    assert path.stat().st_size < 1 << 20
    assert _refused(path) == f"{path} is not a checkpoint, or is damaged"


def test_parts_that_lie_over_each_other_are_refused(whole: Path, tmp_path: Path) -> None:
    """A few kilobytes of a zip file can hold one large part under thousands of names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(bytes(100_000)))
        (first,) = file.filelist
        for number in range(1000):
            again = zipfile.ZipInfo(f"archive/data/{number}")
            again.header_offset, again.CRC = first.header_offset, first.CRC
            again.file_size, again.compress_size = first.file_size, first.compress_size
            file.filelist.append(again)
    path = tmp_path / "model.ckpt"
    path.write_bytes(content.getvalue())
    _refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_stands_for_one_part(whole: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(whole) as source:
        name = source.namelist()[0]
    path = _rewritten(whole, tmp_path / "model.ckpt")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(name, b"another")
    _refused(path)


def test_names_that_lead_elsewhere_write_nothing(whole: Path, tmp_path: Path) -> None:
    path = _rewritten(whole, tmp_path / "inner.ckpt", **{"../../escaped": b"x", "/escaped": b"x"})
    _refused(path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"inner.ckpt"}
    assert not (tmp_path.parent / "escaped").exists()


def test_a_table_of_contents_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    end = b"PK\5\6" + bytes(8) + (1 << 30).to_bytes(4, "little") + bytes(4) + bytes(2)
    path = tmp_path / "model.ckpt"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, 2)
        file.write(end)
    _refused(path)
