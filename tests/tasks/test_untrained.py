"""A score from random weights is never given, from Python either."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnn_lightning import SequenceClassifier, SyntheticSequences
from tests.tasks.helpers import silent_trainer


def _data() -> SyntheticSequences:
    return SyntheticSequences(num_train=20, num_val=10, num_test=10)


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_model_that_was_never_trained_is_not_scored(verb: str) -> None:
    with pytest.raises(ValueError, match="this model has not been trained"):
        getattr(silent_trainer(), verb)(SequenceClassifier(hidden_size=4), datamodule=_data())


def test_a_model_is_scored_after_training_and_from_a_checkpoint(tmp_path: Path) -> None:
    model = SequenceClassifier(hidden_size=4)
    trainer = silent_trainer(max_epochs=1)
    trainer.fit(model, datamodule=_data())
    (after_training,) = trainer.test(model, datamodule=_data(), verbose=False)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    fresh = SequenceClassifier(hidden_size=4)
    (from_checkpoint,) = silent_trainer().test(
        fresh, datamodule=_data(), ckpt_path=tmp_path / "model.ckpt", verbose=False, weights_only=True
    )
    assert from_checkpoint == after_training
