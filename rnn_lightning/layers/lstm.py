"""Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

B sequences, T steps, D input features, H hidden features. State: (h, c), both (B, H). s is the logistic function.

    i = s(W_i x_t + U_i h_{t-1} + b_i)         input gate
    f = s(W_f x_t + U_f h_{t-1} + b_f)         forget gate: 1 keeps the memory
    g = tanh(W_g x_t + U_g h_{t-1} + b_g)      candidate
    o = s(W_o x_t + U_o h_{t-1} + b_o)         output gate
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

The output is h_t. The blocks of W (4H, D), U (4H, H) and b (4H,) stand in the order i, f, g, o.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.padding import add_padding_input, last_valid

_CLOSED, _OPEN = -1e4, 1e4
"""Added to a gate's argument, these make it exactly 0 and exactly 1 (16-bit floats hold them too)."""


class LSTM(RecurrentLayer):
    """Long short-term memory.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each gate's block by itself: Xavier for the input, orthogonal for the recurrence; forget bias 1, others 0."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        with torch.no_grad():
            _, forget, _, _ = self.bias.zero_().chunk(4)
            forget.fill_(1.0)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        h, c = self.begin(x_t, state)
        gates = functional.linear(x_t, self.weight_input, self.bias) + functional.linear(h, self.weight_hidden)
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        h, c = state
        weight_input: Tensor = self.weight_input
        if lengths is not None:
            # The kernel returns no memory c but the last step's: on padding a closed input gate and an open forget gate
            # carry c there, untouched and with its gradient.
            x, weight_input = add_padding_input(x, lengths, weight_input, (_CLOSED, _OPEN, 0.0, 0.0))
        # torch's kernel adds two bias vectors: the second stays zero.
        weights = (weight_input, self.weight_hidden, self.bias, torch.zeros_like(self.bias))
        initial = (h.unsqueeze(0), c.unsqueeze(0))
        output, _, last_c = torch.lstm(x, initial, weights, True, 1, 0.0, self.training, False, True)
        return output, (last_valid(output, lengths, h), last_c.squeeze(0))
