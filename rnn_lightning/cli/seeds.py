"""`rnn-lightning fit --seeds 5`: the same training with several seeds, and how far their scores lie apart."""

from __future__ import annotations

import json
import sys
from statistics import mean, stdev

from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.callbacks.journal import say
from rnn_lightning.cli import runs, signals
from rnn_lightning.cli.comparison import in_words
from rnn_lightning.cli.errors import TrainingError, UserError
from rnn_lightning.cli.files import write_whole
from rnn_lightning.cli.fit import train
from rnn_lightning.cli.words import Words

_NOT_BESIDE = ("--resume", "--run", "--ckpt_path", "--seed_everything")


def fit_seeds(words: Words) -> int:
    """Trains with the seeds 1, 2, ..., one after another, and says what their best checkpoints reached in validation.

    Args:
        words: those after fit.

    Returns:
        The exit code: 1 where a training failed.
    """
    count = words.whole_number("--seeds", 1)
    for flag in (*words.given, *(word.partition("=")[0] for word in words.left)):
        if flag in _NOT_BESIDE:
            raise UserError(f"--seeds begins new trainings, with the seeds 1 to {count}: {flag} has no place beside it")
    found: dict[int, runs.Run] = {}
    failed = False
    try:
        for seed in range(1, count + 1):
            signals.check()
            say(f"Seed {seed} of {count}")
            try:
                run = train([*words.left, f"--seed_everything={seed}"], one_of_many=True)
            except TrainingError as error:
                print(f"rnn-lightning: seed {seed}: {error}", file=sys.stderr)
                failed = True
                continue
            if run is not None:
                found[seed] = runs.at_a_glance(run)
    finally:
        # Whatever ended it, what is done is done.
        if found:
            _sum_up(found, count)
    return 1 if failed else 0


@rank_zero_only
def _sum_up(found: dict[int, runs.Run], count: int) -> None:
    """Prints the scores, and keeps them beside the runs."""
    first, *others = found.values()
    values = {
        name: [run.best[name] for run in found.values()]
        for name in first.best
        if all(name in run.best for run in others)
    }
    content = {
        "seeds": {seed: {"run": str(run.folder), "epochs": run.epochs, **run.best} for seed, run in found.items()},
        "mean": {name: mean(scores) for name, scores in values.items()},
        "standard_deviation": {name: stdev(scores) for name, scores in values.items() if len(scores) > 1},
    }
    path = first.folder.with_name(f"seeds_{first.folder.name}.json")
    write_whole(path, f"{json.dumps(content, indent=2)}\n".encode())
    how_many = f"{len(found)} seed{'s'[: len(found) != 1]}" if len(found) == count else f"{len(found)} of {count} seeds"
    measured = "  ".join(f"{name} {in_words(scores)}" for name, scores in values.items()) or "nothing was validated"
    say(f"{how_many}: {measured}")
    say(f"      {path}")
    say(f"Next: rnn-lightning report {' '.join(str(run.folder) for run in found.values())}")
