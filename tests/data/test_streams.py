"""A text as streams side by side: no token lost or counted twice, and each batch goes on where the one before ended."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rnn_lightning import NextWord
from rnn_lightning.batch import PAD, Batch
from rnn_lightning.data import text_file
from rnn_lightning.data.sampler import LengthBucketSampler
from rnn_lightning.data.windows import Windows

PARTS = ("train", "val", "test")


def _batches(
    data: NextWord, ids: np.ndarray, part: tuple[int, int], processes: int, in_training: bool = True
) -> list[list[Batch]]:
    """What each process is given of a part, as the data's own loaders give it."""
    windows = Windows(ids, part, np.arange(len(ids) + 2), data.num_steps)
    given = []
    for rank in range(processes):
        sampler = LengthBucketSampler(windows.lengths, data.batch_size, in_training)
        sampler.num_replicas, sampler.rank = processes, rank
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.distributed.is_initialized", lambda: True)
            patch.setattr("torch.distributed.get_world_size", lambda: processes)
            patch.setattr("torch.distributed.get_rank", lambda rank=rank: rank)
            loader = data._loader(windows, sampler)
        given.append(list(loader))
        assert len(given[-1]) == len(loader)
    return given


def _streams(batches: list[Batch]) -> list[tuple[list[int], list[int]]]:
    """Inputs and targets of each row, from the first batch to the last."""
    rows = []
    for row in range(len(batches[0].inputs)):
        parts = [(batch.inputs[row], _targets(batch)[row], int(batch.lengths[row])) for batch in batches]
        inputs = [token for one, _, length in parts for token in one[:length].tolist()]
        rows.append((inputs, [token for _, one, length in parts for token in one[:length].tolist()]))
        assert all((one[length:] == PAD).all() and (two[length:] == PAD).all() for one, two, length in parts)
    return rows


def _targets(batch: Batch) -> Tensor:
    assert batch.targets is not None
    return batch.targets


@given(st.integers(2, 300), st.integers(0, 9), st.integers(1, 12), st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_each_token_but_the_first_is_a_target_once_and_follows_the_one_before(
    count: int, before: int, num_steps: int, batch_size: int, processes: int, in_training: bool
) -> None:
    """In training each process has as many streams; else there are as many streams as one process would have."""
    ids = np.arange(2, before + count + 5)
    data = NextWord(streams=True, num_steps=num_steps, batch_size=batch_size)
    wanted = max(min((count - 1) // num_steps, batch_size * processes), 1)
    if wanted < processes and not in_training:
        with pytest.raises(ValueError, match=f"too few for {processes} processes: give fewer --trainer.devices"):
            _batches(data, ids, (before, before + count), processes, in_training)
        return
    given_batches = _batches(data, ids, (before, before + count), processes, in_training)
    assert len({len(batches) for batches in given_batches}) == 1
    rows = []
    for batches in given_batches:
        assert len({len(batch.inputs) for batch in batches}) == 1
        assert len(batches[0].inputs) <= batch_size
        assert all((batch.lengths == num_steps).all() for batch in batches[:-1])
        rows += _streams(batches)
    assert len(rows) == (max(wanted // processes, 1) * processes if in_training else wanted)
    sizes = [len(inputs) for inputs, _ in rows]
    assert max(sizes) - min(sizes) <= 1
    # In the order of the processes and their rows, the streams are the text.
    assert [token for inputs, _ in rows for token in inputs] == ids[before : before + count - 1].tolist()
    assert [token for _, targets in rows for token in targets] == ids[before + 1 : before + count].tolist()


@pytest.mark.parametrize(("count", "rows"), [(1000, 4), (41, 4), (40, 3), (21, 2), (11, 1), (10, 1), (2, 1)], ids=str)
def test_a_stream_has_a_window_at_least_so_that_short_texts_have_fewer(count: int, rows: int) -> None:
    data = NextWord(streams=True, num_steps=10, batch_size=4)
    ((first, *_),) = _batches(data, np.arange(2, count + 2), (0, count), 1)
    assert len(first.inputs) == rows


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A file of 20,000 words."""
    (tmp_path / "text").write_text(" ".join(f"w{i * i % 97}" for i in range(20_000)))
    return str(tmp_path / "text")


def _ready(path: str, streams: bool, workers: int = 0) -> NextWord:
    data = NextWord(path, num_steps=90, batch_size=8, streams=streams, num_workers=workers)
    data.prepare_data()
    data.setup("fit")
    return data


@pytest.mark.parametrize("part", PARTS)
def test_processes_beside_the_training_one_give_the_same_batches(text: str, part: str) -> None:
    alone, helped = (list(getattr(_ready(text, True, n), f"{part}_dataloader")()) for n in (0, 2))
    assert len(alone) == len(helped) > 2
    for one, other in zip(alone, helped, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_epoch_has_the_same_batches_in_the_same_order(text: str) -> None:
    loader = _ready(text, True).train_dataloader()
    first, second = list(loader), list(loader)
    assert all(torch.equal(one.inputs, two.inputs) for one, two in zip(first, second, strict=True))


def test_the_facts_say_which_it_is(text: str) -> None:
    assert [_ready(text, streams).facts.streams for streams in (False, True)] == [False, True]
    assert not NextWord().streams


def test_what_needs_no_streams_is_as_without_them(text: str) -> None:
    one, other = _ready(text, False), _ready(text, True)
    assert one.summary() == other.summary()
    for part in PARTS:
        for a, b in zip(getattr(one, part).whole(), getattr(other, part).whole(), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(one.predict_dataloader(), other.predict_dataloader(), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_text_on_disk_stays_there(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "_SHORT", 9)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = _ready(text, True)
    for part in PARTS:
        windows = getattr(data, f"{part}_dataloader")().dataset.sequences
        assert windows.tokens is getattr(data, part).tokens
        assert len(pickle.dumps(windows)) < 3_000  # the place of the tokens
