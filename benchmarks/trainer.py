"""What the Trainer costs: a training step of the command, beside a bare loop and a Trainer with everything off.

    python benchmarks/trainer.py
    python benchmarks/trainer.py --config imdb.yaml --steps 60

All train the same model on the same batches, in turn. What follows the options of this script are options of
`rnn-lightning fit`.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

from side_by_side import Figure, clock, filled, finish, in_turn, medians, parser, ratio, seconds

from rnn_lightning.cli.configs import expand, resolve
from rnn_lightning.cli.process import set_up
from rnn_lightning.cli.runs import create

BARE, ALL_OFF, FIT = "bare loop", "Trainer with everything off", "rnn-lightning fit"


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--steps", type=int, help="steps that are timed together")
    own, words = made.parse_known_args()
    set_up()
    own = filled(own, repeats=7)
    steps = own.steps or (20 if own.quick else 150)
    options = expand(words)
    ways = {BARE: _bare, ALL_OFF: _all_off, FIT: _ours}
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        os.chdir(folder)  # for the folders of the runs
        times = in_turn({name: partial(way, options, steps) for name, way in ways.items()}, own.repeats)
        os.chdir(before)
    figures = [
        Figure(f"a step of {name} takes longer than one of {other} by", ratio(times, name, other))
        for name, other in ((ALL_OFF, BARE), (FIT, BARE), (FIT, ALL_OFF))
    ]
    figures += [Figure(f"a step, {name}", 1000 * took / steps, unit="ms") for name, took in medians(times).items()]
    finish(own, figures)


def _command(options: list[str], steps: int) -> Any:
    from rnn_lightning.cli.app import FitCommand

    only_training = [
        f"--trainer.max_steps={steps}",
        "--checkpoint.monitor=train_loss",
        "--early_stopping.monitor=train_loss",
        "--trainer.limit_val_batches=0",
        "--trainer.num_sanity_val_steps=0",
    ]
    return FitCommand("fit", ["--config", str(resolve("base.yaml")), *options, *only_training])


def _ours(options: list[str], steps: int) -> float:
    from rnn_lightning.cli.fit import trainer_in

    command = _command(options, steps)
    return _timed(trainer_in(create("benchmark"), command), command)


def _all_off(options: list[str], steps: int) -> float:
    import lightning.pytorch as pl

    command = _command(options, steps)
    command.model.training_step = lambda batch, batch_idx: _loss(command.model, batch)
    nothing = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = pl.Trainer(
        max_steps=steps, limit_val_batches=0, gradient_clip_val=1.0, accelerator="cpu", **dict.fromkeys(nothing, False)
    )
    return _timed(trainer, command)


def _timed(trainer: Any, command: Any) -> float:
    from clock import Clock

    watch = Clock()
    watch.now = clock()
    trainer.callbacks.insert(0, watch)
    trainer.fit(command.model, datamodule=command.datamodule)
    return watch.seconds


def _bare(options: list[str], steps: int) -> float:
    import torch

    command = _command(options, steps)
    model, data = command.model, command.datamodule
    data.prepare_data()
    data.setup("fit")
    model.adopt(data.facts)
    model.train()
    chosen = command.config.optimizer.init_args
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)
    loader = data.train_dataloader()

    def train() -> None:
        done = 0
        while done < steps:
            for batch in loader:
                loss = _loss(model, batch)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                done += 1
                if done == steps:
                    break

    return seconds(train)


def _loss(model: Any, batch: Any) -> Any:
    return model.losses(model(batch.inputs, batch.lengths), batch.targets).mean()


if __name__ == "__main__":
    main()
