"""check_layer accepts layers that keep the contract and says in words how others break it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

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
    RecurrentLayer,
)
from rnn_lightning.layers.padding import valid_steps, zero_padding
from rnn_lightning.testing import check_layer


class LeakyMemory(RecurrentLayer):
    """A cell that writes nothing but a step, with state tensors of unlike shapes and types, and a learnt start."""

    def __init__(self, input_size: int, hidden_size: int, leak: float = 0.1) -> None:
        super().__init__(input_size, hidden_size)
        self.leak = leak
        self.input = nn.Linear(input_size, 2 * hidden_size)
        self.start = nn.Parameter(torch.ones(hidden_size, 2))

    def initial_state(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.start.expand(x.size(0), -1, -1), torch.zeros(x.size(0), dtype=torch.int64)

    def step(self, x_t: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        memory, count = self.begin(x_t, state)
        memory = (1 - self.leak) * memory + self.input(x_t).unflatten(1, (-1, 2)) / (1 + count).view(-1, 1, 1)
        return memory.tanh().sum(2), (memory, count + 1)


class Rotation(RecurrentLayer):
    """A cell whose state is complex."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.angle = nn.Parameter(torch.linspace(0.0, 1.0, hidden_size))
        self.input = nn.Linear(input_size, hidden_size)

    def initial_state(self, x: Tensor) -> tuple[Tensor]:
        zeros = x.new_zeros(x.size(0), self.hidden_size)
        return (torch.complex(zeros, zeros),)

    def step(self, x_t: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        (h,) = self.begin(x_t, state)
        h = 0.9 * torch.polar(torch.ones_like(self.angle), self.angle) * h + self.input(x_t)
        return h.real, (h,)


@pytest.mark.parametrize(
    ("layer_class", "options"),
    [
        (RNN, {}),
        (RNN, {"nonlinearity": "relu"}),
        (LSTM, {}),
        (LSTM, {"coupled": True}),
        (LSTM, {"peephole": True}),
        (LSTM, {"coupled": True, "peephole": True}),
        (GRU, {}),
        (GRU, {"reset": "before"}),
        (LayerNormRNN, {}),
        (LayerNormRNN, {"recurrent_dropout": 0.5, "zoneout": 0.2}),
        (LayerNormLSTM, {}),
        (LayerNormLSTM, {"recurrent_dropout": 0.5}),
        (LayerNormLSTM, {"recurrent_dropout": 0.5, "zoneout": 0.2}),
        (LayerNormGRU, {}),
        (LayerNormGRU, {"recurrent_dropout": 0.5, "zoneout": 0.2}),
        (MinGRU, {}),
        (MinLSTM, {}),
        (QRNN, {}),
        (SRU, {}),
        (SLSTM, {}),
        (LeakyMemory, {}),
        (LeakyMemory, {"leak": 0.5}),
        (Rotation, {}),
    ],
)
def test_layer_that_keeps_the_contract_passes(layer_class: type[RecurrentLayer], options: dict) -> None:
    check_layer(layer_class, **options)


class IgnoresLengthsInItsState(GRU):
    def unroll(self, x: Tensor, lengths: Tensor | None, state: tuple) -> tuple[Tensor, tuple]:
        return super().unroll(x, None, state)


class LetsPaddingIn(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, _ = super().forward(x, None, state)
        _, state = super().forward(x, lengths, state)
        return output, state


class MultipliesPaddingByZero(RNN):
    """Enough for numbers, not for NaN, which comes back in the gradient."""

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        if lengths is None:
            return super().forward(x, lengths, state)
        x = x * valid_steps(lengths, x.size(1)).unsqueeze(-1)
        output, final = self.unroll(x, lengths, self.initial_state(x) if state is None else state)
        return zero_padding(output, lengths), final


class UnrollsAnotherCell(RNN):
    def step(self, x_t: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        return super().step(x_t + 0.001, state)


class ForgetsItsBiasInSteps(RNN):
    """Its bias begins at zero: only other weights than the initial ones show it."""

    def step(self, x_t: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        (h,) = self.begin(x_t, state)
        h = torch.tanh(x_t @ self.weight_input.T + h @ self.weight_hidden.T)
        return h, (h,)


class CountsFromTheEnd(RNN):
    """Right where the longest sequence of the batch has no padding."""

    def unroll(self, x: Tensor, lengths: Tensor | None, state: tuple) -> tuple[Tensor, tuple]:
        output, final = super().unroll(x, lengths, state)
        if lengths is not None and lengths.any():
            last = output[torch.arange(len(x)), lengths.clamp(min=1) - lengths.max() - 1]
            final = (torch.where((lengths > 0).unsqueeze(1), last, state[0]),)
        return output, final


class UnrollsAnotherGradient(RNN):
    def unroll(self, x: Tensor, lengths: Tensor | None, state: tuple) -> tuple[Tensor, tuple]:
        output, final = super().unroll(x, lengths, state)
        return output.detach(), final


class KeepsItsStateToItself(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, self.kept = super().forward(x, lengths, state or getattr(self, "kept", None))
        return output, self.kept


class WritesIntoTheGivenState(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, final = super().forward(x, lengths, state)
        if state is not None:
            state[0].data += 1.0
        return output, final


class PutsTheBatchSecond(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, (h,) = super().forward(x, lengths, None if state is None else (state[0].squeeze(0),))
        return output, (h.unsqueeze(0),)


class ReturnsABareTensor(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, Tensor]:
        output, (h,) = super().forward(x, lengths, state)
        return output, h


class NormalisesOverTheBatch(RNN):
    unroll = RecurrentLayer.unroll

    def step(self, x_t: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        return super().step(x_t - x_t.mean(0), state)


class LeavesPaddedOutputs(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, final = super().forward(x, lengths, state)
        return output + 1.0, final


class PutsTimeFirst(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, final = super().forward(x, lengths, state)
        return output.transpose(0, 1), final


class DropsInEvaluation(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        output, final = super().forward(x, lengths, state)
        return nn.functional.dropout(output, 0.5), final


class ForgetsTheGivenState(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        return super().forward(x, lengths)


class BeginsElsewhereThanItSays(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        return super().forward(x, lengths, (x.new_ones(x.size(0), self.hidden_size),) if state is None else state)


class CannotBeEmpty(RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple | None = None) -> tuple[Tensor, tuple]:
        return self.unroll(x[:, : x.size(1)], lengths, self.initial_state(x) if state is None else state)


class HasNoStep(RNN):
    def step(self, x_t: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        raise NotImplementedError("no step yet\nsee the manual")


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (
            IgnoresLengthsInItsState,
            r"sequence in a padded batch instead of alone, .* difference of up to .* in the final",
        ),
        (IgnoresLengthsInItsState, r"With all lengths 0, there is a difference of up to .* in the final state\[0\]"),
        (
            IgnoresLengthsInItsState,
            r"Against the loop over step, there is a difference of up to .* the gradient of bias",
        ),
        (LetsPaddingIn, r"On a padded batch, the output beyond a length is not zero but up to \d"),
        (
            LetsPaddingIn,
            r"With NaN in the padding instead of numbers, .* of up to nan in the output, the gradient of x",
        ),
        (
            MultipliesPaddingByZero,
            r"With NaN in the padding instead of numbers, .* to nan in the gradient .*of weight_input",
        ),
        (
            UnrollsAnotherCell,
            r"Against the loop over step, there is a difference of up to \d.* in the output, the final",
        ),
        (UnrollsAnotherCell, r"Step by step instead of whole, there is a difference of up to \d.* in the output"),
        (
            UnrollsAnotherGradient,
            r"Against the loop over step, there is a difference of up to \d\S+ in the gradient of x",
        ),
        (ForgetsItsBiasInSteps, r"Step by step instead of whole, there is a difference of up to \d.* in the output"),
        (CountsFromTheEnd, r"sequence in a padded batch instead of alone, .* of up to \d\S+ in the final state\[0\]"),
        (KeepsItsStateToItself, r"Called once more in eval mode, there is a difference of up to \d.* in the output"),
        (WritesIntoTheGivenState, r"Called once more in eval mode, there is a difference of up to \d.* in the output"),
        (DropsInEvaluation, r"Called once more in eval mode, there is a difference of up to \d.* in the output"),
        (PutsTheBatchSecond, r"On a padded batch, state\[0\] has shape \(1, 4, 8\), not the batch \(4\) first"),
        (PutsTheBatchSecond, r"With rows of the batch and its state reordered, it raised IndexError"),
        (ReturnsABareTensor, r"On a padded batch, the state is no tuple of tensors but a Tensor"),
        (NormalisesOverTheBatch, r"sequence in a padded batch instead of alone, .* of up to \d.* in the output"),
        (LeavesPaddedOutputs, r"On a padded batch, the output beyond a length is not zero but up to 1.0e\+00"),
        (PutsTimeFirst, r"On a padded batch, the output has shape \(6, 4, 8\), not \(B, T, H\) = \(4, 6, 8\)"),
        (ForgetsTheGivenState, r"In two halves with carried state instead of whole, there is a difference"),
        (BeginsElsewhereThanItSays, r"Without a state, there is a difference of up to \d.* in the output"),
        (CannotBeEmpty, r"With T = 0, it raised \w+Error"),
        (HasNoStep, r"Step by step instead of whole, it raised NotImplementedError: no step yet\.(\n|$)"),
    ],
)
def test_broken_layer_is_told_how_it_breaks_the_contract(broken: type[RecurrentLayer], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_layer(broken)
    first, *sentences = str(caught.value).splitlines()
    assert first == f"{broken.__name__} breaks the contract of a recurrent layer:"
    assert all(line.startswith("- ") and line.endswith(".") for line in sentences)


def test_only_what_is_broken_is_named() -> None:
    with pytest.raises(AssertionError) as caught:
        check_layer(NormalisesOverTheBatch)
    assert str(caught.value).count("\n- ") == 1


def test_wrong_option_is_the_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        check_layer(GRU, no_such_option=1)


@pytest.mark.parametrize("layer_class", [LSTM, HasNoStep])
def test_random_numbers_go_on_as_if_nothing_had_been_checked(layer_class: type[RecurrentLayer]) -> None:
    before = torch.get_rng_state()
    try:
        check_layer(layer_class)
    except AssertionError:
        assert layer_class is HasNoStep
    assert torch.equal(torch.get_rng_state(), before)
