"""What the Trainer costs: a training step of the command, beside a bare loop and a Trainer with everything off.

    python benchmarks/trainer.py
    python benchmarks/trainer.py --config imdb.yaml --steps 60

All train the same model on the same batches, in turn, again and again; printed are medians of the time of a step, and
their ratios to the bare loop. What follows the options of this script are options of `rnn-lightning fit`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from rnn_lightning.cli.configs import expand, resolve
from rnn_lightning.cli.process import set_up
from rnn_lightning.cli.runs import create


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150, help="steps that are timed together")
    parser.add_argument("--repeats", type=int, default=7, help="times that each is measured")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    own, options = parser.parse_known_args()
    set_up()
    ways = {"bare loop": _bare, "Trainer, all off": _all_off, "rnn-lightning fit": _ours}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for _ in range(own.repeats + 1):
            for name, way in ways.items():
                with redirect_stdout(StringIO()):
                    times[name].append(way(expand(options), own.steps) / own.steps)
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}  # the first warms up
    for name, median in medians.items():
        print(f"{name:20}{1000 * median:9.3f} ms a step   {median / medians['bare loop']:.3f}")
    print(f"fit / Trainer, all off: {medians['rnn-lightning fit'] / medians['Trainer, all off']:.3f}")
    if own.json:
        own.json.write_text(json.dumps({"seconds a step": medians}, indent=2) + "\n", "utf-8")


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
    import lightning.pytorch as pl

    class Clock(pl.Callback):
        seconds = 0.0

        def on_train_epoch_start(self, *args: object) -> None:
            self.start = time.perf_counter()

        def on_train_epoch_end(self, *args: object) -> None:
            self.seconds += time.perf_counter() - self.start

    clock = Clock()
    trainer.callbacks.insert(0, clock)
    trainer.fit(command.model, datamodule=command.datamodule)
    return clock.seconds


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
    done = 0
    start = time.perf_counter()
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
    return time.perf_counter() - start


def _loss(model: Any, batch: Any) -> Any:
    return model.losses(model(batch.inputs, batch.lengths), batch.targets).mean()


if __name__ == "__main__":
    main()
