"""Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

B sequences, T steps, D input features, H hidden features. State: (h, c), both (B, H). s is the logistic function.

    i = s(W_i x_t + U_i h_{t-1} + b_i)         input gate
    f = s(W_f x_t + U_f h_{t-1} + b_f)         forget gate: 1 keeps the memory
    g = tanh(W_g x_t + U_g h_{t-1} + b_g)      candidate
    o = s(W_o x_t + U_o h_{t-1} + b_o)         output gate
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

The output is h_t. The blocks of W (4H, D), U (4H, H) and b (4H,) stand in the order i, f, g, o.

By choice the two gates of the memory are coupled (Greff et al. 2017, https://arxiv.org/abs/1503.04069), i = 1 - f, and
there is no block of i. By choice the gates see the memory (Gers and Schmidhuber 2000), each feature its own: within s,
p_i * c_{t-1} is added in i, p_f * c_{t-1} in f, p_o * c_t in o, with weights p (H,) that begin at 0. Either choice goes
step by step, which takes two to three times as long: torch's kernel knows none of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State, loop
from rnn_lightning.layers.init import check_finite, orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.padding import add_padding_input, last_valid
from rnn_lightning.layers.product import linear

_CLOSED, _OPEN = -1e4, 1e4
"""Added to a gate's argument, these make it exactly 0 and exactly 1 (16-bit floats hold them too)."""


class LSTM(RecurrentLayer):
    """Long short-term memory.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        coupled: write as much as is forgotten, i = 1 - f.
        peephole: let the gates see the memory.
        forget_bias: what the forget gate's bias begins with; above 0 the gate begins open.

    Raises:
        ValueError: a size is not positive, or forget_bias is no finite number.
    """

    num_states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        coupled: bool = False,
        peephole: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_finite("forget_bias", forget_bias)
        self.coupled = coupled
        self.forget_bias = forget_bias
        num_gates = 3 if coupled else 4
        self._blocks = ((num_gates - 2) * hidden_size, hidden_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(num_gates * hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(num_gates * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(num_gates * hidden_size))
        self.weight_peephole = nn.Parameter(torch.empty((num_gates - 1) * hidden_size)) if peephole else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each gate's block by itself: Xavier for the input, orthogonal for the recurrence; other biases 0."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        nn.init.zeros_(self.bias)
        self.open_forget_gate()
        if self.weight_peephole is not None:
            nn.init.zeros_(self.weight_peephole)

    @torch.no_grad()
    def open_forget_gate(self) -> None:
        """Gives the forget gate the bias that it is to begin with."""
        *_, forget, _, _ = self.bias.chunk(3 if self.coupled else 4)
        forget.fill_(self.forget_bias)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x_t, state)
        return self._after_product(linear(x_t, self.weight_input, self.bias), state)

    def _after_product(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """One step from p_t, W x_t + b (B, 4H)."""
        h, c = state
        a = (p_t + functional.linear(h, self.weight_hidden)).to(c.dtype)
        i_f, g, o = a.split_with_sizes(self._blocks, 1)
        if self.weight_peephole is not None:
            p_i_f, p_o = self.weight_peephole.split_with_sizes((self._blocks[0], self.hidden_size))
            i_f = i_f + p_i_f * c.repeat(1, 1 if self.coupled else 2)
        *i, f = torch.sigmoid(i_f).chunk(1 if self.coupled else 2, 1)
        c = f * c + (1 - f if self.coupled else i[0]) * torch.tanh(g)
        if self.weight_peephole is not None:
            o = o + p_o * c
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        if self.coupled or self.weight_peephole is not None:
            return loop(self._after_product, linear(x, self.weight_input, self.bias), lengths, state)
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
