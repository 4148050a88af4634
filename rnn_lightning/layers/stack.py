"""Layers on top of each other, in one direction or both, around any recurrent layer.

B sequences, T steps, D input features, H hidden features of a layer in one direction, F output features: H, or 2H when
bidirectional; P in place of H where they are projected. The state is a tuple with one state for each layer.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.dropout import LockedDropout, check_share, recurrent_matrices
from rnn_lightning.layers.padding import check_sequences, reverse, zero_padding
from rnn_lightning.layers.projected import Projected
from rnn_lightning.layers.transformer import Transformer

StackState = tuple[State, ...]

_MOST_LAYERS = 1000
"""More are a slip, or somebody's joke: to make them takes all memory."""


class Bidirectional(nn.Module):
    """One layer forwards beside one backwards, side by side in the output: [forward; backward], (B, T, 2H).

    The backward one starts at each sequence's own last valid step. The state is the forward layer's followed by the
    backward layer's; it cannot be given, since the backward one would need the future.

    Args:
        forward_layer: goes through the sequence as it stands.
        backward_layer: goes through the reversed sequence.
    """

    def __init__(self, forward_layer: RecurrentLayer, backward_layer: RecurrentLayer) -> None:
        super().__init__()
        self.forward_layer = forward_layer
        self.backward_layer = backward_layer
        self.hidden_size = forward_layer.hidden_size + backward_layer.hidden_size

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """As a recurrent layer, x (B, T, D) to output (B, T, 2H).

        Raises:
            ValueError: a shape does not fit, or a state was given.
        """
        if state is not None:
            raise ValueError("a bidirectional layer takes no state: its backward direction would need the future")
        forwards, forward_state = self.forward_layer(x, lengths)
        backwards, backward_state = self.backward_layer(reverse(x, lengths), lengths)
        return torch.cat((forwards, reverse(backwards, lengths)), 2), forward_state + backward_state


