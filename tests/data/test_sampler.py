from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import torch.distributed
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning.data import sampler as sampler_module
from rnn_lightning.data.sampler import LengthBucketSampler, ManySampler

_SIZES = st.integers(1, 60)
_WORLDS = st.integers(1, 4)
_KINDS = st.sampled_from([LengthBucketSampler, ManySampler])


def _samplers(
    lengths: np.ndarray,
    batch_size: int,
    shuffle: bool,
    world: int,
    seed: int = 0,
    epoch: int = 0,
    kind: type[LengthBucketSampler] = LengthBucketSampler,
) -> list[LengthBucketSampler]:
    """The sampler of each process."""
    samplers = []
    for rank in range(world):
        with mock.patch.multiple(
            torch.distributed,
            is_initialized=lambda: True,
            get_world_size=lambda: world,
            get_rank=lambda rank=rank: rank,
        ):
            sampler = kind(lengths, batch_size, shuffle, seed)
        sampler.set_epoch(epoch)
        samplers.append(sampler)
    return samplers


def _orders(samplers: list[LengthBucketSampler], many: int) -> list[list[int]]:
    """What each sampler gives, where so many sequences are put in order together."""
    with mock.patch.object(sampler_module, "MANY", many):
        return [list(sampler) for sampler in samplers]


def _lengths(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 400, size)


@given(_SIZES, st.integers(1, 9), _WORLDS, _KINDS, _SIZES)
def test_evaluation_sees_each_index_exactly_once(
    size: int, batch_size: int, world: int, kind: type[LengthBucketSampler], many: int
) -> None:
    samplers = _samplers(_lengths(size), batch_size, False, world, kind=kind)
    parts = _orders(samplers, many)
    assert sorted(index for part in parts for index in part) == list(range(size))
    assert [len(part) for part in parts] == [len(sampler) for sampler in samplers]


@given(_SIZES, st.integers(1, 9), _WORLDS, st.integers(0, 5), _KINDS, _SIZES)
def test_training_gives_every_process_as_many_batches_and_each_index_once(
    size: int, batch_size: int, world: int, epoch: int, kind: type[LengthBucketSampler], many: int
) -> None:
    samplers = _samplers(_lengths(size), batch_size, True, world, epoch=epoch, kind=kind)
    parts = _orders(samplers, many)
    assert [len(part) for part in parts] == [len(sampler) for sampler in samplers]
    assert len({-(-len(part) // batch_size) for part in parts}) == 1
    counted = [part[:-1] if sampler.fills_up else part for part, sampler in zip(parts, samplers, strict=True)]
    assert sorted(index for part in counted for index in part) == list(range(size))
    for part, sampler in zip(parts, samplers, strict=True):
        assert not sampler.fills_up or batch_size == 1 or len(part) % batch_size == 1  # in a batch of its own


@given(_SIZES, st.integers(1, 5), _WORLDS, st.integers(0, 5), _KINDS, _SIZES)
def test_the_batches_of_all_processes_together_are_those_of_one(
    size: int, batch_size: int, world: int, epoch: int, kind: type[LengthBucketSampler], many: int
) -> None:
    samplers = _samplers(_lengths(size), batch_size, True, world, epoch=epoch, kind=kind)
    parts = [part[: len(part) - s.fills_up] for part, s in zip(_orders(samplers, many), samplers, strict=True)]
    (alone,) = _orders(_samplers(_lengths(size), batch_size * world, True, 1, epoch=epoch, kind=kind), many)
    for number, start in enumerate(range(0, size, batch_size * world)):
        together = [index for part in parts for index in part[number * batch_size : (number + 1) * batch_size]]
        assert sorted(together) == sorted(alone[start : start + batch_size * world])


@given(_SIZES, _WORLDS, st.integers(0, 3), st.integers(0, 3))
def test_order_is_decided_by_seed_and_epoch(size: int, world: int, seed: int, epoch: int) -> None:
    first, again = ([list(s) for s in _samplers(_lengths(size), 4, True, world, seed, epoch)] for _ in range(2))
    assert first == again


def test_order_changes_with_epoch_and_seed() -> None:
    lengths = _lengths(200)
    orders = {tuple(_samplers(lengths, 8, True, 1, seed, epoch)[0]) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize("length", [0, 7])
def test_equal_lengths_meet_others_each_epoch(length: int) -> None:
    lengths = np.full(64, length)
    batches = {frozenset(list(_samplers(lengths, 8, True, 1, epoch=epoch)[0])[:8]) for epoch in range(10)}
    assert len(batches) == 10


@pytest.mark.parametrize("world", [1, 3])
def test_batches_have_similar_lengths(world: int) -> None:
    lengths = _lengths(3000)
    spreads = []
    for sampler in _samplers(lengths, 16, True, world):
        own = lengths[list(sampler)]
        blocks = own[: len(own) // 16 * 16].reshape(-1, 16)
        spreads.append(np.ptp(blocks, axis=1).mean())
    by_chance = np.ptp(lengths[:2992].reshape(-1, 16), axis=1).mean()
    assert max(spreads) < by_chance / 8


def test_processes_work_on_similar_lengths_at_the_same_time() -> None:
    lengths = _lengths(3000)
    longest = [lengths[list(sampler)][:992].reshape(-1, 16).max(1) for sampler in _samplers(lengths, 16, True, 3)]
    assert np.ptp(longest, axis=0).mean() < 20


def test_batches_come_in_no_order_of_length() -> None:
    lengths = _lengths(3200)
    longest = lengths[list(_samplers(lengths, 16, True, 1)[0])].reshape(-1, 16).max(1)
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


def test_evaluation_is_sorted() -> None:
    lengths = _lengths(100)
    assert (np.diff(lengths[list(_samplers(lengths, 8, False, 1)[0])]) >= 0).all()


def test_without_processes_it_is_alone() -> None:
    sampler = LengthBucketSampler(_lengths(10), 4, True)
    assert (sampler.num_replicas, sampler.rank) == (1, 0)
    assert sorted(sampler) == list(range(10))


@pytest.mark.parametrize("world", [1, 3])
def test_very_many_sequences_come_from_all_over_the_data_in_another_order_each_epoch(world: int) -> None:
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        parts = _orders(_samplers(np.full(3000, 9), 10, True, world, seed, epoch, ManySampler), 300)
        orders.append(np.stack(parts, 1).ravel().tolist())
    assert orders[0] == orders[3]
    assert len({tuple(order) for order in orders}) == 3
    for order in orders:
        for start in range(0, 3000, 300):
            assert np.diff(sorted(order[start : start + 300])).max() < 30
        assert order[:300] != sorted(order[:300])
