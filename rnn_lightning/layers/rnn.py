"""The vanilla recurrent network (Elman 1990, https://doi.org/10.1207/s15516709cog1402_1).

B sequences, T steps, D input features, H hidden features. State: (h,), h (B, H).

    h_t = tanh(W x_t + U h_{t-1} + b)        W (H, D), U (H, H), b (H,); relu in place of tanh by choice

The output is h_t.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.padding import add_padding_input, last_valid

_OFF = -6e4
"""Added to relu's argument, it turns relu off (16-bit floats hold it too)."""


class RNN(RecurrentLayer):
    """Vanilla recurrent layer.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        nonlinearity: tanh, or relu.
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: Literal["tanh", "relu"] = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is '{nonlinearity}', not one of tanh, relu")
        self.nonlinearity = nonlinearity
        self.weight_input = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier input matrix, orthogonal recurrent matrix, no bias."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        nn.init.zeros_(self.bias)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = self.begin(x_t, state)
        activation = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        h = activation(functional.linear(x_t, self.weight_input, self.bias) + functional.linear(h, self.weight_hidden))
        return h, (h,)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        (h,) = state
        kernel = torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu
        weight_input: Tensor = self.weight_input
        if lengths is not None and self.nonlinearity == "relu":
            # relu has no upper bound: on padding the state could grow to infinity, and its gradient, 0 * inf, is NaN.
            x, weight_input = add_padding_input(x, lengths, weight_input, (_OFF,))
        # torch's kernel adds two bias vectors: the second stays zero.
        weights = (weight_input, self.weight_hidden, self.bias, torch.zeros_like(self.bias))
        output, _ = kernel(x, h.unsqueeze(0), weights, True, 1, 0.0, self.training, False, True)
        return output, (last_valid(output, lengths, h),)
