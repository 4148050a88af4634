"""The quasi-recurrent network with fo-pooling (Bradbury et al. 2017, https://arxiv.org/abs/1611.01576).

B sequences, T steps, D input features, H hidden features. State: (c, x_{t-1}), c (B, H) and x_{t-1} (B, D), zero before
the first step. s is the logistic function.

    g = tanh(W_g [x_{t-1}; x_t] + b_g)   candidate
    f = s(W_f [x_{t-1}; x_t] + b_f)      forget gate: 1 keeps the memory
    o = s(W_o [x_{t-1}; x_t] + b_o)      output gate
    c_t = f * c_{t-1} + (1 - f) * g
    h_t = o * c_t

The output is h_t. The blocks of W (3H, 2D) and b (3H,) stand in the order g, f, o, the columns in the order x_{t-1},
x_t: a convolution over two steps, which sees no later one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import log_memories_, xavier_blocks_
from rnn_lightning.layers.padding import last_valid
from rnn_lightning.layers.product import linear
from rnn_lightning.layers.scan import scan


class QRNN(RecurrentLayer):
    """Quasi-recurrent layer.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    num_states = 2
    state_names = ("c",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(3 * hidden_size, 2 * input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each block by itself, Xavier; forget gates that remember for 2 to 60 steps, evenly spread; no other bias."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        with torch.no_grad():
            _, forget, _ = self.bias.zero_().chunk(3)
            log_memories_(forget)

    def initial_state(self, x: Tensor) -> State:
        """Zeros: c (B, H) and the input before the first (B, D)."""
        return x.new_zeros(x.size(0), self.hidden_size), x.new_zeros(x.size(0), self.input_size)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        c, x_before = self.begin(x_t, state)
        f, written, o = self._gates(x_before, x_t, c)
        c = f * c + written
        return o * c, (c, x_t)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        c, x_before = state
        f, written, o = self._gates(torch.cat((x_before.unsqueeze(1), x[:, :-1]), 1), x, c)
        memory = scan(f, written, c)
        return o * memory, (last_valid(memory, lengths, c), last_valid(x, lengths, x_before))

    def _gates(self, x_before: Tensor, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """f, (1 - f) * g and o for one step or for all, (..., H), in the type of the state."""
        a = linear(torch.cat((x_before, x), -1), self.weight_input, self.bias)
        g, f, o = a.to(c.dtype).chunk(3, -1)
        f = torch.sigmoid(f)
        return f, (1 - f) * torch.tanh(g), torch.sigmoid(o)
