"""The gated recurrent unit (Cho et al. 2014, https://arxiv.org/abs/1406.1078), in the form of cuDNN and torch.

B sequences, T steps, D input features, H hidden features. State: (h,), h (B, H). s is the logistic function.

    r = s(W_r x_t + U_r h_{t-1} + b_r)                        reset gate
    z = s(W_z x_t + U_z h_{t-1} + b_z)                        update gate: 1 keeps the old state
    n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + b_hn))        candidate, the reset after the matrix product
    h_t = (1 - z) * n + z * h_{t-1}

The output is h_t. The blocks of W (3H, D), U (3H, H) and b (3H,) stand in the order r, z, n.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.padding import last_valid


class GRU(RecurrentLayer):
    """Gated recurrent unit.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.bias_candidate = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each gate's block by itself: Xavier for the input, orthogonal for the recurrence; no bias."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.bias_candidate)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = self.begin(x_t, state)
        x_r, x_z, x_n = functional.linear(x_t, self.weight_input, self.bias).chunk(3, 1)
        h_r, h_z, h_n = functional.linear(h, self.weight_hidden).chunk(3, 1)
        r = torch.sigmoid(x_r + h_r)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * (h_n + self.bias_candidate))
        h = (1 - z) * n + z * h
        return h, (h,)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        (h,) = state
        bias_hidden = functional.pad(self.bias_candidate, (2 * self.hidden_size, 0))
        weights = (self.weight_input, self.weight_hidden, self.bias, bias_hidden)
        output, _ = torch.gru(x, h.unsqueeze(0), weights, True, 1, 0.0, self.training, False, True)
        return output, (last_valid(output, lengths, h),)
