"""A newcomer's task, by the checklist of CONTRIBUTING.md."""

from __future__ import annotations

from tests.newcomer.addition import Addition

_TASK = '''\
"""What does the next step bring? The features of each step, foretold from the steps before it.

B sequences, T steps, D input features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rnn_lightning.batch import Batch, Facts
from rnn_lightning.layers import make_head
from rnn_lightning.layers.padding import zero_padding
from rnn_lightning.tasks.base import SequenceTask
from rnn_lightning.tasks.metrics import MeanLoss
from rnn_lightning.tasks.networks import layer_maker
from rnn_lightning.tasks.one_answer import Estimate


class NextFeatures(SequenceTask):
    """Foretells the features of each step but the first.

    Args:
        cell: short name of the recurrent layer, lstm for one, or an installed package's own.
        hidden_size: features of the recurrent layer.
        input_size: features of a step; filled in from the data.

    Raises:
        ValueError: a value is out of range, or a name is unknown.
    """

    def __init__(self, cell: str = "lstm", hidden_size: int = 128, input_size: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        layer_maker(cell, None)(1, hidden_size)
        if input_size is not None:
            self.build()

    def sizes(self, facts: Facts) -> dict[str, int | None]:
        """The features of a step.

        Raises:
            ValueError: the data is text.
        """
        if facts.input_size is None:
            raise ValueError("the next features of a text cannot be foretold: it has none")
        return {"input_size": facts.input_size}

    def build(self) -> None:
        """Makes the network and what is measured."""
        h = self.hparams
        self.recurrent = layer_maker(h["cell"], None)(h["input_size"], h["hidden_size"])
        self.head = make_head(h["hidden_size"], h["input_size"])
        self.val_loss, self.test_loss = MeanLoss(), MeanLoss()

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """After each step (B, T, D) the next one's features."""
        foretold: Tensor = self.head(self.recurrent(inputs, lengths)[0])
        return foretold

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean squared error of a batch."""
        loss, count = self._loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=int(count))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to val_loss."""
        self.val_loss.update(*self._loss(batch))
        self.log("val_loss", self.val_loss)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to test_loss."""
        self.test_loss.update(*self._loss(batch))
        self.log("test_loss", self.test_loss)

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Estimate]:
        """How surprising each sequence is: its mean squared error."""
        errors, counts = self._errors(batch)
        return [Estimate(value) for value in (errors / counts.clamp(min=1)).tolist()]

    def predict_text(self, texts: Sequence[str]) -> list[Any]:
        """Refused: there are no texts here.

        Raises:
            ValueError: always.
        """
        raise ValueError("this model was trained on sequences of numbers: it reads no text")

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean squared error of a batch and how many numbers were foretold."""
        errors, counts = self._errors(batch)
        return errors.sum() / counts.sum().clamp(min=1), counts.sum()

    def _errors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of each sequence the sum of the squared errors (B,), and how many numbers were foretold (B,)."""
        errors = (self(batch.inputs, batch.lengths)[:, :-1] - batch.inputs[:, 1:]).square()
        foretold = (batch.lengths - 1).clamp(min=0)
        return zero_padding(errors, foretold).sum((1, 2)), foretold * batch.inputs.size(2)
'''
_TASK_TEST = """\
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnn_lightning import Facts, NextFeatures, load
from rnn_lightning.batch import Batch
from tests.tasks.helpers import Batches, features, saved, silent_trainer

FACTS = Facts(3, ())
LENGTHS = (4, 1, 3)


def _model() -> NextFeatures:
    model = NextFeatures("gru", 4)
    model.adopt(FACTS)
    model.is_trained = True
    return model.eval()


def test_the_loss_is_a_mean_over_all_numbers_that_are_foretold() -> None:
    model = _model()
    batches = [Batch(*features(*LENGTHS)), Batch(*features(2, 6, seed=1))]
    (measured,) = silent_trainer().test(model, datamodule=Batches(FACTS, batches), verbose=False)
    errors = []
    for batch in batches:
        for x, length in zip(batch.inputs, batch.lengths, strict=True):
            foretold = model(x[None, :length])[0].detach().numpy()
            errors += list((foretold[:-1] - x[1:length].numpy()).flatten() ** 2)
    assert measured == pytest.approx({"test_loss": np.mean(errors)}, rel=1e-5)


def test_neighbours_and_padding_change_nothing() -> None:
    model, (x, lengths) = _model(), features(*LENGTHS)
    together = model.predict_step(Batch(x, lengths), 0)
    alone = [model.predict_step(Batch(x[[row], :length], lengths[[row]]), 0)[0] for row, length in enumerate(LENGTHS)]
    assert [value for (value,) in together] == pytest.approx([value for (value,) in alone], rel=1e-5)


def test_a_checkpoint_works_alone(tmp_path: Path) -> None:
    model, (x, lengths) = _model(), features(*LENGTHS)
    assert torch.equal(load(saved(model, tmp_path / "m.ckpt"))(x, lengths), model(x, lengths))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"cell": "gruu"}, "did you mean 'gru'"), ({"hidden_size": 0}, "hidden_size is 0; it must be at least 1")],
)
def test_a_wrong_argument_is_told(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NextFeatures(**options)


def test_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be foretold"):
        NextFeatures().sizes(Facts(None, ()))
    with pytest.raises(ValueError, match="reads no text"):
        _model().predict_text(["text"])
"""
_TASK_CONFIG = """\
# The next step of a sequence of numbers.
# rnn-lightning fit --config next_features.yaml
model:
  class_path: NextFeatures
  init_args: {}
data:
  class_path: SyntheticSequences
trainer: {max_epochs: 5}
"""

TASK = Addition(
    checklist="Add a task",
    name="next_features",
    registered="NextFeatures",
    files={
        "rnn_lightning/tasks/next_features.py": _TASK,
        "tests/tasks/test_next_features.py": _TASK_TEST,
        "configs/next_features.yaml": _TASK_CONFIG,
    },
    lines=[
        (
            "rnn_lightning/registry.py",
            '        "NextFeatures": "rnn_lightning.tasks.next_features:NextFeatures",',
            r'        "\w+": "rnn_lightning\.tasks\.',
        ),
        (
            "rnn_lightning/__init__.py",
            "    from rnn_lightning.tasks.next_features import NextFeatures",
            r"    from rnn_lightning\.",
        ),
        ("rnn_lightning/__init__.py", '    "NextFeatures": "tasks.next_features",', r'    "\w+": "'),
        ("rnn_lightning/__init__.py", '    "NextFeatures",', r'    "[A-Z]\w+",'),
    ],
    ends={},
    fit=["--config", "next_features.yaml"],
    verbs=["test", "predict"],
)
