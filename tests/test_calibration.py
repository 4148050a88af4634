"""Calibration: the numbers of torchmetrics, and of a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassCalibrationError

from rnn_lightning.calibration import calibration


def _drawn(classes: int, size: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (S, C) and true classes (S,)."""
    random = np.random.default_rng(classes)
    probabilities = random.dirichlet([0.7] * classes, size)
    return probabilities, np.array([random.choice(classes, p=row**0.5 / (row**0.5).sum()) for row in probabilities])


def test_the_error_is_that_of_torchmetrics() -> None:
    """Which has its bins between 0 and 1: of two classes those of the lower half are empty."""
    probabilities, targets = _drawn(2)
    metric = MulticlassCalibrationError(2, n_bins=20, norm="l1")
    wanted = metric(torch.from_numpy(probabilities), torch.from_numpy(targets)).item()
    assert calibration(probabilities, probabilities.argmax(1) == targets).error == pytest.approx(wanted, abs=1e-6)
    assert wanted > 0.02


@pytest.mark.parametrize("classes", [2, 5])
def test_each_bin_holds_what_lies_in_it(classes: int) -> None:
    probabilities, targets = _drawn(classes)
    right = probabilities.argmax(1) == targets
    found = calibration(probabilities, right, 4)
    assert found.edges == pytest.approx([1 / classes + k * (1 - 1 / classes) / 4 for k in range(5)])
    error = 0.0
    for k in range(4):
        inside = [row for row, p in enumerate(probabilities.max(1)) if found.edges[k] < p <= found.edges[k + 1]]
        assert found.counts[k] == len(inside) > 0
        assert found.sure[k] == pytest.approx(probabilities.max(1)[inside].mean())
        assert found.right[k] == pytest.approx(right[inside].mean())
        error += abs(right[inside].mean() - probabilities.max(1)[inside].mean()) * len(inside) / len(targets)
    assert found.error == pytest.approx(error)


def test_a_bin_without_sequences_counts_for_nothing() -> None:
    found = calibration(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([True, False]))
    assert found.counts.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(found.right[1:9]).all()
    assert found.error == pytest.approx(0.25)
