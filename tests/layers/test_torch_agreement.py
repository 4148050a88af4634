"""The stack against torch's own recurrent modules, with their own code for packing, layers and directions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnn_lightning.layers import RecurrentLayer, RecurrentStack
from tests.layers.helpers import (
    IN_TORCH,
    TOLERANCE,
    assert_close,
    flat,
    gradients,
    projection,
    random,
    randomised,
    with_nan_padding,
)

B, T, D, H = 4, 9, 3, 5
LENGTHS = torch.tensor([4, 9, 1, 6])


def directions(stack: RecurrentStack) -> list[tuple[str, RecurrentLayer]]:
    """Each layer in each direction, by the ending that torch gives to the names of its weights."""
    pairs = []
    for index, layer in enumerate(stack.layers):
        both = [layer.forward_layer, layer.backward_layer] if stack.bidirectional else [layer]
        pairs += zip((f"l{index}", f"l{index}_reverse"), both, strict=False)
    return pairs


def torch_module(cell: str, stack: RecurrentStack, dtype: torch.dtype) -> nn.RNNBase:
    """Torch's module with the weights of the stack."""
    options = {"num_layers": len(stack.layers), "bidirectional": stack.bidirectional, "batch_first": True}
    if cell in ("tanh", "relu"):
        module = nn.RNN(D, H, nonlinearity=cell, **options)
    else:
        module = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](D, H, **options)
    module = module.to(dtype)
    with torch.no_grad():
        for ending, layer in directions(stack):
            getattr(module, f"weight_ih_{ending}").copy_(layer.weight_input)
            getattr(module, f"weight_hh_{ending}").copy_(layer.weight_hidden)
            getattr(module, f"bias_ih_{ending}").copy_(layer.bias)
            getattr(module, f"bias_hh_{ending}").zero_()
            if cell == "gru":
                getattr(module, f"bias_hh_{ending}")[2 * H :].copy_(layer.bias_candidate)
    return module


def weights_of_stack(cell: str, stack: RecurrentStack) -> list[Tensor]:
    names = ["weight_input", "weight_hidden", "bias", *(["bias_candidate"] if cell == "gru" else [])]
    return [getattr(layer, name) for _, layer in directions(stack) for name in names]


def weight_gradients_of_module(cell: str, stack: RecurrentStack, module: nn.RNNBase, loss: Tensor) -> list[Tensor]:
    """In the order of `weights_of_stack`."""
    found = []
    for ending, _ in directions(stack):
        names = [f"{kind}_{ending}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        *first, bias_hidden = torch.autograd.grad(loss, [getattr(module, name) for name in names], retain_graph=True)
        found += [*first, *([bias_hidden[2 * H :]] if cell == "gru" else [])]
    return found


def per_layer(cell: str, state: tuple | Tensor) -> list[Tensor]:
    """Torch's states (layers * directions, B, H) in the order of the stack's: one direction after the other."""
    kinds = state if cell == "lstm" else (state,)
    return [kind[index] for index in range(len(kinds[0])) for kind in kinds]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", IN_TORCH)
def test_stack_agrees_with_torch_on_packed_sequences(
    cell: str, num_layers: int, bidirectional: bool, dtype: torch.dtype
) -> None:
    stack = randomised(RecurrentStack(IN_TORCH[cell], D, H, num_layers, bidirectional), dtype=dtype)
    module = torch_module(cell, stack, dtype)
    x, torch_x = (random(B, T, D, seed=1, dtype=dtype).requires_grad_() for _ in range(2))

    output, state = stack(with_nan_padding(x, LENGTHS), LENGTHS)
    packed = pack_padded_sequence(torch_x, LENGTHS, batch_first=True, enforce_sorted=False)
    torch_packed, torch_state = module(packed)
    torch_output, _ = pad_packed_sequence(torch_packed, batch_first=True, total_length=T)

    found, wanted = [output, *flat(state)], [torch_output, *per_layer(cell, torch_state)]
    assert_close(found[:1], wanted[:1], TOLERANCE[dtype])
    assert_close(found[1:], wanted[1:], TOLERANCE[dtype])
    x_gradient, *weight_gradients = gradients(projection(found), [x, *weights_of_stack(cell, stack)])
    loss = projection(wanted)
    wanted_gradients = weight_gradients_of_module(cell, stack, module, loss)
    assert_close([x_gradient], gradients(loss, [torch_x]), TOLERANCE[dtype])
    assert_close(weight_gradients, wanted_gradients, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", IN_TORCH)
def test_stack_agrees_with_torch_from_a_given_state(cell: str, num_layers: int, dtype: torch.dtype) -> None:
    stack = randomised(RecurrentStack(IN_TORCH[cell], D, H, num_layers), dtype=dtype)
    module = torch_module(cell, stack, dtype)
    x = random(B, T, D, seed=1, dtype=dtype)
    kinds = [
        random(num_layers, B, H, seed=2 + k, dtype=dtype).requires_grad_() for k in range(2 if cell == "lstm" else 1)
    ]

    output, state = stack(x, None, tuple(zip(*kinds, strict=True)))
    torch_output, torch_state = module(x, tuple(kinds) if cell == "lstm" else kinds[0])

    found, wanted = [output, *flat(state)], [torch_output, *per_layer(cell, torch_state)]
    assert_close(found, wanted, TOLERANCE[dtype])
    assert_close(gradients(projection(found), kinds), gradients(projection(wanted), kinds), TOLERANCE[dtype])
