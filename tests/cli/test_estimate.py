"""What a whole training is estimated from: which batches stand for all, and how much work there is."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnn_lightning import SyntheticSequences
from rnn_lightning.cli import configs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.dry_run import _bytes, _time
from rnn_lightning.cli.estimate import SPREAD, Sample, Work
from tests.conftest import SMALL


def test_the_largest_batch_comes_first_then_some_spread_over_the_sizes() -> None:
    data = SyntheticSequences(num_train=1000, num_steps=40, min_steps=1, batch_size=10)
    data.setup("fit")
    sample = Sample(data.train_dataloader(), SPREAD)
    assert len(sample) == 100
    steps = [batch.inputs.size(1) for batch in sample]
    assert len(steps) == 100
    assert steps[0] == 40
    assert steps[1 : 1 + SPREAD] == pytest.approx([4, 12, 20, 28, 36], abs=3)
    assert steps[1:] == (steps[1 : 1 + SPREAD] * 20)[:99]
    # A mean over those few is nearly the one over all.
    whole = np.mean([batch.inputs.size(1) for batch in data.train_dataloader()])
    assert np.mean(steps[1 : 1 + SPREAD]) == pytest.approx(whole, rel=0.05)


def test_one_batch_stands_for_itself() -> None:
    data = SyntheticSequences(num_train=3, num_steps=4)
    data.setup("fit")
    sample = Sample(data.train_dataloader(), SPREAD)
    assert [batch.inputs.shape for batch in sample] == [(3, 4, 3)]


OPTIONS = {
    (): (5, 10, 2),
    ("--trainer.max_epochs=4", "--trainer.check_val_every_n_epoch=3"): (5, 20, 1),
    ("--trainer.val_check_interval=2",): (5, 10, 4),
    ("--trainer.val_check_interval=3", "--trainer.check_val_every_n_epoch=null"): (5, 10, 3),
    ("--trainer.limit_val_batches=0",): (5, 10, 0),
    ("--trainer.limit_train_batches=3",): (3, 6, 2),
    ("--trainer.max_steps=3",): (5, 3, 0),
    ("--trainer.max_steps=3", "--trainer.accumulate_grad_batches=2"): (5, 5, 1),
    ("--trainer.max_epochs=-1",): (5, inf, inf),
}


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_work_is_that_of_the_training(workplace: Path, options: tuple[str, ...]) -> None:
    """Held to the Trainer itself, which counts the validations that it makes."""
    import lightning.pytorch as pl

    class Count(pl.Callback):
        train = validations = 0

        def on_train_batch_end(self, *_: Any) -> None:
            self.train += 1

        def on_validation_end(self, *_: Any) -> None:
            self.validations += 1

    epoch, train, validations = OPTIONS[options]
    count = Count()
    command = FitCommand("fit", ["--config", str(configs.base()), *SMALL, *options])
    endless = train == inf
    trainer = command.instantiate_trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[count],
        num_sanity_val_steps=0,
        **({"max_time": {"seconds": 0}} if endless else {}),
    )
    trainer.fit(command.model, datamodule=command.datamodule)
    work = Work.of(trainer)
    assert (work.epoch, work.train, work.validations(work.train)) == (epoch, train, validations)
    if not endless:
        assert (count.train, count.validations) == (train, validations)
        seconds = work.seconds(train, 1.0, 100.0)
        assert seconds == train + 100 * validations * (0 if "limit_val" in str(options) else 2)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "about 1 s"),
        (59.4, "about 59 s"),
        (59.6, "about 1 min"),
        (160, "about 2 min 40 s"),
        (3599.9, "about 1 h"),
        (12_345, "about 3 h 25 min"),
        (90_000, "about 1 d 1 h"),
    ],
)
def test_a_time_has_two_units_at_the_most(seconds: float, said: str) -> None:
    assert _time(seconds) == said


def test_memory_is_told_in_the_unit_that_fits() -> None:
    assert [_bytes(count) for count in (0, 10_485_760, 1_503_238_553)] == ["0.0 MiB", "10.0 MiB", "1.4 GiB"]
