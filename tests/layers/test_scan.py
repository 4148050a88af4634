"""The scan against the recurrence written out in NumPy, and its gradient against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rnn_lightning.layers.scan import by_doubling_, by_loop_, scan
from tests.layers.helpers import assert_close, gradients, projection, random

FACTORS = {
    "near one": lambda shape: 1 - 1e-3 * random(*shape).abs(),
    "of both signs": lambda shape: 1.9 * torch.sigmoid(random(*shape)) - 0.95,
    "of random gates": lambda shape: torch.sigmoid(3 * random(*shape)),
    # Their running product is below any float after a dozen steps.
    "almost zero": lambda shape: 1e-4 * random(*shape),
    "zero or one": lambda shape: random(*shape).gt(0).double(),
}


def _written_out(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """In 64 bits."""
    h, states = initial.double().numpy(), []
    for a_t, b_t in zip(a.double().unbind(1), b.double().unbind(1), strict=True):
        h = a_t.numpy() * h + b_t.numpy()
        states.append(h)
    return torch.from_numpy(np.stack(states, 1))


@pytest.mark.parametrize("factors", FACTORS.values(), ids=FACTORS)
@pytest.mark.parametrize("num_steps", [1, 2, 3, 64, 257, 4096])
def test_states_are_those_of_the_recurrence(num_steps: int, factors: object) -> None:
    shape = (2, num_steps, 8)
    a, b, initial = factors(shape).float(), random(*shape, seed=1).float(), random(2, 8, seed=2).float()
    wanted = _written_out(a, b, initial)
    assert (scan(a, b, initial) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    for backwards in (False, True):
        by_rounds = b.flip(1) if backwards else b.clone()
        by_doubling_(a.flip(1) if backwards else a, by_rounds, initial, backwards)
        found = by_rounds.flip(1) if backwards else by_rounds
        assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("factors", FACTORS.values(), ids=FACTORS)
def test_gradient_in_32_bits_is_that_in_64(factors: object) -> None:
    shape = (2, 4096, 4)
    exact = [factors(shape), random(*shape, seed=1), random(2, 4, seed=2)]

    def found_in(kind: torch.dtype) -> list[Tensor]:
        leaves = [tensor.float().to(kind).requires_grad_() for tensor in exact]
        return gradients(scan(*leaves).mul(random(*shape, seed=3).to(kind)).sum(), leaves)

    for one, other in zip(found_in(torch.float32), found_in(torch.float64), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 3), st.booleans(), st.integers(0, 1000))
def test_doubling_does_what_the_loop_does(batch: int, steps: int, size: int, backwards: bool, seed: int) -> None:
    a, b, initial = (random(batch, steps, size, seed=seed + k) for k in range(3))
    by_steps, by_rounds = b.clone(), b.clone()
    by_loop_(a, by_steps, initial[:, 0], backwards)
    by_doubling_(a, by_rounds, initial[:, 0], backwards)
    assert_close([by_rounds], [by_steps], 1e-12)


@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_gradient_agrees_with_finite_differences(num_steps: int) -> None:
    arguments = [random(2, num_steps, 3, seed=1), random(2, num_steps, 3, seed=2), random(2, 3, seed=3)]
    assert torch.autograd.gradcheck(scan, [tensor.requires_grad_() for tensor in arguments])


def test_two_halves_with_the_state_carried_are_the_whole() -> None:
    a, b, initial = torch.sigmoid(random(2, 9, 3)), random(2, 9, 3, seed=1), random(2, 3, seed=2)
    a.requires_grad_()
    first = scan(a[:, :4], b[:, :4], initial)
    halves, whole = torch.cat((first, scan(a[:, 4:], b[:, 4:], first[:, -1])), 1), scan(a, b, initial)
    assert_close([halves], [whole], 1e-12)
    assert_close(gradients(projection([halves]), [a]), gradients(projection([whole]), [a]), 1e-12)


def test_sixteen_bits_are_computed_in_32() -> None:
    a, b = torch.full((1, 4096, 1), 0.999), torch.full((1, 4096, 1), 1e-3)
    found = scan(a, b, torch.zeros(1, 1, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert found[0, -1].sub(0.983).abs() < 0.005  # in 16 bits it would stay at 0.5: to that 0.001 adds nothing
