"""`fit --seeds`: as many runs, and what their scores come to."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from rnn_lightning import SequenceClassifier
from rnn_lightning.callbacks.finite import NotFiniteError
from rnn_lightning.cli import runs
from tests.cli.helpers import epochs, one_mistake, recorded
from tests.conftest import SMALL, Command


def _by_seed() -> dict[int, Path]:
    return {recorded(run.parent)["seed_everything"]: run.parent for run in Path("runs").glob("*/*/config.yaml")}


def test_each_seed_is_a_run_and_the_scores_are_summed_up(command: Command) -> None:
    result = command("fit", *SMALL, "--seeds", "3")
    assert (result.code, result.err) == (0, "")
    found = _by_seed()
    assert sorted(found) == [1, 2, 3]
    best = {seed: min(epochs(run), key=lambda epoch: epoch["val_loss"]) for seed, run in found.items()}
    lines = result.out.splitlines()
    values = {
        name: [best[seed][name] for seed in (1, 2, 3)] for name in ("val_loss", "val_accuracy", "val_auroc", "val_f1")
    }
    (line,) = (line for line in lines if line.startswith("3 seeds: "))
    assert line == "3 seeds: " + "  ".join(f"{name} {mean(v):.4f} ± {stdev(v):.4f}" for name, v in values.items())
    (path,) = Path("runs").glob("*/*.json")
    assert lines[-2:] == [f"      {path}", f"Next: rnn-lightning report {found[1]} {found[2]} {found[3]}"]
    content = json.loads(path.read_text())
    assert content["mean"] == {name: mean(v) for name, v in values.items()}
    assert content["standard_deviation"] == {name: stdev(v) for name, v in values.items()}
    assert {int(seed): Path(run["run"]) for seed, run in content["seeds"].items()} == found
    assert content["seeds"]["2"]["val_auroc"] == best[2]["val_auroc"]


def test_a_seed_gives_the_run_that_it_gives_alone(command: Command) -> None:
    command("fit", *SMALL, "--seeds=2")
    among_others = _by_seed()[2]
    command("fit", *SMALL, "--seed_everything=2")
    alone = runs.newest()
    assert alone is not None
    assert alone != among_others
    assert (alone / "metrics.csv").read_text() == (among_others / "metrics.csv").read_text()


def test_what_is_done_stays_after_an_interruption(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(self: SequenceClassifier) -> None:
        started.append(self.current_epoch)
        if len(started) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(SequenceClassifier, "on_train_epoch_start", start)
    result = command("fit", *SMALL, "--trainer.max_epochs=1", "--seeds=4")
    assert result.code != 0
    assert "2 of 4 seeds: val_loss " in result.out
    found = _by_seed()
    (path,) = Path("runs").glob("*/*.json")
    assert {run["run"] for run in json.loads(path.read_text())["seeds"].values()} == {str(found[1]), str(found[2])}


def test_a_seed_that_fails_leaves_the_others(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(self: SequenceClassifier) -> None:
        started.append(self.current_epoch)
        if len(started) == 2:
            raise NotFiniteError("the loss is nan")

    monkeypatch.setattr(SequenceClassifier, "on_train_epoch_start", start)
    result = command("fit", *SMALL, "--trainer.max_epochs=1", "--seeds=3")
    assert result.code == 1
    assert result.err == "rnn-lightning: seed 2: the loss is nan\n"
    assert "2 of 3 seeds: val_loss " in result.out
    (path,) = Path("runs").glob("*/*.json")
    assert list(json.loads(path.read_text())["seeds"]) == ["1", "3"]


def test_a_few_batches_to_try_out_leave_nothing(command: Command) -> None:
    result = command("fit", *SMALL, "--seeds=2", "--trainer.fast_dev_run=true")
    assert result.code == 0, result.err
    assert not Path("runs").exists()


def test_one_seed_has_no_deviation(command: Command) -> None:
    result = command("fit", *SMALL, "--trainer.max_epochs=1", "--seeds=1")
    assert "1 seed: val_loss 0." in result.out
    assert "±" not in result.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seeds=0",), "--seeds wants a whole number, at least 1, not '0'"),
        (("--seeds", "-1"), "--seeds wants a whole number, at least 1, not '-1'"),
        (("--seeds", "many"), "--seeds wants a whole number, at least 1, not 'many'"),
        (("--seeds",), "--seeds wants a value"),
        (("--seeds=2", "--seed_everything=3"), "--seed_everything has no place beside it"),
        (("--seeds=2", "--ckpt_path=best"), "--ckpt_path has no place beside it"),
        (("--seeds=2", "--run=x"), "--run has no place beside it"),
        (("--seeds=2", "--model.cell=lsmt"), "did you mean 'lstm'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_before_anything_is_trained(command: Command, options: tuple[str, ...], said: str) -> None:
    one_mistake(command("fit", *options), said)
    assert not Path("runs").exists()
