"""Each cell by itself: its equations, its gradient, its parameters and their initial values."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from rnn_lightning.layers import (
    GRU,
    LSTM,
    QRNN,
    RNN,
    SLSTM,
    SRU,
    LayerNormGRU,
    LayerNormLSTM,
    LayerNormRNN,
    MinGRU,
    MinLSTM,
    Transformer,
    make_head,
)
from rnn_lightning.layers.init import orthogonal_blocks_
from tests.layers import reference
from tests.layers.helpers import CELLS, RECURRENT, assert_close, random, randomised, reached_state

IN_NUMPY = {
    "tanh": reference.rnn,
    "relu": partial(reference.rnn, activation=reference.relu),
    "lstm": reference.lstm,
    "coupled": reference.coupled_lstm,
    "peephole": reference.lstm,
    "coupled_peephole": reference.coupled_lstm,
    "gru": reference.gru,
    "gru_before": reference.gru_before,
    "rnn_ln": reference.rnn_ln,
    "lstm_ln": reference.lstm_ln,
    "gru_ln": reference.gru_ln,
    "zoneout_rnn_ln": partial(reference.rnn_ln, zoneout=0.2),
    "zoneout_lstm_ln": partial(reference.lstm_ln, zoneout=0.2),
    "zoneout_gru_ln": partial(reference.gru_ln, zoneout=0.2),
    "mingru": reference.mingru,
    "minlstm": reference.minlstm,
    "qrnn": reference.qrnn,
    "sru": reference.sru,
    "slstm": reference.slstm,
}


@pytest.mark.parametrize("given_state", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_layer_agrees_with_its_equations_in_numpy(cell: str, given_state: bool) -> None:
    layer = randomised(CELLS[cell](3, 5))
    x, lengths = random(4, 7, 3, seed=1), torch.tensor([7, 0, 4, 1])
    state = reached_state(layer, 4, seed=2) if given_state else layer.initial_state(x)
    output, final = layer(x, lengths, state if given_state else None)
    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    for row, length in enumerate(lengths.tolist()):
        row_state = tuple(tensor[row].numpy() for tensor in state)
        wanted_output, wanted_final = IN_NUMPY[cell](x[row, :length].numpy(), row_state, weights)
        assert_close([output[row, :length]], [torch.from_numpy(wanted_output)], 1e-12)
        assert_close([tensor[row] for tensor in final], [torch.from_numpy(tensor) for tensor in wanted_final], 1e-12)
        assert not output[row, length:].any()


@pytest.mark.parametrize("cell", CELLS)
def test_step_agrees_with_its_equations_in_numpy(cell: str) -> None:
    layer = randomised(CELLS[cell](3, 5))
    x_t, state = random(1, 3, seed=1), reached_state(layer, 1, seed=2)
    output, final = layer.step(x_t, state)
    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    wanted_output, wanted_final = IN_NUMPY[cell](x_t.numpy(), tuple(tensor[0].numpy() for tensor in state), weights)
    wanted = [torch.from_numpy(array) for array in (wanted_output, *wanted_final)]
    assert_close([output, *(tensor[0] for tensor in final)], wanted, 1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_agrees_with_finite_differences(cell: str) -> None:
    layer = randomised(CELLS[cell](2, 3))
    lengths = torch.tensor([4, 0, 2])
    names = [name for name, _ in layer.named_parameters()]

    def call(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state, weights = rest[: layer.num_states], rest[layer.num_states :]
        output, final = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x, lengths, state))
        return output, *final

    x, state = random(3, 4, 2, seed=1), reached_state(layer, 3, seed=2)
    inputs = [x, *state, *(parameter.detach() for parameter in layer.parameters())]
    assert torch.autograd.gradcheck(call, [tensor.requires_grad_() for tensor in inputs])


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (nn.Sequential(RNN(3, 8), make_head(8, 1)), 105),
        (LSTM(3, 8), 384),
        # The reset gate multiplies the recurrent part after its matrix product, bias included: that bias merges with
        # no other, so the candidate has two.
        (GRU(3, 8), 3 * (24 + 64 + 8) + 8),
        (LSTM(3, 8, coupled=True), 3 * (24 + 64 + 8)),
        (LSTM(3, 8, peephole=True), 384 + 3 * 8),
        (LSTM(3, 8, coupled=True, peephole=True), 3 * (24 + 64 + 8) + 2 * 8),
        (GRU(3, 8, reset="before"), 3 * (24 + 64 + 8)),
        (LayerNormRNN(3, 8), 24 + 64 + 8 + 2 * 8),
        (LayerNormLSTM(3, 8), 4 * (24 + 64 + 8) + 2 * 32 + 2 * 8),
        (LayerNormGRU(3, 8), 3 * (24 + 64 + 8) + 2 * 24 + 8),
        (MinGRU(3, 8), 2 * (24 + 8)),
        (MinLSTM(3, 8), 3 * (24 + 8)),
        (QRNN(3, 8), 3 * (2 * 24 + 8)),
        (SRU(3, 8), 4 * 24 + 2 * 8),
        (SRU(8, 8), 3 * 64 + 2 * 8),
        (SLSTM(3, 8), 384),
    ],
)
def test_there_are_as_many_parameters_as_the_equations_say(module: nn.Module, count: int) -> None:
    assert sum(parameter.numel() for parameter in module.parameters()) == count


@pytest.mark.parametrize("cell", RECURRENT)
def test_each_recurrent_block_is_orthogonal_by_itself(cell: str) -> None:
    for block in CELLS[cell](3, 16).double().weight_hidden.split(16):
        assert_close([block @ block.T], [torch.eye(16, dtype=torch.float64)], 1e-6)


def test_blocks_are_orthogonal_in_16_bits_too() -> None:
    weight = torch.empty(32, 16, dtype=torch.bfloat16)
    orthogonal_blocks_(weight, 16)
    for block in weight.float().split(16):
        assert_close([block @ block.T], [torch.eye(16)], 0.02)


@pytest.mark.parametrize("cell", CELLS)
def test_each_input_block_fills_the_bounds_of_xavier(cell: str) -> None:
    input_size, hidden_size = 64, 32
    weight = CELLS[cell](input_size, hidden_size).weight_input
    bound = math.sqrt(6 / (weight.size(1) + hidden_size))
    for block in weight.split(hidden_size):
        assert 0.95 * bound < block.abs().max() <= bound


@pytest.mark.parametrize("cell", [cell for cell in RECURRENT if cell != "slstm"])
def test_biases_are_zero_but_the_forget_gates_which_is_one_in_total(cell: str) -> None:
    layer = CELLS[cell](3, 4)
    biases = {name: parameter.tolist() for name, parameter in layer.named_parameters() if name.startswith("bias")}
    forget = {"i": [0.0] * 4, "f": [1.0] * 4, "g": [0.0] * 4, "o": [0.0] * 4}
    if isinstance(layer, LSTM | LayerNormLSTM):
        gates = "fgo" if "coupled" in cell else "ifgo"
        assert biases.pop("bias") == [number for gate in gates for number in forget[gate]]
    assert set(biases) <= {"bias", "bias_candidate", "bias_memory"}
    assert not any(any(numbers) for numbers in biases.values())


def test_peepholes_begin_without_an_effect() -> None:
    assert not LSTM(3, 4, peephole=True).weight_peephole.any()


@pytest.mark.parametrize("layer", [LayerNormRNN(3, 4), LayerNormLSTM(3, 4), LayerNormGRU(3, 4)], ids=str)
def test_normalisation_begins_without_an_effect_of_its_own(layer: nn.Module) -> None:
    gains = {name: gain for name, gain in layer.named_parameters() if name.startswith("gain")}
    assert set(gains) - {"gain_memory"} == {"gain_input", "gain_hidden"}
    assert all(gain.eq(1.0).all() for gain in gains.values())


def _shares_of_min_lstm(bias: torch.Tensor) -> torch.Tensor:
    forget, write, _ = torch.sigmoid(bias).chunk(3)
    return write / (forget + write)


@pytest.mark.parametrize(
    ("layer", "overwritten"),
    [
        (MinGRU(3, 1000), lambda bias: torch.sigmoid(bias.chunk(2)[0])),
        (MinLSTM(3, 1000), _shares_of_min_lstm),
        (QRNN(3, 1000), lambda bias: 1 - torch.sigmoid(bias.chunk(3)[1])),
        (SRU(3, 1000), lambda bias: 1 - torch.sigmoid(bias.chunk(2)[0])),
        (SLSTM(3, 1000), lambda bias: 1 - torch.sigmoid(bias.chunk(4)[1])),
    ],
    ids=["mingru", "minlstm", "qrnn", "sru", "slstm"],
)
def test_memories_of_two_to_sixty_steps_at_the_beginning(layer: nn.Module, overwritten: Callable) -> None:
    memory = 1 / overwritten(layer.bias.double())
    assert memory.min() < 3.0
    assert memory.max() > 59.0
    assert memory.ge(1.999).all()
    assert memory.le(60.001).all()
    assert memory.mean().sub(31.0).abs() < 2.0
    blocks = layer.bias.split(1000)
    assert len([block for block in blocks if block.any()]) == (2 if isinstance(layer, MinLSTM) else 1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("sizes", "message"), [((0, 4), "input_size is 0"), ((3, -1), "hidden_size is -1")])
def test_size_below_one_is_refused(cell: str, sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CELLS[cell](*sizes)


def test_unknown_nonlinearity_is_refused() -> None:
    with pytest.raises(ValueError, match="nonlinearity is 'sigmoid', not one of tanh, relu"):
        RNN(3, 4, nonlinearity="sigmoid")


def test_unknown_place_of_the_reset_is_refused() -> None:
    with pytest.raises(ValueError, match="reset is 'befor', not one of after, before"):
        GRU(3, 4, reset="befor")


def test_an_slstm_is_exact_where_its_gates_would_overflow() -> None:
    layer = SLSTM(1, 1)
    nn.init.zeros_(layer.weight_hidden)
    with torch.no_grad():
        layer.weight_input.copy_(torch.tensor([[1.0], [0.0], [0.001], [0.0]]))
        layer.bias.zero_()
    x = torch.tensor([500.0, -500.0, 300.0]).view(1, 3, 1).requires_grad_()
    output, state = layer(x)
    assert_close([output.flatten()], [0.5 * torch.tanh(torch.tensor([0.5, 0.5, 0.5]))], 1e-6)
    # Before anything was written, the first step decides alone, however small its input gate is.
    alone, _ = layer(torch.tensor([[[-500.0]]]))
    assert_close([alone.flatten()], [0.5 * torch.tanh(torch.tensor([-0.5]))], 1e-6)
    (gradient,) = torch.autograd.grad(output.sum() + sum(tensor.sum() for tensor in state), x)
    assert gradient.isfinite().all()


def test_min_lstm_is_exact_where_both_gates_are_almost_zero() -> None:
    layer = MinLSTM(1, 1)
    with torch.no_grad():
        layer.weight_input.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        layer.bias.copy_(torch.tensor([-200.0, -200.0, 0.0]))
    output, _ = layer(torch.ones(1, 2, 1))
    assert_close([output.flatten()], [torch.tensor([0.5, 0.75])], 1e-6)


def test_a_qrnn_carries_the_step_before_across_calls_and_empty_sequences() -> None:
    layer, x = randomised(QRNN(3, 4)), random(2, 5, 3)
    whole, _ = layer(x)
    first, state = layer(x[:, :2])
    assert torch.equal(state[1], x[:, 1])
    _, same = layer(x[:, 2:], torch.tensor([0, 0]), state)
    second, _ = layer(x[:, 2:], None, same)
    assert_close([torch.cat((first, second), 1)], [whole], 1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((2, 5), None, r"x must be \(B, T, 3\); it is \(2, 5\)"),
        ((2, 5, 4), None, r"x must be \(B, T, 3\); it is \(2, 5, 4\)"),
        ((2, 5, 3), [5, 4, 3], r"lengths must be \(2,\), one for each sequence; it is \(3,\)"),
        ((1, 5, 3), [5, 4, 3], r"lengths must be \(1,\), one for each sequence; it is \(3,\)"),
        ((2, 5, 3), [[5, 4]], r"lengths must be \(2,\), one for each sequence; it is \(1, 2\)"),
    ],
)
def test_wrong_shape_of_x_or_lengths_is_refused(cell: str, shape: tuple, lengths: list | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CELLS[cell](3, 4)(torch.zeros(shape), None if lengths is None else torch.tensor(lengths))


@pytest.mark.parametrize("cell", [*CELLS, "transformer"])
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([6, 2]), "lengths must be from 0 to 5, the steps of x; one is 6"),
        (torch.tensor([5, -1]), "lengths must be from 0 to 5, the steps of x; one is -1"),
        (torch.tensor([5.0, 2.0]), "lengths must be a tensor of whole numbers, int64; it is torch.float32"),
        (torch.tensor([True, False]), "lengths must be a tensor of whole numbers, int64; it is torch.bool"),
        ([5, 2], "lengths must be a tensor of whole numbers, int64; it is a list"),
    ],
    ids=str,
)
def test_lengths_that_cannot_be_are_refused(cell: str, lengths: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        {**CELLS, "transformer": Transformer}[cell](3, 8)(torch.zeros(2, 5, 3), lengths)


@pytest.mark.parametrize("cell", [*CELLS, "transformer"])
@pytest.mark.parametrize("state", [torch.zeros(2, 8), ("h",), 3], ids=["tensor", "text", "number"])
def test_a_state_that_is_no_tuple_of_tensors_is_refused(cell: str, state: object) -> None:
    layer, x = {**CELLS, "transformer": Transformer}[cell](3, 8), torch.zeros(2, 5, 3)
    for call in (partial(layer, x, None), partial(layer.step, x[:, 0])):
        with pytest.raises(ValueError, match="is a tuple of tensors, also where it is one alone"):
            call(state)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", [(2, 5), (2, 1, 3), (3,)])
def test_step_refuses_what_is_not_one_step(cell: str, shape: tuple) -> None:
    with pytest.raises(ValueError, match=r"x_t must be \(B, 3\); it is"):
        CELLS[cell](3, 4).step(torch.zeros(shape))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (1, 2, 4)])
def test_state_of_another_shape_is_refused_by_forward_and_step(cell: str, shape: tuple) -> None:
    layer, x = CELLS[cell](3, 4), torch.zeros(2, 5, 3)
    state = (torch.zeros(shape), *layer.initial_state(x)[1:])
    for call in (partial(layer, x, None), partial(layer.step, x[:, 0])):
        with pytest.raises(ValueError, match=r"has shapes \[\(2, 4\).*\]; it was given \[\("):
            call(state)


@pytest.mark.parametrize("cell", CELLS)
def test_state_with_another_number_of_tensors_is_refused(cell: str) -> None:
    layer = CELLS[cell](3, 4)
    with pytest.raises(ValueError, match="it was given"):
        layer(torch.zeros(2, 5, 3), None, (torch.zeros(2, 4),) * (layer.num_states + 1))


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, [nn.Linear]),
        ({"dropout": 0.5}, [nn.Dropout, nn.Linear]),
        ({"dropout": 0.5, "batch_norm": True}, [nn.BatchNorm1d, nn.Dropout, nn.Linear]),
    ],
)
def test_head_is_a_linear_map_after_what_was_asked_for(options: dict, kinds: list[type]) -> None:
    head = make_head(8, 3, **options)
    assert all(isinstance(part, kind) for part, kind in zip(head, kinds, strict=True))
    assert head(torch.zeros(2, 8)).shape == (2, 3)


def test_batch_of_one_goes_through_the_head_in_training() -> None:
    assert make_head(8, 3, batch_norm=True).train()(random(1, 8, dtype=torch.float32)).isfinite().all()


@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_head_refuses_a_dropout_that_is_no_share(dropout: float) -> None:
    with pytest.raises(ValueError, match=f"dropout is {dropout}; it must be at least 0 and below 1"):
        make_head(8, 1, dropout=dropout)


@pytest.mark.parametrize("cell", ["mingru", "minlstm", "qrnn", "sru"])
@torch.no_grad()
def test_four_thousand_steps_at_once_in_halves_and_one_by_one_are_the_same_in_32_bits(cell: str) -> None:
    layer = randomised(CELLS[cell](3, 8), dtype=torch.float32)
    x = random(2, 4096, 3, seed=1, dtype=torch.float32)
    whole, state = layer(x)
    first, between = layer(x[:, :1500])
    second, after = layer(x[:, 1500:], None, between)
    steps, last = [], layer.initial_state(x)
    for x_t in x.unbind(1):
        y, last = layer.step(x_t, last)
        steps.append(y)
    largest = whole.abs().max()
    for found in (torch.cat((first, second), 1), torch.stack(steps, 1)):
        assert (found - whole).abs().max() <= 1e-5 * largest
    for one, other, wanted in zip(after, last, state, strict=True):
        assert (one - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        assert (other - wanted).abs().max() <= 1e-5 * wanted.abs().max()
