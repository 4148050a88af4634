"""The simple recurrent unit, SRU, in its first form (Lei et al. 2017, https://arxiv.org/abs/1709.02755v1).

B sequences, T steps, D input features, H hidden features. State: (c,), c (B, H). s is the logistic function.

    g = W_g x_t                          candidate
    f = s(W_f x_t + b_f)                 forget gate: 1 keeps the memory
    r = s(W_r x_t + b_r)                 highway gate: 0 lets the input through
    c_t = f * c_{t-1} + (1 - f) * g
    h_t = r * tanh(c_t) + (1 - r) * x_t

The output is h_t. The blocks of W (3H, D) stand in the order g, f, r, those of b (2H,) in the order f, r. Where D is
not H, the highway's x_t is W_x x_t, with a fourth block in W. The gates of the later form see c too; these do not,
which is what lets all steps be computed at once.
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


class SRU(RecurrentLayer):
    """Simple recurrent unit.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    state_names = ("c",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        num_blocks = 3 if input_size == hidden_size else 4
        self.weight_input = nn.Parameter(torch.empty(num_blocks * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each block by itself, Xavier; forget gates that remember for 2 to 60 steps, evenly spread; no other bias."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        with torch.no_grad():
            forget, _ = self.bias.zero_().chunk(2)
            log_memories_(forget)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (c,) = self.begin(x_t, state)
        f, written, r, around = self._gates(x_t, c)
        c = f * c + written
        return torch.lerp(around, torch.tanh(c), r), (c,)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        (c,) = state
        f, written, r, around = self._gates(x, c)
        memory = scan(f, written, c)
        return torch.lerp(around, torch.tanh(memory), r), (last_valid(memory, lengths, c),)

    def _gates(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """f, (1 - f) * g, r and the highway's input for one step or for all, (..., H), in the type of the state."""
        blocks = self.weight_input.size(0) // self.hidden_size
        bias = functional.pad(self.bias, (self.hidden_size, (blocks - 3) * self.hidden_size))
        g, f, r, *projected = linear(x, self.weight_input, bias).to(c.dtype).chunk(blocks, -1)
        f = torch.sigmoid(f)
        return f, (1 - f) * g, torch.sigmoid(r), projected[0] if projected else x.to(c.dtype)
