"""The Transformer's layer: its equations, padding, its growing state, both directions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnn_lightning.layers import RecurrentStack, Transformer
from tests.layers import reference
from tests.layers.helpers import assert_close, flat, gradients, mapped, projection, random, randomised, with_nan_padding

LENGTHS = torch.tensor([6, 3, 0, 1])


def _stack(bidirectional: bool = False, num_layers: int = 2) -> RecurrentStack:
    return randomised(RecurrentStack(Transformer, 3, 8, num_layers, bidirectional))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("input_size", [3, 8])
def test_layer_agrees_with_its_equations_in_numpy(input_size: int, bidirectional: bool) -> None:
    layer, x = randomised(Transformer(input_size, 8, num_heads=2)), random(4, 6, input_size, seed=1)
    output, _ = (layer.unmasked() if bidirectional else layer)(x, LENGTHS)
    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    for row, length in enumerate(LENGTHS.tolist()):
        wanted = reference.transformer(x[row, :length].numpy(), weights, 2, causal=not bidirectional)
        assert_close([output[row, :length]], [torch.from_numpy(wanted)], 1e-12)
        assert not output[row, length:].any()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_sequence_depends_neither_on_its_padding_nor_on_its_neighbours(bidirectional: bool) -> None:
    stack, x = _stack(bidirectional), random(4, 8, 3, seed=1)

    def results(x: Tensor, lengths: Tensor | None, row: int, length: int) -> list[Tensor]:
        x = x.clone().requires_grad_()
        output = stack(x, lengths)[0][row, :length]
        of_x, *of_weights = gradients(projection([output]), [x, *stack.parameters()])
        return [output, of_x[row, :length], *of_weights]

    for row, length in enumerate(LENGTHS.tolist()):
        found = results(with_nan_padding(x, LENGTHS), LENGTHS, row, length)
        assert_close(found, results(x[[row], :length], None, 0, length), 1e-9)


def test_two_parts_with_carried_state_equal_the_whole() -> None:
    stack, x = _stack(), random(4, 6, 3, seed=1)
    whole, final = stack(x, LENGTHS)
    for cut in range(7):
        first, middle = stack(x[:, :cut], LENGTHS.clamp(max=cut))
        second, end = stack(x[:, cut:], (LENGTHS - cut).clamp(min=0), middle)
        assert_close([torch.cat((first, second), 1)], [whole], 1e-12)
        more = random(4, 2, 3, seed=2)
        assert_close([stack(more, None, end)[0]], [stack(more, None, final)[0]], 1e-12)


def test_step_by_step_equals_the_whole_and_goes_on_after_padding() -> None:
    stack, x = _stack(), random(4, 6, 3, seed=1)
    _, state = stack(x, LENGTHS)
    more, outputs = random(4, 3, 3, seed=2), []
    for x_t in more.unbind(1):
        output, state = stack.step(x_t, state)
        outputs.append(output)
    for row, length in enumerate(LENGTHS.tolist()):
        whole, _ = stack(torch.cat((x[[row], :length], more[[row]]), 1))
        assert_close([torch.stack(outputs, 1)[[row]]], [whole[:, length:]], 1e-12)


def test_sequences_of_a_carried_state_are_chosen_by_its_first_dimension() -> None:
    stack, rows, more = _stack(), [2, 0, 2], random(4, 2, 3, seed=2)
    _, state = stack(random(4, 6, 3, seed=1), LENGTHS)
    wanted, _ = stack(more, None, state)
    found, chosen = stack(more[rows], None, mapped(lambda tensor: tensor[rows], state))
    assert_close([found], [wanted[rows]], 1e-12)
    assert {len(tensor) for tensor in flat(chosen)} == {3}


def test_one_direction_sees_nothing_to_come_and_both_see_all() -> None:
    x = random(1, 6, 3, seed=1).requires_grad_()
    for bidirectional, seen in ((False, [True] * 3 + [False] * 3), (True, [True] * 6)):
        (gradient,) = torch.autograd.grad(_stack(bidirectional)(x)[0][0, 2].sum(), x)
        assert gradient[0].any(1).tolist() == seen


def test_order_counts() -> None:
    stack, x = _stack(bidirectional=True, num_layers=1), random(1, 6, 3, seed=1)
    assert (stack(x.flip(1))[0].sum(1) - stack(x)[0].sum(1)).abs().max() > 1e-3


def test_both_directions_refuse_a_given_state_and_single_steps() -> None:
    stack, x = _stack(bidirectional=True), torch.zeros(2, 5, 3, dtype=torch.float64)
    assert stack(x)[0].shape == (2, 5, 16)
    _, state = stack(x)
    with pytest.raises(ValueError, match="a Transformer in both directions takes no state"):
        stack(x, None, state)
    with pytest.raises(ValueError, match="a bidirectional stack cannot go step by step"):
        stack.step(x[:, 0])
    with pytest.raises(ValueError, match="a Transformer in both directions cannot go step by step"):
        Transformer(3, 8).unmasked().step(torch.zeros(2, 3))


def test_a_state_of_other_sequences_is_refused() -> None:
    layer = Transformer(3, 8)
    _, state = layer(torch.zeros(2, 5, 3))
    for wrong in (state[:2], mapped(lambda tensor: tensor[:1], state), (state[0], state[1], state[2][:, :4])):
        with pytest.raises(ValueError, match="the state of this Transformer has shapes"):
            layer(torch.zeros(2, 5, 3), None, wrong)


def test_it_has_twelve_square_matrices_and_an_input_map() -> None:
    count = sum(parameter.numel() for parameter in Transformer(3, 8).parameters())
    assert count == 8 * 3 + 12 * 64 + (3 + 1 + 4 + 1) * 8 + 2 * 2 * 8
