"""What the cache keeps: arrays written part by part, one folder for a key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning.data.cache import open_kept, save_parts


def _saved(folder: Path) -> list[str]:
    np.save(folder / "numbers.npy", np.arange(5))
    return ["a", "学习"]


def _refuse(folder: Path) -> list[str]:
    raise AssertionError("made again")


@given(st.lists(st.lists(st.integers(0, 200), max_size=20), max_size=9), st.sampled_from(["u1", "u2", "u4", "i4"]))
def test_an_array_in_parts_is_written_as_the_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]], dtype: str
) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    save_parts(folder / "parts.npy", (np.array(part, np.int64) for part in parts), np.dtype(dtype))
    np.save(folder / "whole.npy", np.array([number for part in parts for number in part], dtype))
    assert (folder / "parts.npy").read_bytes() == (folder / "whole.npy").read_bytes()


def test_the_number_of_values_may_have_many_digits(tmp_path: Path) -> None:
    save_parts(tmp_path / "parts.npy", (np.ones(1 << 20) for _ in range(100)), np.dtype(np.uint8))
    array = np.load(tmp_path / "parts.npy")
    assert array.shape == (100 << 20,)
    assert array.all()


def test_each_key_has_a_folder_and_is_made_once(cache: Path) -> None:
    for key in ("one", "two"):
        open_kept("kind", key, ["numbers"], _saved)
    for key in ("one", "two"):
        words, arrays = open_kept("kind", key, ["numbers"], _refuse)
        assert words == ["a", "学习"]
        assert arrays["numbers"].tolist() == [0, 1, 2, 3, 4]
    assert {entry.name for entry in cache.iterdir() if entry.is_dir()} == {"kind-one", "kind-two"}


def test_other_arrays_are_wanted_now(cache: Path) -> None:
    open_kept("kind", "key", ["numbers"], _saved)

    def more(folder: Path) -> list[str]:
        np.save(folder / "more.npy", np.ones(2))
        return _saved(folder)

    assert set(open_kept("kind", "key", ["numbers", "more"], more).arrays) == {"numbers", "more"}


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, ValueError("no such text"), AssertionError, OSError(28, "No space")]
)
def test_whatever_stops_the_making_leaves_nothing(cache: Path, error: BaseException) -> None:
    def stop(folder: Path) -> list[str]:
        _saved(folder)
        raise error

    with pytest.raises((KeyboardInterrupt, ValueError, AssertionError)):
        open_kept("kind", "key", ["numbers"], stop)
    assert [entry.name for entry in cache.iterdir() if entry.is_dir()] == []
    open_kept("kind", "key", ["numbers"], _saved)


def test_what_killed_processes_left_of_a_kind_is_removed(cache: Path) -> None:
    for name in ("kind-key.partial", "kind-other.partial", "another-key.partial"):
        (cache / name).mkdir(parents=True)
    open_kept("kind", "key", ["numbers"], _saved)
    assert {entry.name for entry in cache.iterdir() if entry.is_dir()} == {"kind-key", "another-key.partial"}


def test_a_disk_that_keeps_nothing_is_told() -> None:
    def forgetful(folder: Path) -> list[str]:
        (folder / "numbers.npy").write_bytes(b"")
        return []

    with pytest.raises(ValueError, match=r"just written to the cache folder .*kind-key cannot be read back"):
        open_kept("kind", "key", ["numbers"], forgetful)
