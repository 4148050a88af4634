"""Short trainings that only try something out, for the verbs that look for a good value."""

from __future__ import annotations

import tempfile
from typing import Any

from lightning.pytorch import Callback

from rnn_lightning.callbacks.journal import say
from rnn_lightning.cli import configs, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.words import Words, refuse_names

_ALONE: dict[str, Any] = {
    **{"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False},
    **{"devices": 1, "num_nodes": 1, "strategy": "auto", "fast_dev_run": False, "overfit_batches": 0},
    **{"max_epochs": -1, "max_time": None, "limit_train_batches": 1.0, "limit_val_batches": 0},
}
"""One process that writes nothing and ends when the trial does, whatever the options say of a training."""


class Trial:
    """Model, data and optimizer of a training, without its schedule and its callbacks.

    Args:
        verb: what looks for a value, for error texts.
        words: the words after it.
        title: what is looked for, for the first line.
    """

    def __init__(self, verb: str, words: Words, title: str) -> None:
        refuse_names(verb, words)
        self._command = FitCommand(verb, ["--config", str(configs.base()), *words.left, "--lr_scheduler=null"])
        self.data: Any = self._command.datamodule
        task = getattr(self.data, "name", type(self.data).__name__.lower())
        say(f"{title} of {runs.architecture(self._command.config.model.as_dict())} on {task}")

    def run(self, callback: Callback, steps: int) -> None:
        """Trains for as many steps at most; all that this writes is gone again."""
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._command.instantiate_trainer(
                **_ALONE, default_root_dir=folder, callbacks=[callback], max_steps=steps
            )
            trainer.fit(self._command.model, datamodule=self.data)
