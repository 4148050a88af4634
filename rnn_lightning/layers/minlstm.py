"""The minimal long short-term memory, minLSTM (Feng et al. 2024, https://arxiv.org/abs/2410.01201).

B sequences, T steps, D input features, H hidden features. State: (h,), h (B, H). s is the logistic function.

    f = s(W_f x_t + b_f)                 forget gate
    i = s(W_i x_t + b_i)                 input gate
    v = W_h x_t + b_h                    candidate
    f' = f / (f + i),  i' = i / (f + i)  the two as shares of a whole
    h_t = f' * h_{t-1} + i' * v

The output is h_t. The blocks of W (3H, D) and b (3H,) stand in the order f, i, h.

The shares are computed from logarithms, f' = s(log f - log i) and i' = s(log i - log f), which hold where both gates
are so small that f + i is 0. As in `mingru.py`, `scan` needs no positive states: the paper's function g is not applied
to the candidate, and a state is carried as it is, where the paper's listing applies g to it once more.

No gate sees h: whatever depends on what came before takes a second layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import log_memories_, xavier_blocks_
from rnn_lightning.layers.padding import last_valid
from rnn_lightning.layers.product import linear
from rnn_lightning.layers.scan import scan


class MinLSTM(RecurrentLayer):
    """Minimal long short-term memory.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each block by itself, Xavier; memories of 2 to 60 steps, evenly spread; no other bias.

        The input gate's bias is the negative of the forget gate's: i' is then 1 / (1 + exp(b_f)) where x is 0.
        """
        xavier_blocks_(self.weight_input, self.hidden_size)
        with torch.no_grad():
            forget, write, _ = self.bias.zero_().chunk(3)
            write.copy_(-log_memories_(forget))

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = self.begin(x_t, state)
        kept, written = self._kept_and_written(x_t, h)
        h = kept * h + written
        return h, (h,)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        (h,) = state
        output = scan(*self._kept_and_written(x, h), h)
        return output, (last_valid(output, lengths, h),)

    def _kept_and_written(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The shares f' and, of v, i' * v for one step or for all, (..., H), in the type of the state."""
        f, i, v = linear(x, self.weight_input, self.bias).to(h.dtype).chunk(3, -1)
        difference = functional.logsigmoid(f) - functional.logsigmoid(i)
        return torch.sigmoid(difference), torch.sigmoid(-difference) * v
