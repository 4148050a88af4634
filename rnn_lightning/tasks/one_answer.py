"""What every task shares that gives one answer for a whole sequence, a class or a number: losses, measurements, words.

B sequences of a batch, S of a split, T steps, C classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection

from rnn_lightning.batch import Batch, Facts
from rnn_lightning.tasks.base import SequenceTask
from rnn_lightning.tasks.metrics import (
    MeanLoss,
    Outcomes,
    classification_intervals,
    classification_metrics,
    regression_intervals,
    regression_metrics,
)

Array = np.ndarray[Any, Any]
_SIZES = ("vocab_size", "input_size", "num_classes")


class Prediction(NamedTuple):
    """The most probable class of a sequence."""

    label: str
    probability: float


class Estimate(NamedTuple):
    """The number predicted for a sequence."""

    value: float


class OneAnswer(SequenceTask):
    """Base of the tasks with one answer for a sequence. Two classes have one logit."""

    def sizes(self, facts: Facts) -> dict[str, int | None]:
        """Vocabulary or features, and the number of classes.

        Raises:
            ValueError: the data has a target for each step.
        """
        if facts.per_step:
            task = "SequenceTagger" if facts.labels else "LanguageModel"
            raise ValueError(f"this data has a target for each step, not one for a sequence: {task} learns it")
        return {
            "vocab_size": None if facts.encoder is None else facts.encoder.vocab_size,
            "input_size": facts.input_size,
            "num_classes": len(facts.labels),
        }

    def build(self) -> None:
        """Makes the network and the metrics."""
        for name, module in self._network(**{size: self.hparams[size] for size in _SIZES}).items():
            self.add_module(name, module)
        num_classes = self.hparams["num_classes"]
        make = classification_metrics if num_classes else regression_metrics
        self.val_metrics: MetricCollection = make("val_", num_classes)
        self.test_metrics: MetricCollection = make("test_", num_classes)
        self.val_loss, self.test_loss = MeanLoss(), MeanLoss()
        self.test_outcomes = Outcomes("losses", "outputs", "targets")

    @abstractmethod
    def _network(self, vocab_size: int | None, input_size: int | None, num_classes: int) -> dict[str, nn.Module]:
        """The parts of the network, by the names of their attributes."""

    @abstractmethod
    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits or numbers.

        Args:
            inputs: token ids (B, T) or features (B, T, D).
            lengths: valid steps of each sequence (B,) int64; None: all are.

        Returns:
            One number a sequence (B,) for two classes and for regression, else one a class (B, C). Numbers are as the
            targets of the training data are, whatever their scaling.
        """

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Loss of each sequence (B,): squared error, binary cross-entropy or cross-entropy, in nats.

        Where the data scales its targets, errors are measured in standard deviations of the training targets.

        Args:
            logits: what `forward` returns.
            targets: numbers or classes (B,), or a probability for each class (B, C).
        """
        num_classes = self.hparams["num_classes"]
        if num_classes == 0:
            unit = 1.0 if self.target_scaling is None else self.target_scaling.deviation[0]
            return functional.mse_loss(logits / unit, targets / unit, reduction="none")
        if num_classes == 2:
            positive = (targets if targets.dim() == 1 else targets[:, 1]).to(logits.dtype)
            return functional.binary_cross_entropy_with_logits(logits, positive, reduction="none")
        return functional.cross_entropy(logits, targets, reduction="none")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each class (B, C), from what `forward` returns."""
        if self.hparams["num_classes"] == 2:
            return torch.sigmoid(torch.stack((-logits, logits), 1))
        return torch.softmax(logits, 1)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Of each class (B, C)."""
        if self.hparams["num_classes"] == 2:
            return functional.logsigmoid(torch.stack((-logits, logits), 1))
        return torch.log_softmax(logits, 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to val_loss and to the epoch's metrics."""
        self._evaluate(self.val_loss, self.val_metrics, batch, None)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to test_loss and to the epoch's metrics."""
        self._evaluate(self.test_loss, self.test_metrics, batch, self.test_outcomes)

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of all validation sequences together."""
        self._log_metrics("val_loss", self.val_loss, self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Logs the metrics of all test sequences together."""
        self._log_metrics("test_loss", self.test_loss, self.test_metrics)
        make = classification_intervals if self.hparams["num_classes"] else regression_intervals
        outcomes = self.test_outcomes.compute()
        self.test_outcomes.reset()
        rows = outcomes.pop("rows")
        self.intervals = {f"test_{name}": interval for name, interval in make(**outcomes).items()}
        self.keep_outcomes(rows, **self._in_columns(**outcomes))

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Prediction] | list[Estimate]:
        """A prediction for each sequence of the batch."""
        return self.predictions(self(batch.inputs, batch.lengths))

    def predictions(self, logits: Tensor) -> list[Prediction] | list[Estimate]:
        """What `forward` returned, as labels and probabilities or as numbers."""
        if self.hparams["num_classes"] == 0:
            return [Estimate(value) for value in logits.tolist()]
        highest, classes = self.probabilities(logits).max(1)
        return [
            Prediction(self.labels[index], probability)
            for index, probability in zip(classes.tolist(), highest.tolist(), strict=True)
        ]

    def predict_text(self, texts: Sequence[str], batch_size: int = 64) -> list[Prediction] | list[Estimate]:
        """Predictions for raw texts, in their order.

        Args:
            texts: any strings; an empty one has a prediction too.
            batch_size: texts that go through the network together.

        Raises:
            ValueError: the model was trained on features, not on text.
        """
        return self._of_texts(texts, batch_size)

    def _evaluate(self, loss: MeanLoss, metrics: MetricCollection, batch: Batch, outcomes: Outcomes | None) -> None:
        logits, targets = self(batch.inputs, batch.lengths), targets_of(batch)
        losses, outputs = self._measure(loss, metrics, logits, targets)
        if outcomes is not None:
            outcomes.update(batch.rows, losses=losses, outputs=outputs, targets=targets)

    def _measure(
        self, loss: MeanLoss, metrics: MetricCollection, logits: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Adds sequences to what is measured: gives their losses (B,), and probabilities or numbers."""
        losses = self.losses(logits, targets)
        outputs = self.probabilities(logits) if self.hparams["num_classes"] else logits
        loss.update(losses.mean(), len(targets))
        metrics.update(outputs, targets)
        return losses, outputs

    def _in_columns(self, losses: Array, outputs: Array, targets: Array) -> dict[str, list[Any]]:
        """What came out for each sequence, in words: losses (S,), outputs (S,) or (S, C), and targets (S,)."""
        if self.hparams["num_classes"] == 0:
            return {"loss": losses.tolist(), "target": targets.tolist(), "value": outputs.tolist()}
        target, label = ([self.labels[int(index)] for index in indices] for indices in (targets, outputs.argmax(1)))
        return {"loss": losses.tolist(), "target": target, "label": label, "probabilities": outputs.tolist()}

    def _log_metrics(self, name: str, loss: MeanLoss, metrics: MetricCollection) -> None:
        known = {key: value for key, value in metrics.compute().items() if not torch.isnan(value)}
        for key, value in {name: loss.compute(), **known}.items():
            # The same in every process already; said again, since Lightning cannot know.
            self.log(key, value, sync_dist=True)
        loss.reset()
        metrics.reset()


class NotTrained(OneAnswer):
    """Base of those that a verb of their own makes, and no training.

    Attributes:
        made_by: what is said to whoever wants to train one.
    """

    made_by: str

    def on_fit_start(self) -> None:
        """Refuses to be trained."""
        raise ValueError(self.made_by)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """There are no steps."""
        raise ValueError(self.made_by)


def targets_of(batch: Batch) -> Tensor:
    """The targets that a batch for training or scoring has."""
    assert batch.targets is not None, "a batch for training or scoring has targets"
    return batch.targets
