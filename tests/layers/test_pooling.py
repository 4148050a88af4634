"""Pooling: over each sequence's own steps, whatever the padding."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_lightning.layers import LSTM, Pooling, PoolingName, RecurrentStack
from tests.layers.cases import CASES, Case, assert_rows_equal_rows_alone
from tests.layers.helpers import assert_close, random, randomised

NAMES = get_args(PoolingName)


@given(CASES, st.sampled_from(NAMES))
@settings(deadline=None, max_examples=200)
def test_pooled_row_of_a_padded_batch_equals_the_row_alone(case: Case, name: PoolingName) -> None:
    stack = case.stack()
    pooling = randomised(Pooling(name, stack.output_size, case.bidirectional), case.seed + 3, case.dtype)

    def call(x: Tensor, lengths: Tensor | None, state: tuple | None) -> list[Tensor]:
        return [pooling(stack(x, lengths, state)[0], lengths)]

    assert_rows_equal_rows_alone(case, nn.ModuleList([stack, pooling]), call)


@pytest.mark.parametrize("num_steps", [0, 4])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_length_zero_pools_to_zero(name: PoolingName, bidirectional: bool, num_steps: int) -> None:
    pooling = randomised(Pooling(name, 6, bidirectional))
    pooled = pooling(torch.zeros(2, num_steps, 6, dtype=torch.float64), torch.tensor([0, 0]))
    assert torch.equal(pooled, torch.zeros(2, pooling.output_size, dtype=torch.float64))


def by_hand(name: str, steps: Tensor, bidirectional: bool, pooling: Pooling) -> Tensor:
    """One sequence's valid steps (T, F), pooled as the words say."""
    half = steps.size(1) // 2 if bidirectional else steps.size(1)
    if name == "attention":
        weights = pooling.score(steps).exp()
        return (weights / weights.sum() * steps).sum(0)
    parts = {
        "last": torch.cat((steps[-1, :half], steps[0, half:])),
        "mean": steps.mean(0),
        "max": torch.stack([max(column) for column in steps.T]),
    }
    return torch.cat([parts[part] for part in name.split("_")])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_pooling_does_what_its_name_says(name: PoolingName, bidirectional: bool) -> None:
    pooling = randomised(Pooling(name, 6, bidirectional))
    lengths = torch.tensor([4, 1, 2])
    # All below zero: a maximum over padding would be zero.
    output = -random(3, 5, 6).abs()
    output[torch.arange(5) >= lengths.unsqueeze(1)] = 0.0
    wanted = [
        by_hand(name, output[row, :length], bidirectional, pooling) for row, length in enumerate(lengths.tolist())
    ]
    assert_close([pooling(output, lengths)], [torch.stack(wanted)], 1e-12)
    assert pooling.output_size == len(wanted[0])


def test_last_is_the_final_output_and_the_final_state() -> None:
    stack = randomised(RecurrentStack(LSTM, 3, 4, num_layers=2))
    output, state = stack(random(2, 5, 3))
    pooled = Pooling("last", stack.output_size)(output)
    h, _ = state[-1]
    assert torch.equal(pooled, output[:, -1])
    assert torch.equal(pooled, h)


def test_last_of_both_directions_is_both_final_states() -> None:
    stack = randomised(RecurrentStack(LSTM, 3, 4, num_layers=2, bidirectional=True))
    x, lengths = random(2, 5, 3), torch.tensor([5, 3])
    for given_lengths in (None, lengths):
        output, state = stack(x, given_lengths)
        forward_h, _, backward_h, _ = state[-1]
        pooled = Pooling("last", stack.output_size, bidirectional=True)(output, given_lengths)
        assert torch.equal(pooled, torch.cat((forward_h, backward_h), 1))


def test_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no pooling 'sum'; there are last, mean, max, mean_max"):
        Pooling("sum", 4)
