"""What is measured over a whole split, by torchmetrics. B sequences of a batch, S of a split, C classes."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassF1Score
from torchmetrics.utilities.data import dim_zero_cat

from rnn_lightning import intervals
from rnn_lightning.batch import NO_ROW


class AUROC(MulticlassAUROC):
    """Area under the ROC curve, mean over the classes; NaN where a class does not occur, since it has no curve then."""

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.classes = num_classes

    def compute(self) -> Tensor:  # type: ignore[override]  # the mean is a single number
        """The area, or NaN."""
        counts = torch.bincount(dim_zero_cat(self.target), minlength=self.classes)
        if counts.min() == 0:
            return torch.tensor(torch.nan)
        return super().compute()


class MeanLoss(Metric):
    """The mean over all sequences or tokens, from the batches' means.

    Lightning's own mean over processes is off where they do not have equally many: it cuts the average count off to a
    whole number. That of torchmetrics ignores either the weights or what is NaN.
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), "sum")
        self.add_state("count", torch.tensor(0), "sum")

    def update(self, loss: Tensor, count: int | Tensor) -> None:
        """Adds a batch: the mean loss of its sequences or tokens, and how many they are."""
        self.total += loss * count
        self.count += count

    def compute(self) -> Tensor:
        """The mean."""
        return self.total / self.count


class Perplexity(MeanLoss):
    """e to the mean loss of a token, in nats: among how many equally likely tokens the model hesitates."""

    def compute(self) -> Tensor:
        """The perplexity."""
        return super().compute().exp()


class Outcomes(Metric):
    """What came out for each sequence of a split, from which the intervals around its scores are drawn.

    Args:
        names: what is kept of each sequence, beside its row in the split.
    """

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = ("rows", *names)
        for name in self.names:
            self.add_state(name, [], "cat")

    def update(self, rows: Tensor | None = None, **values: Tensor) -> None:
        """Adds a batch: its rows in the split (B,), if they are known, and for each name a tensor (B, ...)."""
        count = len(next(iter(values.values())))
        known = torch.full((count,), NO_ROW, device=self.device) if rows is None else rows
        for name in self.names:
            getattr(self, name).append({"rows": known, **values}[name])

    def compute(self) -> dict[str, np.ndarray[Any, Any]]:
        """All of them in the order of the split, whatever batches and processes they come from."""
        found = {name: dim_zero_cat(getattr(self, name)).cpu().double().numpy() for name in self.names}
        order = found["rows"].argsort(kind="stable")
        return {name: values[order] for name, values in found.items()}


def checksums(targets: Tensor, counted: Tensor) -> Tensor:
    """A number for each sequence (B,) that tells its targets (B, T) from others, of the steps that count (B, T)."""
    pairs = zip(targets.cpu().numpy(), counted.cpu().numpy(), strict=True)
    return torch.tensor([zlib.crc32(row[those].tobytes()) for row, those in pairs], device=targets.device)


def classification_intervals(
    losses: np.ndarray[Any, Any], outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any]
) -> dict[str, intervals.Interval]:
    """95 % intervals of what is measured of classes; that of the AUROC for two classes only.

    Args:
        losses: the loss of each sequence (S,).
        outputs: probability of each class (S, C).
        targets: the classes (S,).
    """
    chosen, targets = outputs.argmax(1), targets.astype(int)
    found = {
        "loss": intervals.of_mean(losses),
        "accuracy": intervals.binomial(int((chosen == targets).sum()), len(targets)),
        "f1": intervals.of_macro_f1(chosen, targets),
    }
    if outputs.shape[1] == 2 and 0 < targets.sum() < len(targets):
        found["auroc"] = intervals.of_auroc(outputs[:, 1], targets == 1)
    return found


def regression_intervals(
    losses: np.ndarray[Any, Any], outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any]
) -> dict[str, intervals.Interval]:
    """95 % intervals of what is measured of numbers: losses (S,), outputs and targets (S,)."""
    errors = {"loss": losses, "mse": (outputs - targets) ** 2, "mae": np.abs(outputs - targets)}
    return {name: intervals.of_mean(error) for name, error in errors.items()}


def classification_metrics(prefix: str, num_classes: int) -> MetricCollection:
    """Accuracy, macro F1 and AUROC from probabilities (B, C) and classes (B,)."""
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro"),
            "f1": MulticlassF1Score(num_classes, average="macro"),
            "auroc": AUROC(num_classes, average="macro"),
        },
        prefix=prefix,
        compute_groups=False,
    )


def regression_metrics(prefix: str, num_classes: int) -> MetricCollection:
    """Mean squared and mean absolute error from numbers (B,) and targets (B,)."""
    return MetricCollection(
        {"mse": MeanSquaredError(), "mae": MeanAbsoluteError()}, prefix=prefix, compute_groups=False
    )
