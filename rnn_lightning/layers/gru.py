"""The gated recurrent unit (Cho et al. 2014, https://arxiv.org/abs/1406.1078), in the form of cuDNN and torch.

B sequences, T steps, D input features, H hidden features. State: (h,), h (B, H). s is the logistic function.

    r = s(W_r x_t + U_r h_{t-1} + b_r)                        reset gate
    z = s(W_z x_t + U_z h_{t-1} + b_z)                        update gate: 1 keeps the old state
    n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + b_hn))        candidate, the reset after the matrix product
    h_t = (1 - z) * n + z * h_{t-1}

With `reset: before` the reset gate comes before the matrix product, as in the paper:

    n = tanh(W_n x_t + U_n (r * h_{t-1}) + b_n)

There is no b_hn then, and no kernel of torch's: it goes step by step.

The output is h_t. The blocks of W (3H, D), U (3H, H) and b (3H,) stand in the order r, z, n.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State, loop
from rnn_lightning.layers.init import orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.padding import last_valid
from rnn_lightning.layers.product import linear


class GRU(RecurrentLayer):
    """Gated recurrent unit.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        reset: after the matrix product, or before it.
    """

    def __init__(self, input_size: int, hidden_size: int, reset: Literal["after", "before"] = "after") -> None:
        super().__init__(input_size, hidden_size)
        if reset not in ("after", "before"):
            raise ValueError(f"reset is '{reset}', not one of after, before")
        self.weight_input = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.bias_candidate = nn.Parameter(torch.empty(hidden_size)) if reset == "after" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each gate's block by itself: Xavier for the input, orthogonal for the recurrence; no bias."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        nn.init.zeros_(self.bias)
        if self.bias_candidate is not None:
            nn.init.zeros_(self.bias_candidate)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x_t, state)
        return self._after_product(linear(x_t, self.weight_input, self.bias), state)

    def _after_product(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """One step from p_t, W x_t + b (B, 3H)."""
        (h,) = state
        weight_gates, weight_n = self.weight_hidden.split_with_sizes((2 * self.hidden_size, self.hidden_size))
        p_gates, p_n = p_t.to(h.dtype).split_with_sizes((2 * self.hidden_size, self.hidden_size), 1)
        r, z = torch.sigmoid(p_gates + functional.linear(h, weight_gates)).chunk(2, 1)
        if self.bias_candidate is None:
            n = torch.tanh(p_n + functional.linear(r * h, weight_n))
        else:
            n = torch.tanh(p_n + r * functional.linear(h, weight_n, self.bias_candidate))
        h = (1 - z) * n + z * h
        return h, (h,)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        if self.bias_candidate is None:
            return loop(self._after_product, linear(x, self.weight_input, self.bias), lengths, state)
        (h,) = state
        bias_hidden = functional.pad(self.bias_candidate, (2 * self.hidden_size, 0))
        weights = (self.weight_input, self.weight_hidden, self.bias, bias_hidden)
        output, _ = torch.gru(x, h.unsqueeze(0), weights, True, 1, 0.0, self.training, False, True)
        return output, (last_valid(output, lengths, h),)
