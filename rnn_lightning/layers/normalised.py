"""What the layers with layer normalisation share (Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450).

B sequences, T steps, D input features, H hidden features, G gates. LN makes mean 0 and variance 1 over the H features
of a gate, each gate by itself, then multiplies by a gain:

    p_t = LN(W x_t) + b         (B, G H), for all steps at once
    r_t = LN(U (d * h_{t-1}))   (B, G H)
    h_t = z * h_{t-1} + (1 - z) * what the layer makes of p_t, r_t and its state

W is (G H, D), U (G H, H), b and the gains of both (G H,). Without the two options d is 1 and z is 0. In training,
variational dropout (Gal and Ghahramani 2016, https://arxiv.org/abs/1512.05287) makes d 0 in a share of the H features,
the same ones at all steps of a sequence (of a call, where the state is carried), and zoneout (Krueger et al. 2017,
https://arxiv.org/abs/1606.01305) makes z 1 in a share of them, others at each step; in evaluation d is 1 and z is that
share. Nothing else is dropped: a memory c is carried on as it is.

LN(W x_t) is the same for x_t and 2 x_t: of inputs that are numbers of their own, not embeddings, the size is lost.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State, loop
from rnn_lightning.layers.dropout import check_share, mask_like
from rnn_lightning.layers.init import orthogonal_blocks_, xavier_blocks_
from rnn_lightning.layers.product import linear


class NormalisedLayer(RecurrentLayer):
    """A recurrent layer with layer normalisation: its equations are in `after_norm`.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        recurrent_dropout: share of the features of h that the matrix U does not see.
        zoneout: share of the features of h that a step leaves as they were.

    Raises:
        ValueError: a size is not positive, or a share is outside [0, 1).
    """

    num_gates: int
    """G, the blocks of W and U."""

    def __init__(self, input_size: int, hidden_size: int, recurrent_dropout: float = 0.0, zoneout: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        check_share("recurrent_dropout", recurrent_dropout)
        check_share("zoneout", zoneout)
        self.recurrent_dropout = recurrent_dropout
        self.zoneout = zoneout
        rows = self.num_gates * hidden_size
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias, self.gain_input, self.gain_hidden = (nn.Parameter(torch.empty(rows)) for _ in range(3))

    def reset_parameters(self) -> None:
        """Each gate's block by itself: Xavier for the input, orthogonal for the recurrence; no bias, all gains 1."""
        xavier_blocks_(self.weight_input, self.hidden_size)
        orthogonal_blocks_(self.weight_hidden, self.hidden_size)
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.gain_input)
        nn.init.ones_(self.gain_hidden)

    @abstractmethod
    def after_norm(self, p_t: Tensor, r_t: Tensor, state: State) -> State:
        """The new state, h first, from p_t and r_t (B, G H) and the state before."""

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.begin(x_t, state)
        return self._next(self._inputs(x_t, state), state, self._mask(state))

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        return loop(partial(self._next, mask=self._mask(state)), self._inputs(x, state), lengths, state)

    def _inputs(self, x: Tensor, state: State) -> Tensor:
        """What p_t is, for one step or for all, (..., G H), in the type of the state."""
        p = linear(x, self.weight_input).to(state[0].dtype)
        return torch.addcmul(self.bias, self._per_gate(p), self.gain_input)

    def _next(self, p_t: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        before = state[0]
        r_t = functional.linear(before if mask is None else before * mask, self.weight_hidden).to(before.dtype)
        h, *memory = self.after_norm(p_t, self._per_gate(r_t) * self.gain_hidden, state)
        h = self._zoned_out(before, h)
        return h, (h, *memory)

    def _per_gate(self, a: Tensor) -> Tensor:
        """Mean 0 and variance 1 over the features of each gate, (..., G H)."""
        return functional.layer_norm(a.view(*a.shape[:-1], self.num_gates, -1), (self.hidden_size,)).flatten(-2)

    def _mask(self, state: State) -> Tensor | None:
        active = self.training and self.recurrent_dropout > 0.0
        return mask_like(state[0], self.recurrent_dropout) if active else None

    def _zoned_out(self, before: Tensor, h: Tensor) -> Tensor:
        if self.zoneout == 0.0:
            return h
        if not self.training:
            return torch.lerp(h, before, self.zoneout)
        return torch.where(torch.rand_like(h) < self.zoneout, before, h)