class RecurrentStack(nn.Module):
    """A stack of recurrent layers.

    Args:
        make_layer: makes one layer in one direction from its input size and its hidden size.
        input_size: features of a step, D.
        hidden_size: features of each layer in each direction, H.
        num_layers: layers on top of each other.
        bidirectional: run each layer in both directions; a Transformer's is then one layer of 2H features in which
            every step sees all steps.
        dropout: share of the features set to zero between layers, never after the last.
        residual: add each layer's input to its output, through a linear map where their sizes differ.
        prenorm: as residual, and each layer sees its input after layer normalisation: x + layer(LN(x))
            (Xiong et al. 2020, https://arxiv.org/abs/2002.04745).
        locked_dropout: dropout between layers is of the same features at all steps of a sequence.
        weight_dropout: share of the recurrent matrices' weights set to zero, others in each call
            (Merity et al. 2018, https://arxiv.org/abs/1708.02182).
        projection_size: features that each layer's output in each direction is brought to, P; None: left as it is.

    Raises:
        ValueError: a size is not positive, a dropout is outside [0, 1), or there is nothing that it could drop.
    """

    def __init__(
        self,
        make_layer: Callable[[int, int], RecurrentLayer],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        prenorm: bool = False,
        locked_dropout: bool = False,
        weight_dropout: float = 0.0,
        projection_size: int | None = None,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers is {num_layers}; it must be at least 1")
        if num_layers > _MOST_LAYERS:
            raise ValueError(f"num_layers is {num_layers}; it must be at most {_MOST_LAYERS}")
        check_share("dropout between layers", dropout)
        check_share("weight_dropout", weight_dropout)
        if dropout > 0.0 and num_layers == 1:
            raise ValueError(
                "there is dropout between layers, but only one layer: give num_layers 2 or more, or no dropout"
            )
        if locked_dropout and dropout == 0.0:
            raise ValueError("locked_dropout is true, but there is no dropout between layers")
        self.input_size = input_size
        self.bidirectional = bidirectional
        self.weight_dropout = weight_dropout
        directions = 2 if bidirectional else 1
        self.output_size = directions * (hidden_size if projection_size is None else projection_size)
        sizes = [input_size] + [self.output_size] * num_layers

        def projected(layer: RecurrentLayer, directions: int = 1) -> RecurrentLayer:
            return layer if projection_size is None else Projected(layer, directions * projection_size)

        def one_layer(size: int) -> nn.Module:
            layer = make_layer(size, hidden_size)
            if not bidirectional:
                return projected(layer)
            if isinstance(layer, Transformer):
                return projected(Transformer(size, 2 * hidden_size, layer.num_heads).unmasked(), 2)
            return Bidirectional(projected(layer), projected(make_layer(size, hidden_size)))

        self.layers = nn.ModuleList(one_layer(size) for size in sizes[:-1])
        if weight_dropout > 0.0 and not recurrent_matrices(self.layers):
            layer = next(module for module in self.layers.modules() if isinstance(module, RecurrentLayer))
            raise ValueError(f"weight_dropout is {weight_dropout}, but {type(layer).__name__} has no recurrent matrix")
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes[:-1]) if prenorm else None
        self.skips = nn.ModuleList(_skip(size, out) for size, out in pairwise(sizes)) if residual or prenorm else None

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: StackState | None = None
    ) -> tuple[Tensor, StackState]:
        """A whole batch of padded sequences.

        Args:
            x: the inputs (B, T, D). What stands beyond a length is not looked at.
            lengths: valid steps of each sequence (B,) int64; None: all are.
            state: the state to begin with, as an earlier call returned it; None: the initial one.

        Returns:
            The last layer's outputs (B, T, F), zero beyond each length, and each layer's state at each sequence's own
            end.

        Raises:
            ValueError: a shape does not fit, or a bidirectional stack was given a state.
        """
        check_sequences(x, lengths, self.input_size)
        before = self._states(state)
        after = []
        if self.skips is not None:
            # The layers do not look at padding; the residual paths would.
            x = zero_padding(x, lengths)
        for index in range(len(self.layers)):
            x = self.dropout(x) if index > 0 else x
            output, new = self._through(index, x, lengths, before[index])
            x = self._join(index, x, output)
            after.append(new)
        return x, tuple(after)

    def step(self, x_t: Tensor, state: StackState | None = None) -> tuple[Tensor, StackState]:
        """One time step through all layers: x_t (B, D) to the output (B, H) and the new state.

        Raises:
            ValueError: the stack is bidirectional: its backward direction begins at the end.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional stack cannot go step by step: its backward direction begins at the end")
        if self.training:
            # What is dropped is dropped in one place.
            output, after_one = self(x_t.unsqueeze(1), None, state)
            return output.squeeze(1), after_one
        before = self._states(state)
        after = []
        for index, layer in enumerate(self.layers):
            seen = x_t if self.norms is None else self.norms[index](x_t)
            output, new = layer.step(seen, before[index])  # type: ignore[operator]  # a ModuleList does not say of what
            x_t = self._join(index, x_t, output)
            after.append(new)
        return x_t, tuple(after)

    def _through(self, index: int, x: Tensor, lengths: Tensor | None, state: State | None) -> tuple[Tensor, State]:
        """One layer, after normalisation, with weights dropped from its recurrent matrices."""
        layer = self.layers[index]
        x = x if self.norms is None else self.norms[index](x)
        matrices = recurrent_matrices(layer) if self.training and self.weight_dropout > 0.0 else {}
        # In place of the parameters for this call only, so that these stay what an optimiser and a checkpoint know.
        dropped = {name: functional.dropout(weight, self.weight_dropout) for name, weight in matrices.items()}
        output, new = functional_call(layer, dropped, (x, lengths, state)) if dropped else layer(x, lengths, state)
        return output, new

    def _states(self, state: StackState | None) -> StackState | tuple[None, ...]:
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, tuple | list):
            raise ValueError("the state of a stack is a tuple with the state of each layer, itself a tuple of tensors")
        if len(state) != len(self.layers):
            raise ValueError(f"the stack has {len(self.layers)} layers; it was given {len(state)} states")
        return state

    def _join(self, index: int, x: Tensor, output: Tensor) -> Tensor:
        return output if self.skips is None else output + self.skips[index](x)


def _skip(input_size: int, output_size: int) -> nn.Module:
    """The residual path: the identity where the sizes allow it. Without a bias, so that padding stays zero."""
    return nn.Identity() if input_size == output_size else nn.Linear(input_size, output_size, bias=False)
