"""Stacks: carried state, single steps, dropout, residual paths, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_lightning.layers import GRU, LSTM, RNN, Bidirectional, MinGRU, RecurrentStack, Transformer
from tests.layers.cases import ONE_DIRECTION, Case, leaves
from tests.layers.helpers import (
    CELLS,
    RECURRENT,
    assert_close,
    flat,
    gradients,
    mapped,
    projection,
    random,
    randomised,
    with_nan_padding,
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
        ({"input_size": -3}, "input_size is -3; it must be at least 1"),
        ({"hidden_size": -4}, "hidden_size is -4; it must be at least 1"),
        ({"num_layers": -1}, "num_layers is -1; it must be at least 1"),
        ({"hidden_size": 0}, "hidden_size is 0; it must be at least 1"),
        ({"projection_size": 0}, "projection_size is 0; it must be at least 1"),
        ({"num_layers": 0}, "num_layers is 0; it must be at least 1"),
        ({"num_layers": 2, "dropout": 1.0}, "dropout between layers is 1.0; it must be at least 0 and below 1"),
        ({"num_layers": 2, "dropout": -0.5}, "dropout between layers is -0.5"),
        ({"num_layers": 1, "dropout": 0.5}, "there is dropout between layers, but only one layer"),
        ({"num_layers": 2, "locked_dropout": True}, "locked_dropout is true, but there is no dropout between layers"),
        ({"weight_dropout": 1.0}, "weight_dropout is 1.0; it must be at least 0 and below 1"),
        ({"make_layer": MinGRU, "weight_dropout": 0.5}, "weight_dropout is 0.5, but MinGRU has no recurrent matrix"),
    ],
)
def test_stack_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentStack(**{"make_layer": LSTM, "input_size": 3, "hidden_size": 4, **options})


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


def test_a_state_that_is_no_tuple_is_refused() -> None:
    stack, x = RecurrentStack(LSTM, 3, 4, num_layers=2), torch.zeros(2, 5, 3)
    for call in (lambda state: stack(x, None, state), lambda state: stack.step(x[:, 0], state)):
        with pytest.raises(ValueError, match="the state of a stack is a tuple with the state of each layer"):
            call(torch.zeros(2, 4))
        with pytest.raises(ValueError, match="the state of this LSTM is a tuple of tensors"):
            call((torch.zeros(2, 4), torch.zeros(2, 4)))


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
    plain = RecurrentStack(GRU, 3, 8, num_layers=2).double().eval()
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


@pytest.mark.parametrize("cell", [*CELLS.values(), partial(Transformer, num_heads=2)])
def test_a_projection_maps_each_layers_output(cell: Any) -> None:
    stack = randomised(RecurrentStack(cell, 3, 8, num_layers=2, projection_size=2))
    x, lengths = random(3, 5, 3), torch.tensor([5, 0, 2])
    middle = x
    for layer in stack.layers:
        middle = layer.layer(middle, lengths)[0] @ layer.projection.weight.T
    output, state = stack(x, lengths)
    assert output.shape == (3, 5, 2)
    assert_close([output], [middle], 1e-12)
    on, _ = stack(x[:, :1], None, state)
    one, _ = stack.step(x[:, 0], state)
    assert_close([on[:, 0]], [one], 1e-12)


@pytest.mark.parametrize("cell", [LSTM, partial(Transformer, num_heads=2)])
def test_a_projection_in_both_directions_is_twice_as_wide(cell: Any) -> None:
    stack = randomised(RecurrentStack(cell, 3, 8, 2, bidirectional=True, residual=True, projection_size=2))
    assert stack.output_size == 4
    assert stack(random(3, 5, 3))[0].shape == (3, 5, 4)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_prenorm_gives_each_layer_its_input_normalised_and_adds_it_as_it_was(cell: str, bidirectional: bool) -> None:
    size = 8 if bidirectional else 4
    stack = randomised(RecurrentStack(CELLS[cell], size, 4, num_layers=2, bidirectional=bidirectional, prenorm=True))
    x = random(3, 5, size)
    middle = x + stack.layers[0](stack.norms[0](x))[0]
    assert_close([stack(x)[0]], [middle + stack.layers[1](stack.norms[1](middle))[0]], 1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_locked_dropout_takes_the_same_features_at_all_steps_of_a_sequence(bidirectional: bool) -> None:
    options = {"num_layers": 3, "bidirectional": bidirectional, "dropout": 0.5, "locked_dropout": True}
    stack = randomised(RecurrentStack(GRU, 3, 32, **options)).train()
    seen = seen_by_layers(stack)
    stack(random(4, 10, 3))
    for x in seen[1:]:
        dropped = x == 0
        assert torch.equal(dropped.all(1), dropped.any(1))
        assert 0.3 < dropped.double().mean() < 0.7
        assert not torch.equal(dropped[0, 0], dropped[1, 0])
    assert not torch.equal(seen[1] == 0, seen[2] == 0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", [cell for cell in RECURRENT if not cell.startswith("zoneout")])
def test_weight_dropout_is_the_stack_with_those_weights_at_zero(cell: str, bidirectional: bool) -> None:
    shape = {"num_layers": 2, "bidirectional": bidirectional}
    stack = randomised(RecurrentStack(CELLS[cell], 3, 8, **shape, weight_dropout=0.5))
    saved, x = mapped(torch.clone, stack.state_dict().values()), random(4, 10, 3)
    used: list[Tensor] = []
    for layer in stack.modules():
        if hasattr(layer, "weight_hidden"):
            layer.register_forward_pre_hook(lambda module, _: used.append(module.weight_hidden))
    output, _ = stack.train()(x)
    assert all(torch.equal(now, before) for now, before in zip(stack.state_dict().values(), saved, strict=True))
    gradients_of_dropped = gradients(projection([output]), stack.parameters())

    plain = RecurrentStack(CELLS[cell], 3, 8, **shape).double()
    plain.load_state_dict(stack.state_dict())
    masks = []
    for layer in plain.modules():
        if hasattr(layer, "weight_hidden"):
            dropped = used.pop(0).detach()
            masks.append(dropped / layer.weight_hidden.detach())
            layer.weight_hidden.data = dropped
    assert_close([output], [plain(x)[0]], 1e-12)
    shares = torch.cat([mask.flatten() for mask in masks])
    assert set(shares.round(decimals=9).tolist()) == {0.0, 2.0}
    assert 0.4 < shares.eq(0.0).double().mean() < 0.6
    wanted = gradients(projection([plain(x)[0]]), plain.parameters())
    names = [name for name, _ in plain.named_parameters()]
    wanted = [g * masks.pop(0) if "weight_hidden" in name else g for name, g in zip(names, wanted, strict=True)]
    assert_close(gradients_of_dropped, wanted, 1e-9)


RANDOM = {
    "weight": {"weight_dropout": 0.5},
    "locked": {"dropout": 0.5, "locked_dropout": True},
    "all": {"weight_dropout": 0.3, "dropout": 0.3, "locked_dropout": True, "prenorm": True},
}


@pytest.mark.parametrize("way", ["whole", "step"])
@pytest.mark.parametrize("options", RANDOM.values(), ids=RANDOM)
@pytest.mark.parametrize("make", [LSTM, GRU])
def test_what_is_dropped_is_dropped_in_training_only(make: type, options: dict, way: str) -> None:
    stack = randomised(RecurrentStack(make, 3, 8, num_layers=2, **options))
    plain = RecurrentStack(make, 3, 8, num_layers=2, prenorm="prenorm" in options).double()
    plain.load_state_dict(stack.state_dict())
    x, state = random(4, 10, 3), stack(random(4, 2, 3, seed=1))[1]

    def run(stack: RecurrentStack) -> Tensor:
        return stack(x, None, state)[0] if way == "whole" else stack.step(x[:, 0], state)[0]

    assert torch.equal(run(stack), run(stack))
    assert torch.equal(run(stack), run(plain.eval()))
    stack.train()
    assert not torch.equal(run(stack), run(stack))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("options", RANDOM.values(), ids=RANDOM)
def test_padding_changes_nothing_in_training(options: dict, bidirectional: bool) -> None:
    stack = randomised(RecurrentStack(LSTM, 3, 8, num_layers=2, bidirectional=bidirectional, **options)).train()
    x, lengths = random(3, 5, 3), torch.tensor([5, 0, 2])

    def run(x: Tensor) -> list[Tensor]:
        torch.manual_seed(0)
        output, final = stack(x, lengths)
        return [output, *flat(final), *gradients(projection([output]), stack.parameters())]

    found = run(with_nan_padding(x, lengths))
    assert not found[0][1].any()
    assert not found[0][2, 2:].any()
    assert_close(found, run(x), 1e-12)
