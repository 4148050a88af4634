"""sLSTM, the LSTM with exponential gates of xLSTM (Beck et al. 2024, https://arxiv.org/abs/2405.04517).

B sequences, T steps, D input features, H hidden features. State: (h, c, n, m), all (B, H). s is the logistic function.

    i~ = W_i x_t + U_i h_{t-1} + b_i          logarithm of the input gate
    f~ = log s(W_f x_t + U_f h_{t-1} + b_f)   logarithm of the forget gate
    g = tanh(W_g x_t + U_g h_{t-1} + b_g)     candidate
    o = s(W_o x_t + U_o h_{t-1} + b_o)        output gate
    m_t = max(f~ + m_{t-1}, i~)               the larger logarithm: c_t and n_t are divided by exp(m_t)
    i = exp(i~ - m_t),  f = exp(f~ + m_{t-1} - m_t)
    c_t = f * c_{t-1} + i * g                 memory
    n_t = f * n_{t-1} + i                     what the memory has been written with in all
    h_t = o * c_t / n_t

The output is h_t. The blocks of W (4H, D), U (4H, H) and b (4H,) stand in the order i, f, g, o. Every feature sees
all of h through U: in the paper's words there is one head.

Before the first step h, c and n are 0 and m is -1e4, so that f is 0 and i is 1 there, whatever i~: no branch is needed,
and each sequence begins by itself. From then on n is at least 1, since one of i and f is 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State, loop
from rnn_lightning.layers.init import log_memories_, orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.product import linear

_NOTHING = -1e4
"""As good as the logarithm of 0; 16-bit floats hold it."""


class SLSTM(RecurrentLayer):
    """LSTM with exponential gates and a normalised memory.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    num_states = 4

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier, orthogonal; forget gates that remember for 2 to 60 steps, evenly spread; no other bias.

        The authors spread the forget gates too, by a power law of the layer's place in a stack.
        """
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        with torch.no_grad():
            _, forget, _, _ = self.bias.zero_().chunk(4)
            log_memories_(forget)

    def initial_state(self, x: Tensor) -> State:
        """Zeros, but for m."""
        h, c, n, m = super().initial_state(x)
        return h, c, n, torch.full_like(m, _NOTHING)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x_t, state)
        return self._after_product(linear(x_t, self.weight_input, self.bias), state)

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        return loop(self._after_product, linear(x, self.weight_input, self.bias), lengths, state)

    def _after_product(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """One step from p_t, W x_t + b (B, 4H)."""
        h, c, n, m = state
        i, f, g, o = (p_t + functional.linear(h, self.weight_hidden)).to(c.dtype).chunk(4, 1)
        log_f = functional.logsigmoid(f) + m
        m = torch.maximum(log_f, i)
        i, f = torch.exp(i - m), torch.exp(log_f - m)
        c = f * c + i * torch.tanh(g)
        n = f * n + i
        h = torch.sigmoid(o) * c / n
        return h, (h, c, n, m)
