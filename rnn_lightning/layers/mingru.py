"""The minimal gated recurrent unit, minGRU (Feng et al. 2024, https://arxiv.org/abs/2410.01201).

B sequences, T steps, D input features, H hidden features. State: (h,), h (B, H). s is the logistic function.

    z = s(W_z x_t + b_z)                 update gate: 1 overwrites the old state, where a GRU's keeps it
    v = W_h x_t + b_h                    candidate
    h_t = (1 - z) * h_{t-1} + z * v

The output is h_t. The blocks of W (2H, D) and b (2H,) stand in the order z, h.

The paper computes in logarithms, for which states have to be positive: there a function g is applied to the candidate,
v + 0.5 where v is positive and s(v) elsewhere. `scan` needs no logarithms, so these are the equations of the paper's
section 3.1, without g, and states have both signs.

Neither z nor v sees h: what the first layer does at a step depends on that step's input alone, not on what came before
and not on how many steps there were. Whatever needs that, "the first step" for one, takes a second layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import xavier_blocks_
from rnn_lightning.layers.padding import last_valid
from rnn_lightning.layers.product import linear
from rnn_lightning.layers.scan import scan

_LONGEST = 60
"""Steps that a feature remembers at most, at the beginning of a training."""


class MinGRU(RecurrentLayer):
    """Minimal gated recurrent unit.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each block by itself, Xavier; update gates that remember for 2 to 60 steps, evenly spread; no other bias.

        After Tallec and Ollivier (2018, https://arxiv.org/abs/1804.11188): a gate z remembers for about 1 / z steps.
        """
        xavier_blocks_(self.weight_input, self.hidden_size)
        with torch.no_grad():
            update, _ = self.bias.zero_().chunk(2)
            update.uniform_(1.0, _LONGEST - 1.0).log_().neg_()

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = self.begin(x_t, state)
        z, v = self._gate_and_candidate(x_t, h)
        h = (1 - z) * h + z * v
        return h, (h,)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        (h,) = state
        z, v = self._gate_and_candidate(x, h)
        output = scan(1 - z, z * v, h)
        return output, (last_valid(output, lengths, h),)

    def _gate_and_candidate(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Both for one step or for all, (..., H), in the type of the state: 1 - z would lose its digits in 16 bits."""
        z, v = linear(x, self.weight_input, self.bias).to(h.dtype).chunk(2, -1)
        return torch.sigmoid(z), v
