"""A sequence's result and gradient depend neither on its padding nor on its neighbours."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnn_lightning.layers import LSTM, RNN
from rnn_lightning.layers.padding import last_valid, reverse, zero_padding
from tests.layers.cases import CASES, Case, assert_rows_equal_rows_alone
from tests.layers.helpers import CELLS, assert_close, flat, random, randomised, with_nan_padding


@given(CASES)
@settings(deadline=None, max_examples=200)
def test_row_of_a_padded_batch_equals_the_row_alone(case: Case) -> None:
    stack = case.stack()

    def call(x: Tensor, lengths: Tensor | None, state: tuple | None) -> list[Tensor]:
        output, final = stack(x, lengths, state)
        return [output, *flat(final)]

    assert_rows_equal_rows_alone(case, stack, call)


@pytest.mark.parametrize("num_steps", [0, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_length_zero_gives_zeros_and_leaves_the_state_as_it_was(cell: str, num_steps: int) -> None:
    layer = randomised(CELLS[cell](3, 4))
    x, lengths = torch.full((2, num_steps, 3), torch.nan, dtype=torch.float64), torch.tensor([0, 0])
    state = tuple(random(2, 4, seed=k) for k in range(layer.num_states))
    output, final = layer(x, lengths, state)
    assert torch.equal(output, x.new_zeros(2, num_steps, 4))
    assert all(torch.equal(after, before) for after, before in zip(final, state, strict=True))


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "mingru"])
def test_gradient_of_the_final_state_is_finite_and_right_through_heavy_padding(cell: str) -> None:
    layer = randomised(CELLS[cell](3, 4), dtype=torch.float32)
    # A recurrence that grows: relu without a hold on padding would reach infinity there, and its gradient NaN.
    layer.weight_hidden.data = 2.0 * torch.eye(4).repeat(len(layer.weight_hidden) // 4, 1)
    x, lengths = random(2, 1005, 3, seed=1, dtype=torch.float32), torch.tensor([5, 3])

    def final_state_and_gradients(x: Tensor, lengths: Tensor | None) -> list[Tensor]:
        _, final = layer(x, lengths)
        return [*final, *torch.autograd.grad(sum(tensor.sum() for tensor in final), list(layer.parameters()))]

    padded = final_state_and_gradients(with_nan_padding(x, lengths), lengths)
    assert all(tensor.isfinite().all() for tensor in padded)
    rows = [final_state_and_gradients(x[[row], :length], None) for row, length in enumerate(lengths.tolist())]
    states = [torch.cat(tensors) for tensors in zip(*(row[: layer.num_states] for row in rows), strict=True)]
    weights = [torch.stack(tensors).sum(0) for tensors in zip(*(row[layer.num_states :] for row in rows), strict=True)]
    assert_close(padded, [*states, *weights], 1e-5)


def test_lstm_memory_is_held_through_a_thousand_padded_steps() -> None:
    layer = randomised(LSTM(3, 4))
    x = random(2, 1005, 3, seed=1)
    _, (_, c) = layer(x, torch.tensor([5, 5]))
    _, (_, wanted) = layer(x[:, :5])
    assert_close([c], [wanted], 1e-15)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 2))
@settings(deadline=None, max_examples=50)
def test_reversing_turns_each_sequence_around_within_its_own_length(lengths: list[int], more_padding: int) -> None:
    x = random(len(lengths), max(lengths) + more_padding, 2)
    found = reverse(x, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert torch.equal(found[row, :length], x[row, :length].flip(0))
        assert torch.equal(found[row, length:], x[row, length:])
    assert torch.equal(reverse(found, torch.tensor(lengths)), x)


def test_without_lengths_every_step_is_valid() -> None:
    x, initial = random(2, 3, 4), torch.zeros(2, 4)
    assert torch.equal(zero_padding(x, None), x)
    assert torch.equal(reverse(x, None), x.flip(1))
    assert torch.equal(last_valid(x, None, initial), x[:, 2])


def test_no_gradient_comes_back_from_padding() -> None:
    layer = RNN(3, 4)
    x = torch.full((1, 5, 3), torch.inf)
    x[:, :2] = 1.0
    output, (h,) = layer(x.requires_grad_(), torch.tensor([2]))
    (output.sum() + h.sum()).backward()
    assert x.grad is not None
    assert x.grad[:, :2].all()
    assert not x.grad[:, 2:].any()
