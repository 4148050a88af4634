"""`fit`: what it prints and leaves, and that the numbers are those of the seed."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning import SyntheticSequences
from rnn_lightning.cli import runs
from tests.cli.helpers import epochs, files, losses, one_mistake, only_run, recorded
from tests.conftest import SMALL, Command

RUN_FILES = [*(f"checkpoints/{name}.ckpt" for name in ("best", "last", "previous")), "config.yaml", "metrics.csv"]


def test_a_run_leaves_four_files(command: Command) -> None:
    result = command("fit", *SMALL)
    assert result.code == 0, result.err
    assert files(Path()) == [f"{only_run().as_posix()}/{name}" for name in RUN_FILES]


def test_it_says_what_it_does(command: Command) -> None:
    result = command("fit", *SMALL)
    run = only_run()
    lines = result.out.splitlines()
    assert lines[0] == f"Training lstm on synthetic  ·  run {run}"
    assert lines[1] == "  300 train / 100 validation / 90 test sequences"
    assert [line[:10] for line in lines if line.startswith("epoch")] == ["epoch 1/2 ", "epoch 2/2 "]
    assert lines[-1] == "Next: rnn-lightning test  ·  rnn-lightning predict"


def test_the_best_line_tells_the_best_row_of_the_metrics(command: Command) -> None:
    # A rate this high goes up and down: the best epoch is not the last.
    result = command("fit", *SMALL, "--trainer.max_epochs=8", "--optimizer.lr=0.3", "--early_stopping=null")
    run = only_run()
    rows = epochs(run)
    best = min(range(8), key=lambda epoch: rows[epoch]["val_loss"])
    assert best < 7
    (line,) = (line for line in result.out.splitlines() if line.startswith("Best: "))
    names = ("val_loss", "val_accuracy", "val_auroc", "val_f1")
    assert line == f"Best: epoch {best + 1}, " + "  ".join(f"{name} {rows[best][name]:.4f}" for name in names)
    assert f"      {run}/checkpoints/best.ckpt" in result.out.splitlines()
    assert torch.load(run / runs.BEST, weights_only=True)["epoch"] == best
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 7
    assert losses(result) == pytest.approx([row["train_loss"] for row in rows], abs=6e-5)


def test_another_quantity_can_decide_which_is_best(command: Command) -> None:
    options = ("--trainer.max_epochs=8", "--optimizer.lr=0.3", "--early_stopping=null")
    assert command("fit", *SMALL, *options, "--checkpoint.monitor=val_accuracy", "--checkpoint.mode=max").code == 0
    rows = epochs(only_run())
    best = max(range(8), key=lambda epoch: (rows[epoch]["val_accuracy"], -epoch))
    assert torch.load(only_run() / runs.BEST, weights_only=True)["epoch"] == best


def test_the_saved_config_gives_the_same_numbers(command: Command) -> None:
    command("fit", *SMALL, "--config", "gru.yaml", "--model.hidden_size=8", "--lr_scheduler=OneCycle")
    first = only_run()
    again = command("fit", "--config", first / "config.yaml")
    assert again.code == 0, again.err
    (second,) = set(Path("runs").glob("*/*")) - {first}
    assert (second / "metrics.csv").read_text() == (first / "metrics.csv").read_text()
    assert recorded(second) == recorded(first)


def test_the_seed_decides_the_numbers(command: Command) -> None:
    for seed in (1, 1, 2):
        assert command("fit", *SMALL, f"--seed_everything={seed}").code == 0
    first, same, other = (epochs(run) for run in sorted(Path("runs").glob("*/*"), key=runs._start))
    assert first == same
    for name in ("train_loss", "val_loss"):
        assert first[-1][name] != other[-1][name]


def test_the_seed_does_not_decide_the_data(command: Command) -> None:
    seen = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        data = SyntheticSequences(num_train=5)
        data.setup("fit")
        seen.append(data.train.__getitems__([0, 1, 2]).inputs)
    assert torch.equal(*seen)


def test_two_runs_in_the_same_second_get_two_folders(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Stopped:
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(runs, "datetime", Stopped)
    for _ in range(3):
        assert command("fit", *SMALL, "--trainer.max_epochs=1").code == 0
    folder = Path("runs/lstm-synthetic")
    names = ["2026-01-02_03-04-05", "2026-01-02_03-04-05-2", "2026-01-02_03-04-05-3"]
    assert sorted(run.name for run in folder.iterdir()) == names
    once = [name for name in RUN_FILES if name != str(runs.PREVIOUS)]
    assert all(files(folder / name) == once for name in names)
    assert runs.newest() == folder / names[-1]
    assert f"the newest run, {folder / names[-1]} " in command("test").out


def test_a_run_is_named_by_its_start(command: Command) -> None:
    before = datetime.now().replace(microsecond=0)
    command("fit", *SMALL, "--trainer.max_epochs=1")
    started = datetime.strptime(only_run().name, "%Y-%m-%d_%H-%M-%S")
    assert before <= started <= datetime.now()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--config", "gru.yaml"), "gru-synthetic"),
        (("--config", "rnn.yaml"), "rnn-synthetic"),
        (("--config", "bilstm.yaml"), "bilstm-synthetic"),
        (("--config", "stacked_lstm.yaml"), "stacked_lstm-synthetic"),
        (("--model.cell=gru", "--model.bidirectional=true", "--model.num_layers=3"), "stacked_bigru-synthetic"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_run_folder_is_named_by_the_architecture(command: Command, options: tuple[str, ...], name: str) -> None:
    assert command("fit", *options, *SMALL, "--trainer.max_epochs=1").code == 0
    assert only_run().parent == Path("runs") / name


def test_a_run_on_reviews_is_named_by_them(review_run: Path) -> None:
    assert review_run.parent == Path("runs/lstm-imdb")
    assert files(review_run) == RUN_FILES


def test_a_run_that_fails_leaves_no_folder(command: Command) -> None:
    result = command("fit", "--config", "imdb.yaml", "--data.path", "nowhere.tar.gz")
    one_mistake(result, "nowhere.tar.gz does not exist")
    assert not Path("runs").exists()


def test_a_run_that_fails_leaves_the_earlier_ones(command: Command, feature_run: Path) -> None:
    before = files(Path("runs"))
    one_mistake(command("fit", *SMALL, "--lr_scheduler=OneCycle", "--lr_scheduler.warmup=2"), "warmup is 2.0")
    assert files(Path("runs")) == before
    assert [path.name for path in Path("runs/lstm-synthetic").iterdir()] == [feature_run.name]


def test_a_program_fault_leaves_no_folder_either(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr(SyntheticSequences, "prepare_data", broken)
    with pytest.raises(RuntimeError, match="no space left"):
        command("fit", *SMALL)
    assert not Path("runs").exists()


def test_without_early_stopping_it_goes_on_to_the_end(command: Command) -> None:
    options = ("--trainer.max_epochs=5", "--optimizer.lr=0", "--early_stopping.patience=1")
    stopped = command("fit", *SMALL, *options)
    assert "Stopped early after epoch 2: val_loss has not improved for 1 epochs." in stopped.out
    assert len(losses(stopped)) == 2
    endless = command("fit", *SMALL, *options, "--early_stopping", "null")
    assert endless.code == 0, endless.err
    assert len(losses(endless)) == 5
    assert "Stopped early" not in endless.out


@pytest.mark.parametrize("patience", [2, 3])
def test_the_patience_is_counted_in_epochs(command: Command, patience: int) -> None:
    options = ("--trainer.max_epochs=9", "--optimizer.lr=0", f"--early_stopping.patience={patience}")
    result = command("fit", *SMALL, *options)
    assert len(losses(result)) == 1 + patience
    assert f"Stopped early after epoch {1 + patience}: val_loss has not improved for {patience} epochs." in result.out


def test_without_checkpoints_none_are_kept(command: Command) -> None:
    result = command("fit", *SMALL, "--checkpoint", "null")
    assert result.code == 0, result.err
    assert files(only_run()) == ["config.yaml", "metrics.csv"]
    assert "Best" not in result.out
    assert "Next: rnn-lightning test" not in result.out
    one_mistake(command("test"), "no run under runs/ to test")


def test_a_training_that_ends_before_a_validation_keeps_its_last_checkpoint(command: Command) -> None:
    result = command("fit", *SMALL, "--trainer.max_steps=1")
    assert result.code == 0, result.err
    last = only_run() / "checkpoints" / "last.ckpt"
    assert files(only_run()) == ["checkpoints/last.ckpt", "config.yaml", "metrics.csv"]
    assert result.out.splitlines()[-2:] == [
        "No best checkpoint: val_loss was not measured.",
        f"Next: rnn-lightning test --ckpt_path {last}",
    ]
    assert command("test", "--ckpt_path", last).code == 0


def test_a_run_of_a_few_batches_for_trying_out_leaves_nothing(command: Command) -> None:
    result = command("fit", "--trainer.fast_dev_run=true", *SMALL)
    assert result.code == 0, result.err
    assert list(Path().iterdir()) == []


def test_a_training_can_go_on(command: Command) -> None:
    command("fit", *SMALL, "--trainer.max_epochs=4", "--early_stopping=null")
    whole = only_run()
    command("fit", *SMALL, "--trainer.max_epochs=2", "--early_stopping=null")
    (half,) = set(Path("runs").glob("*/*")) - {whole}
    result = command("fit", *SMALL, "--trainer.max_epochs=4", "--ckpt_path", half / "checkpoints" / "last.ckpt")
    assert result.code == 0, result.err
    assert re.findall(r"^epoch \d/\d", result.out, re.MULTILINE) == ["epoch 3/4", "epoch 4/4"]
    (rest,) = set(Path("runs").glob("*/*")) - {whole, half}
    assert epochs(half) + epochs(rest) == epochs(whole)
