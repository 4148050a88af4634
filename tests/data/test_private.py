"""What lies in the cache is believed: nobody else may have written it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from rnn_lightning.data import reviews
from rnn_lightning.data.cache import open_kept
from rnn_lightning.data.private import cache_folder


def _made(folder: Path) -> list[str]:
    np.save(folder / "numbers.npy", np.arange(5))
    return ["a"]


def _open() -> None:
    open_kept("kind", "key", ["numbers"], _made)


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o000])
def test_the_folder_is_made_for_its_owner_alone(cache: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        _open()
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert reviews.data_folder() == cache


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(cache: Path, mode: int) -> None:
    _open()
    cache.chmod(mode)
    for use in (_open, cache_folder, reviews.locate):
        with pytest.raises(ValueError, match=f"^others can write to the cache folder .*: chmod go-w {cache}$"):
            use()
    cache.chmod(0o755)
    _open()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_folder_or_a_link_of_somebody_else_is_refused(cache: Path, tmp_path: Path) -> None:
    _open()
    os.chown(cache, 12345, -1)
    with pytest.raises(ValueError, match=r"belongs to another user: .*XDG_CACHE_HOME"):
        _open()
    os.chown(cache, 0, -1)
    cache.rename(tmp_path / "elsewhere")
    cache.symlink_to(tmp_path / "elsewhere")
    _open()
    os.chown(cache, 12345, -1, follow_symlinks=False)
    with pytest.raises(ValueError, match=r"is a link that another user made: .*XDG_CACHE_HOME"):
        _open()


def test_a_link_that_leads_nowhere_is_told(cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="cannot write the cache folder"):
        _open()


def test_arrays_that_hold_objects_are_not_unpickled(cache: Path) -> None:
    _open()
    np.save(cache / "kind-key" / "numbers.npy", np.array([{}], object))
    made = []
    open_kept("kind", "key", ["numbers"], lambda folder: made.append(1) or _made(folder))
    assert made == [1]
