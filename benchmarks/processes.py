"""Two cores: one process with two threads, or two processes with one thread each?

    python benchmarks/processes.py

Two processes of half the batch do the same training as one. Timed are the steps of `rnn-lightning fit`, not its start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from side_by_side import Figure, filled, finish, in_turn, medians, parser, ratio

from rnn_lightning.data.reviews import ARCHIVE, data_folder

TASKS = {"synthetic": ("lstm.yaml",), "IMDb": ("lstm.yaml", "imdb.yaml")}
ONE, SAME, TWICE = "one process", "two processes, the same training", "two processes, twice the batch"
WAYS = {ONE: (1, 64), SAME: (2, 32), TWICE: (2, 64)}
"""Processes, and sequences in a batch of each."""
THREADS = 2
ONLY_TRAINING = {
    "trainer.limit_val_batches": 0,
    "trainer.num_sanity_val_steps": 0,
    "trainer.logger": False,
    "checkpoint": "null",
    "early_stopping": "null",
}


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--steps", type=int, help="steps of a training with batches of 64")
    options = filled(made.parse_args(), repeats=3, quick_repeats=1)
    options.steps = options.steps or (20 if options.quick else 120)
    there = not options.quick and (data_folder() / ARCHIVE).is_file()
    figures = []
    for task in [task for task in TASKS if there or task != "IMDb"]:
        ways = {name: partial(_fit, task, *way, options.steps) for name, way in WAYS.items()}
        times = in_turn(ways, options.repeats, warm_up=0)
        for name in (SAME, TWICE):
            figures.append(Figure(f"{task}: {name} is faster than {ONE} by", ratio(times, ONE, name)))
        figures += [
            Figure(f"{task}: {name}", 1 / seconds, unit="sequences/s") for name, seconds in medians(times).items()
        ]
    finish(options, figures)


def _fit(task: str, processes: int, batch_size: int, steps: int) -> float:
    """Seconds a sequence. As many sequences each time, and a clock that only this script knows of."""
    steps = steps * 64 // (processes * batch_size)
    with tempfile.TemporaryDirectory() as folder:
        clock = Path(folder) / "seconds"
        configs = [word for config in TASKS[task] for word in ("--config", config)]
        chosen = {
            **ONLY_TRAINING,
            "trainer.devices": processes,
            "trainer.strategy": "ddp" if processes > 1 else "auto",
            "trainer.max_epochs": 1000,
            "trainer.max_steps": steps,
            "trainer.callbacks": f'{{"class_path": "clock.Clock", "init_args": {{"file": "{clock}"}}}}',
            "data.batch_size": batch_size,
        }
        words = [sys.executable, "-m", "rnn_lightning", "fit", *configs, *(f"--{k}={v}" for k, v in chosen.items())]
        places = (str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
        threads = str(THREADS // processes)
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(filter(None, places))}
        subprocess.run(words, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        return float(clock.read_text("utf-8")) / (steps * batch_size * processes)


if __name__ == "__main__":
    main()
