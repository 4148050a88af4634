"""The gated recurrent unit with layer normalisation, in the letters of `normalised.py`. State: (h,), h (B, H).

    r = s(p_r + r_r)                       reset gate; s is the logistic function
    z = s(p_z + r_z)                       update gate: 1 keeps the old state
    n = tanh(p_n + r * (r_n + b_hn))       candidate, the reset after the matrix product and its normalisation
    h_t = (1 - z) * n + z * h_{t-1}

p_r, p_z and p_n are the three blocks of p_t, G = 3, and r_r, r_z and r_n those of r_t. The output is h_t.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnn_lightning.layers.base import State
from rnn_lightning.layers.normalised import NormalisedLayer


class LayerNormGRU(NormalisedLayer):
    """Gated recurrent unit with layer normalisation.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        recurrent_dropout: share of the features of h that the matrix U does not see, the same ones all along.
        zoneout: share of the features of h that a step leaves as they were.
    """

    num_gates = 3

    def __init__(self, input_size: int, hidden_size: int, recurrent_dropout: float = 0.0, zoneout: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, recurrent_dropout, zoneout)
        self.bias_candidate = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier, orthogonal, no bias, all gains 1."""
        super().reset_parameters()
        nn.init.zeros_(self.bias_candidate)

    def after_norm(self, p_t: Tensor, r_t: Tensor, state: State) -> State:
        (h,) = state
        p_gates, p_n = p_t.split_with_sizes((2 * self.hidden_size, self.hidden_size), 1)
        r_gates, r_n = r_t.split_with_sizes((2 * self.hidden_size, self.hidden_size), 1)
        r, z = torch.sigmoid(p_gates + r_gates).chunk(2, 1)
        n = torch.tanh(p_n + r * (r_n + self.bias_candidate))
        return (torch.lerp(n, h, z),)
