"""What every recurrent layer promises.

B sequences, T steps, D input features, H hidden features.

    output, state = layer(x, lengths=None, state=None)   # x (B, T, D), lengths (B,) int64, output (B, T, H)
    y, state = layer.step(x_t, state)                    # x_t (B, D), y (B, H): one time step, for streaming

A layer runs in one direction; `stack.py` adds layers, directions, dropout and residual paths around any of them. The
state is a tuple of tensors, each (B, ...). A sequence's result does not depend on its padding or its neighbours;
outputs beyond its length are zero, its final state is the one at its own last step, and a length of 0 leaves the state
as it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnn_lightning.layers.padding import check_sequences, valid_steps, zero_padding

State = tuple[Tensor, ...]


class RecurrentLayer(nn.Module, ABC):
    """One recurrent layer in one direction. Write `step`, and `forward` follows from it.

    A layer that has a faster way through a whole sequence overrides `unroll`; `rnn_lightning.check_layer` holds it to
    the results of the loop.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.

    Raises:
        ValueError: a size is not positive.
    """

    num_states = 1
    """How many tensors the state has; each is (B, H) unless `initial_state` says otherwise."""
    state_names: tuple[str, ...] = ("h", "c")
    """What its first tensors are: h, the hidden state, and c, the memory cell. What has no name is not looked at."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if size < 1:
                raise ValueError(f"{name} is {size}; it must be at least 1")
        self.input_size = input_size
        self.hidden_size = hidden_size

    @abstractmethod
    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One time step.

        Args:
            x_t: the input (B, D).
            state: what the step before returned; None at the beginning.

        Returns:
            The output (B, H) and the new state.
        """

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """A whole batch of padded sequences.

        Args:
            x: the inputs (B, T, D). What stands beyond a length is not looked at.
            lengths: valid steps of each sequence (B,) int64; None: all are.
            state: the state to begin with, as an earlier call returned it; None: the initial one.

        Returns:
            The outputs (B, T, H), zero beyond each length, and the state at each sequence's own last step.

        Raises:
            ValueError: a shape does not fit.
        """
        check_sequences(x, lengths, self.input_size)
        state = self._given_or_initial(x, state)
        if x.size(1) == 0:
            return x.new_zeros(x.size(0), 0, self.hidden_size), state
        output, state = self.unroll(zero_padding(x, lengths), lengths, state)
        return zero_padding(output, lengths), state

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Goes through the sequences step by step; a layer overrides it with a faster way.

        Args:
            x: the inputs (B, T, D), T at least 1, zero beyond each length.
            lengths: valid steps of each sequence (B,) int64; None: all are.
            state: the state to begin with.

        Returns:
            The outputs (B, T, H), anything finite beyond each length, and the state at each sequence's own last step.
        """
        return loop(self.step, x, lengths, state)

    def begin(self, x_t: Tensor, state: State | None) -> State:
        """The state that a step begins with: the given one, checked, or the initial one.

        Args:
            x_t: the input (B, D): says the batch size, the device and the type.
            state: the given state or None.

        Raises:
            ValueError: `x_t` is not one step, or the given state is not this layer's for this batch.
        """
        if x_t.dim() != 2 or x_t.size(1) != self.input_size:
            raise ValueError(f"x_t must be (B, {self.input_size}); it is {tuple(x_t.shape)}")
        return self._given_or_initial(x_t, state)

    def initial_state(self, x: Tensor) -> State:
        """Zeros, `num_states` tensors of (B, H), like the input `x` in device and type."""
        return tuple(x.new_zeros(x.size(0), self.hidden_size) for _ in range(self.num_states))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"

    def _given_or_initial(self, x: Tensor, state: State | None) -> State:
        if state is None:
            return self.initial_state(x)
        wanted = [tuple(tensor.shape) for tensor in self.initial_state(x)]
        given = self._shapes(state)
        if given != wanted:
            raise ValueError(f"the state of this {type(self).__name__} has shapes {wanted}; it was given {given}")
        return state

    def _shapes(self, state: State) -> list[tuple[int, ...]]:
        if not isinstance(state, tuple | list) or not all(isinstance(tensor, Tensor) for tensor in state):
            raise ValueError(
                f"the state of this {type(self).__name__} is a tuple of tensors, also where it is one alone"
            )
        return [tuple(tensor.shape) for tensor in state]


def loop(
    step: Callable[[Tensor, State], tuple[Tensor, State]], x: Tensor, lengths: Tensor | None, state: State
) -> tuple[Tensor, State]:
    """What `RecurrentLayer.unroll` promises, from any function of one step.

    Args:
        step: from the input of a step (B, ...) and a state to the output (B, H) and the new state.
        x: the inputs (B, T, ...), T at least 1, finite beyond each length.
        lengths: valid steps of each sequence (B,) int64; None: all are.
        state: the state to begin with.
    """
    valid = None if lengths is None else valid_steps(lengths, x.size(1)).unbind(1)
    outputs = []
    for t, x_t in enumerate(x.unbind(1)):
        y, new = step(x_t, state)
        outputs.append(y)
        state = new if valid is None else tuple(where_row(valid[t], n, s) for n, s in zip(new, state, strict=True))
    return torch.stack(outputs, 1), state


def where_row(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Row by row: `yes` where `condition` (B,) holds, else `no`, both (B, ...)."""
    return torch.where(condition.view(-1, *[1] * (yes.dim() - 1)), yes, no)
