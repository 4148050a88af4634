"""Stacks: carried state, single steps, dropout, residual paths, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_lightning.layers import GRU, LSTM, RNN, Bidirectional, RecurrentStack
from tests.layers.cases import ONE_DIRECTION, Case, leaves
from tests.layers.helpers import (
    CELLS,
    assert_close,
    flat,
    gradients,
    mapped,
    projection,
    random,
    randomised,
)

Way = Callable[[Tensor, tuple | None], tuple[Tensor, tuple]]
"""A way to go through inputs from a state, to outputs and a state."""


def assert_same(case: Case, stack: RecurrentStack, x: Tensor, way: Way, reference: Way) -> None:
    """Holds output, final state and gradients of one way to those of another."""

    def run(way: Way) -> tuple[list[Tensor], ...]:
        begin, state = x.clone().requires_grad_(), leaves(case.state())
        output, final = way(begin, state)
        sources = [begin, *flat(state or ()), *stack.parameters()]
        return [output], flat(final), gradients(projection([output, *flat(final)]), sources)

    for found, wanted in zip(run(way), run(reference), strict=True):
        assert_close(found, wanted, case.tolerance)


@given(ONE_DIRECTION, st.integers(0, 9))
@settings(deadline=None, max_examples=100)
def test_two_parts_with_carried_state_equal_the_whole(case: Case, cut: int) -> None:
    stack = case.stack()
    x, lengths = case.batch()

    def two_parts(x: Tensor, state: tuple | None) -> tuple[Tensor, tuple]:
        first, middle = stack(x[:, :cut], lengths.clamp(max=cut), state)
        second, final = stack(x[:, cut:], (lengths - cut).clamp(min=0), middle)
        return torch.cat((first, second), 1), final

    assert_same(case, stack, x, two_parts, lambda x, state: stack(x, lengths, state))


@given(ONE_DIRECTION, st.integers(1, 6))
@settings(deadline=None, max_examples=100)
def test_step_by_step_equals_the_whole(case: Case, num_steps: int) -> None:
    stack = case.stack()
    x = random(len(case.lengths), num_steps, case.input_size, seed=case.seed, dtype=case.dtype)

    def steps(x: Tensor, state: tuple | None) -> tuple[Tensor, tuple]:
        outputs = []
        for x_t in x.unbind(1):
            output, state = stack.step(x_t, state)
            outputs.append(output)
        return torch.stack(outputs, 1), state

    assert_same(case, stack, x, steps, lambda x, state: stack(x, None, state))


@pytest.mark.parametrize("cell", CELLS)
def test_sequences_of_a_carried_state_are_chosen_by_its_first_dimension(cell: str) -> None:
    stack, rows = randomised(RecurrentStack(CELLS[cell], 3, 4, num_layers=2)), [2, 0, 2]
    _, state = stack(random(3, 5, 3, seed=1), torch.tensor([5, 2, 0]))
    x = random(3, 4, 3, seed=2)
    output, final = stack(x, None, state)
    chosen_output, chosen_final = stack(x[rows], None, mapped(lambda tensor: tensor[rows], state))
    assert_close([chosen_output, *flat(chosen_final)], [output[rows], *(tensor[rows] for tensor in flat(final))], 1e-12)


def test_both_directions_stand_side_by_side() -> None:
    both = randomised(Bidirectional(GRU(3, 4), LSTM(3, 5)))
    x, lengths = random(2, 6, 3), torch.tensor([6, 2])
    output, (forward_h, *backward_state) = both(x, lengths)
    assert both.hidden_size == output.size(2) == 9
    for row, length in enumerate(lengths.tolist()):
        forwards, (h,) = both.forward_layer(x[[row], :length])
        backwards, state = both.backward_layer(x[[row], :length].flip(1))
        assert_close([output[[row], :length]], [torch.cat((forwards, backwards.flip(1)), 2)], 1e-12)
        assert_close([forward_h[[row]], *(tensor[[row]] for tensor in backward_state)], [h, *state], 1e-12)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_both_directions_refuse_a_given_state_and_single_steps(num_layers: int) -> None:
    stack, x = RecurrentStack(LSTM, 3, 4, num_layers, bidirectional=True), torch.zeros(2, 5, 3)
    _, state = stack(x)
    with pytest.raises(ValueError, match="a bidirectional layer takes no state"):
        stack(x, None, state)
    with pytest.raises(ValueError, match="a bidirectional layer takes no state"):
        stack.layers[0](x, None, state[0])
    with pytest.raises(ValueError, match="a bidirectional stack cannot go step by step"):
        stack.step(x[:, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size is 0; it must be at least 1"),
        ({"hidden_size": 0}, "hidden_size is 0; it must be at least 1"),
        ({"num_layers": 0}, "num_layers is 0; it must be at least 1"),
        ({"num_layers": 2, "dropout": 1.0}, "dropout between layers is 1.0; it must be at least 0 and below 1"),
        ({"num_layers": 2, "dropout": -0.5}, "dropout between layers is -0.5"),
        ({"num_layers": 1, "dropout": 0.5}, "there is dropout between layers, but only one layer"),
    ],
)
def test_stack_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentStack(LSTM, **{"input_size": 3, "hidden_size": 4, **options})


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((2, 3), [5, 4], r"x must be \(B, T, 3\); it is \(2, 3\)"),
        ((2, 5, 4), [5, 4], r"x must be \(B, T, 3\); it is \(2, 5, 4\)"),
        ((2, 5, 3), [5, 4, 3], r"lengths must be \(2,\), one for each sequence; it is \(3,\)"),
        # One sequence would stretch to as many as there are lengths.
        ((1, 5, 3), [5, 4, 3], r"lengths must be \(1,\), one for each sequence; it is \(3,\)"),
    ],
)
def test_wrong_shape_of_x_or_lengths_is_refused(
    shape: tuple, lengths: list, message: str, residual: bool, bidirectional: bool
) -> None:
    stack = RecurrentStack(RNN, 3, 4, bidirectional=bidirectional, residual=residual)
    with pytest.raises(ValueError, match=message):
        stack(torch.zeros(shape), torch.tensor(lengths))


def test_state_of_another_stack_is_refused() -> None:
    stack, x = RecurrentStack(LSTM, 3, 4, num_layers=2), torch.zeros(2, 5, 3)
    _, (first, second) = stack(x)
    for call in (lambda state: stack(x, None, state), lambda state: stack.step(x[:, 0], state)):
        with pytest.raises(ValueError, match="the stack has 2 layers; it was given 1 states"):
            call((first,))
        with pytest.raises(ValueError, match="the state of this LSTM has shapes"):
            call((first, second[:1]))


def seen_by_layers(stack: RecurrentStack) -> list[Tensor]:
    """Filled, call by call, with what comes to each layer."""
    seen: list[Tensor] = []
    for layer in stack.layers:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return seen


@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_stands_between_layers_only(bidirectional: bool) -> None:
    stack = randomised(RecurrentStack(GRU, 3, 8, num_layers=3, bidirectional=bidirectional, dropout=0.9)).train()
    seen, x = seen_by_layers(stack), random(4, 10, 3)
    output, _ = stack(x)
    assert torch.equal(seen[0], x)
    assert 0.8 < (seen[1] == 0).double().mean() < 1.0
    assert 0.8 < (seen[2] == 0).double().mean() < 1.0
    assert output.all()


@pytest.mark.parametrize("way", ["whole", "step"])
def test_dropout_acts_in_training_and_not_in_evaluation(way: str) -> None:
    stack = randomised(RecurrentStack(GRU, 3, 8, num_layers=2, dropout=0.5))
    plain = RecurrentStack(GRU, 3, 8, num_layers=2).double()
    plain.load_state_dict(stack.state_dict())
    x = random(4, 10, 3)

    def run(stack: RecurrentStack) -> Tensor:
        return stack(x)[0] if way == "whole" else stack.step(x[:, 0])[0]

    assert torch.equal(run(stack.eval()), run(stack))
    assert torch.equal(run(stack), run(plain))
    assert not torch.equal(run(stack.train()), run(stack))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_residual_adds_the_input_to_the_output_of_each_layer(cell: str, bidirectional: bool) -> None:
    size = 8 if bidirectional else 4
    stack = randomised(RecurrentStack(CELLS[cell], size, 4, num_layers=2, bidirectional=bidirectional, residual=True))
    x = random(3, 5, size)
    middle = x + stack.layers[0](x)[0]
    assert_close([stack(x)[0]], [middle + stack.layers[1](middle)[0]], 1e-12)
    assert all(isinstance(skip, nn.Identity) for skip in stack.skips)


def test_residual_goes_through_a_linear_map_where_the_sizes_differ() -> None:
    stack = randomised(RecurrentStack(GRU, 3, 4, num_layers=2, residual=True))
    x = random(3, 5, 3)
    middle = x @ stack.skips[0].weight.T + stack.layers[0](x)[0]
    assert_close([stack(x)[0]], [middle + stack.layers[1](middle)[0]], 1e-12)
