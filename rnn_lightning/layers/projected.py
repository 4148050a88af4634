"""A layer whose output is brought to fewer features, so that a wide state costs the next layer little.

B sequences, T steps, D input features, H hidden features of the layer, P projected features. State: the layer's own.

    h_t = layer(x_t)
    y_t = M h_t                     M (P, H)

The output is y_t. After Sak et al. (2014, https://arxiv.org/abs/1402.1128), who also give y_t to the next step in place
of h_t; here each layer's own recurrence stays as it is, whatever the layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from rnn_lightning.layers.base import RecurrentLayer, State


class Projected(RecurrentLayer):
    """Any recurrent layer with a linear map behind it.

    Args:
        layer: the layer.
        size: features of the output, P.

    Raises:
        ValueError: the size is not positive.
    """

    def __init__(self, layer: RecurrentLayer, size: int) -> None:
        if size < 1:
            raise ValueError(f"projection_size is {size}; it must be at least 1")
        super().__init__(layer.input_size, size)
        self.layer = layer
        self.projection = nn.Linear(layer.hidden_size, size, bias=False)
        self.num_states = layer.num_states
        self.state_names = layer.state_names

    def initial_state(self, x: Tensor) -> State:
        """That of the layer."""
        return self.layer.initial_state(x)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        h, state = self.layer.step(x_t, state)
        return self.projection(h), state

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """As any layer; padding stays zero, since the map has no bias."""
        output, state = self.layer(x, lengths, state)
        return self.projection(output), state
