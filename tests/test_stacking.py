"""Parts weighed by least cross-entropy, beside a search that knows no slopes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from rnn_lightning.stacking import weigh


def _wanted(targets: np.ndarray, classes: int) -> np.ndarray:
    """The classes with the added sequences, one by one."""
    found = np.zeros((len(targets), classes))
    for row, target in enumerate(targets):
        own = (targets == target).sum()
        found[row] = 1 / (own + classes)
        found[row, target] = (own + 1) / (own + classes)
    return found


@pytest.mark.parametrize(("classes", "count"), [(2, 1), (2, 2), (3, 2)])
def test_the_cross_entropy_is_the_least(classes: int, count: int) -> None:
    random = np.random.default_rng(classes)
    targets = random.integers(classes, size=80)
    lines = 1 if classes == 2 else classes
    told = (targets[:, None] == np.arange(classes))[:, -lines:]
    parts = np.stack([2 * told + random.normal(size=told.shape) * (1 + part) for part in range(count)])
    wanted = _wanted(targets, classes)

    def loss(parameters: np.ndarray) -> float:
        logits = np.einsum("k,ksc->sc", parameters[:count], parts) + parameters[count:]
        logits = np.hstack((np.zeros((80, 1)), logits)) if lines == 1 else logits
        return float(-(wanted * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1).mean())

    start = np.array([*[1.0] * count, *[0.0] * lines])
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000}
    by_search = minimize(loss, start, method="Nelder-Mead", options=options)
    scales, offsets, least = weigh(torch.from_numpy(parts), torch.from_numpy(targets))
    assert least == pytest.approx(by_search.fun, abs=1e-8)
    assert least == pytest.approx(loss(np.concatenate((scales, offsets))), abs=1e-10)
    np.testing.assert_allclose(scales, by_search.x[:count], atol=1e-3)


def test_a_part_that_says_the_opposite_is_left_out() -> None:
    targets = torch.arange(40) % 2
    sure = (2.0 * targets - 1).unsqueeze(1)
    random = torch.Generator().manual_seed(0)
    right = sure + 2 * torch.randn(40, 1, generator=random)
    scales, _, _ = weigh(torch.stack((right, -sure)), targets)
    assert 0 < scales[0] < 10
    assert 0 <= scales[1] < 1e-3


def test_of_parts_that_are_always_right_nothing_is_certain() -> None:
    targets = torch.arange(20) % 2
    scales, offsets, _ = weigh((2.0 * targets - 1).view(1, 20, 1), targets)
    # Ten of each class and two more, one of which is called by the other.
    assert torch.sigmoid(scales[0] + offsets[0]).item() == pytest.approx(11 / 12, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_single_sequence_and_a_single_class_are_enough(classes: int) -> None:
    lines = 1 if classes == 2 else classes
    for count in (1, 5):
        found = weigh(torch.ones(2, count, lines), torch.ones(count))
        assert found.scales.isfinite().all()
        assert found.offsets.isfinite().all()


def test_within_a_validation_it_is_fitted_too() -> None:
    targets = torch.arange(20) % 2
    parts = torch.randn(2, 20, 1, generator=torch.Generator().manual_seed(1))
    wanted = weigh(parts, targets)
    with torch.inference_mode():
        found = weigh(parts * 1, targets * 1)
    torch.testing.assert_close(found.scales, wanted.scales)
    assert not found.scales.requires_grad
