"""The vanilla recurrent network with layer normalisation, in the letters of `normalised.py`. State: (h,), h (B, H).

    h_t = tanh(p_t + r_t)        one block, G = 1

The output is h_t.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnn_lightning.layers.base import State
from rnn_lightning.layers.normalised import NormalisedLayer


class LayerNormRNN(NormalisedLayer):
    """Vanilla recurrent layer with layer normalisation.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        recurrent_dropout: share of the features of h that the matrix U does not see, the same ones all along.
        zoneout: share of the features of h that a step leaves as they were.
    """

    num_gates = 1

    def __init__(self, input_size: int, hidden_size: int, recurrent_dropout: float = 0.0, zoneout: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, recurrent_dropout, zoneout)
        self.reset_parameters()

    def after_norm(self, p_t: Tensor, r_t: Tensor, state: State) -> State:
        return (torch.tanh(p_t + r_t),)
