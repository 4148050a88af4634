"""Stacks of every kind with padded batches, drawn by hypothesis; and the property that they all share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_lightning.layers import RecurrentStack
from tests.layers.helpers import (
    CELLS,
    TOLERANCE,
    assert_close,
    flat,
    gradients,
    mapped,
    projection,
    random,
    randomised,
    reached_state,
    with_nan_padding,
)


@dataclass
class Case:
    """A stack, and a batch for it with NaN in the padding."""

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    residual: bool
    prenorm: bool
    projection_size: int | None
    given_state: bool
    lengths: list[int]
    more_padding: int
    dtype: torch.dtype
    seed: int

    def __post_init__(self) -> None:
        # Over two features that are almost the same, normalisation multiplies rounding errors by up to 300, and one
        # after the other by more than 32 bits have.
        self.prenorm = self.prenorm and self.dtype == torch.float64

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype] * (300 if self.cell.endswith("_ln") or self.prenorm else 1)

    def stack(self) -> RecurrentStack:
        stack = RecurrentStack(
            CELLS[self.cell],
            self.input_size,
            self.hidden_size,
            self.num_layers,
            bidirectional=self.bidirectional,
            residual=self.residual,
            prenorm=self.prenorm,
            projection_size=self.projection_size,
        )
        return randomised(stack, self.seed, self.dtype)

    def batch(self) -> tuple[Tensor, Tensor]:
        lengths, num_steps = torch.tensor(self.lengths), max(self.lengths) + self.more_padding
        x = random(len(lengths), num_steps, self.input_size, seed=self.seed + 1, dtype=self.dtype)
        return with_nan_padding(x, lengths), lengths

    def state(self) -> tuple | None:
        """A state to begin with, where the stack takes one."""
        if self.bidirectional or not self.given_state:
            return None
        return tuple(
            reached_state(layer, len(self.lengths), self.seed + 2 + index, self.dtype)
            for index, layer in enumerate(self.stack().layers)
        )


def _cases(bidirectional: st.SearchStrategy[bool]) -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        cell=st.sampled_from(list(CELLS)),
        input_size=st.integers(1, 4),
        hidden_size=st.integers(1, 4),
        num_layers=st.integers(1, 3),
        bidirectional=bidirectional,
        residual=st.booleans(),
        prenorm=st.booleans(),
        projection_size=st.none() | st.integers(1, 3),
        given_state=st.booleans(),
        lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
        more_padding=st.integers(0, 3),
        dtype=st.sampled_from(list(TOLERANCE)),
        seed=st.integers(0, 1000),
    )


CASES = _cases(st.booleans())
ONE_DIRECTION = _cases(st.just(False))


def leaves(state: tuple | None) -> tuple | None:
    """The state as something that can be differentiated by."""
    return state and mapped(lambda tensor: tensor.clone().requires_grad_(), state)


Call = Callable[[Tensor, Tensor | None, tuple | None], list[Tensor]]
"""From inputs, lengths and a state to results, each (B, ...)."""


def assert_rows_equal_rows_alone(case: Case, module: nn.Module, call: Call) -> None:
    """Holds each row's results, and their gradients, to those of the row's valid steps as a batch of one."""
    x, lengths = case.batch()
    state, tolerance = case.state(), case.tolerance
    for row, length in enumerate(case.lengths):
        row_state = state and mapped(lambda tensor, row=row: tensor[row : row + 1], state)
        wanted, wanted_begin, wanted_parameters = _row_results(module, call, (x[[row], :length], None, row_state), 0)
        found, begin, parameters = _row_results(module, call, (x, lengths, state), row)
        for one, other in zip(found, wanted, strict=True):
            # The outputs, (T, F), go on as zeros on padding; all else has the same shape.
            assert not one[len(other) :].any()
            assert_close([one[: len(other)]], [other], tolerance)
        others = [index for index in range(len(case.lengths)) if index != row]
        assert not any(gradient[others].any() for gradient in begin)
        assert not begin[0][row, length:].any()
        begin[0] = begin[0][:, :length]
        assert_close([gradient[row] for gradient in begin], [gradient[0] for gradient in wanted_begin], tolerance)
        assert_close(parameters, wanted_parameters, tolerance)


def _row_results(
    module: nn.Module, call: Call, batch: tuple[Tensor, Tensor | None, tuple | None], row: int
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """One row's results, the gradients of x and state, the gradients of the parameters."""
    x, lengths, state = batch
    x, state = x.clone().requires_grad_(), leaves(state)
    results = [result[row] for result in call(x, lengths, state)]
    begin = [x, *flat(state or ())]
    found = gradients(projection(results), [*begin, *module.parameters()])
    return results, found[: len(begin)], found[len(begin) :]
