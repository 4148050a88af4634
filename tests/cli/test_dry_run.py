"""`fit --dry-run`: what it tells of a training, and that nothing is left of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.helpers import epochs, files, one_mistake, only_run
from tests.conftest import SMALL, SMALL_REVIEWS, Command

DRY = ("fit", "--dry-run")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round over the few batches, however fast."""
    monkeypatch.setattr("rnn_lightning.cli.estimate._SECONDS", 0.0)


def _notes(out: str) -> list[str]:
    return [line.removeprefix("  Note: ") for line in out.splitlines() if line.startswith("  Note: ")]


def test_it_tells_of_data_model_time_and_memory(command: Command) -> None:
    result = command(*DRY, *SMALL, "--data.num_train=3000")
    assert (result.code, result.err) == (0, "")
    first, summary, *lines = result.out.splitlines()
    assert first == "Dry run of lstm on synthetic: nothing of it is kept"
    assert summary == "  3,000 train / 100 validation / 90 test sequences"
    assert any(re.fullmatch(r"  sequences +3,000 +100 +90", line) for line in lines)
    sizes = "  memory of the model: 0.0 MiB for parameters, 0.0 MiB for gradients, 0.0 MiB for the optimiser"
    assert lines[-3] == sizes
    cost = r"  about \d+ s for 2 epochs of 47 steps and validation, up to [\d.]+ [MG]iB of memory"
    assert re.fullmatch(cost, lines[-2])
    assert _notes(result.out) == [
        "it cannot stop early: early_stopping.patience is 4, and there are 2 validations",
    ]


def test_nothing_is_left_and_a_training_is_as_without_it(command: Command) -> None:
    options = (*SMALL, "--config=presets/gradients.yaml", "--model.dropout=0.5")
    assert command("fit", *options).code == 0
    before = only_run()
    content = {name: Path(name).read_bytes() for name in files(Path())}
    assert command(*DRY, *options).code == 0
    assert {name: Path(name).read_bytes() for name in files(Path())} == content
    assert command("fit", *options).code == 0
    (after,) = set(Path("runs").glob("*/*")) - {before}
    assert epochs(after) == epochs(before)
    assert "dry" not in (after / "config.yaml").read_text()


def test_in_an_empty_folder_it_makes_nothing(command: Command) -> None:
    assert command("fit", *SMALL, "--dry-run", "--trainer.logger=CSVLogger", "--trainer.logger.save_dir=x").code == 0
    assert list(Path().iterdir()) == []


def test_reviews_are_told_with_what_is_cut_off(command: Command, archive: Path) -> None:
    result = command(*DRY, *SMALL_REVIEWS, f"--data.path={archive}", "--data.max_length=1")
    assert result.code == 0, result.err
    for row in ("sequences cut off", "tokens cut off", "unknown tokens", "duplicates within", "in train too"):
        assert any(line.startswith(f"  {row} ") for line in result.out.splitlines()), row
    assert any(note.startswith("max_length 1 cuts off") for note in _notes(result.out))
    assert any(note.startswith("data.batch_size 64 is more than there are training") for note in _notes(result.out))


@pytest.mark.parametrize("streams", [False, True])
def test_a_text_is_told_too(command: Command, streams: bool) -> None:
    Path("book.txt").write_text("".join("abcdefg"[i * i % 7] for i in range(501)), "utf-8")
    options = ("--data.path=book.txt", "--data.unit=character", "--data.num_steps=5", "--model.hidden_size=8")
    shown = command(*DRY, "--config=next_word.yaml", *options, f"--data.streams={str(streams).lower()}")
    assert (shown.code, shown.err) == (0, "")
    assert re.search(r"unknown tokens +0\.0 % +0\.0 % +0\.0 %", shown.out)
    assert re.search(r"about \d+ s for \d+ epochs of \d+ steps? and validation", shown.out)
    assert files(Path()) == ["book.txt"]


def test_of_a_training_that_goes_on_what_is_left_is_told(command: Command, feature_run: Path) -> None:
    last = feature_run / "checkpoints" / "last.ckpt"
    before = {name: Path(name).read_bytes() for name in files(Path())}
    result = command(*DRY, *SMALL, "--trainer.max_epochs=3", f"--ckpt_path={last}")
    assert (result.code, result.err) == (0, "")
    assert "for what is left of 3 epochs of 5 steps after 10 and validation" in result.out
    assert {name: Path(name).read_bytes() for name in files(Path())} == before
    one_mistake(command(*DRY, *SMALL, f"--ckpt_path={last}"), "nothing was trained")
    other = command(*DRY, *SMALL, "--model.hidden_size=9", "--trainer.max_epochs=3", f"--ckpt_path={last}")
    one_mistake(other, "the checkpoint is of another model")


LONG_SCHEDULES = {
    ("CosineAnnealingLR", "T_max=3"): "lr_scheduler.T_max 3 is longer than the training of 2 epochs",
    ("StepLR", "step_size=5"): "lr_scheduler.step_size 5 is longer than the training of 2 epochs",
    ("MultiStepLR", "milestones=[1,9]"): "lr_scheduler.milestones 9 is longer than the training of 2 epochs",
    ("OneCycleLR", "max_lr=1", "total_steps=11"): "lr_scheduler.total_steps 11 is longer than the training of 10 steps",
    ("OneCycle", "warmup=0.5"): None,
}


@pytest.mark.parametrize("schedule", LONG_SCHEDULES, ids=" ".join)
def test_a_schedule_longer_than_the_training_is_told(command: Command, schedule: tuple[str, ...]) -> None:
    name, *options = schedule
    words = (f"--lr_scheduler={name}", *(f"--lr_scheduler.{option}" for option in options))
    result = command(*DRY, *SMALL, "--early_stopping=null", *words)
    assert result.code == 0, result.err
    wanted = LONG_SCHEDULES[schedule]
    assert _notes(result.out) == ([] if wanted is None else [wanted])


def test_a_training_without_an_end_is_told_by_the_epoch(command: Command) -> None:
    result = command(*DRY, *SMALL, "--trainer.max_epochs=-1", "--early_stopping=null")
    assert result.code == 0, result.err
    assert re.search(r"about 1 s for each epoch of 5 steps and validation, and the training has no end", result.out)
    assert _notes(result.out) == []


def test_a_loss_that_is_not_finite_is_found(command: Command) -> None:
    result = command(*DRY, *SMALL, "--optimizer.lr=1e30", "--trainer.max_epochs=4")
    assert result.code == 1
    assert "is not finite" in result.err or "loss is nan" in result.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--trainer.fast_dev_run=true",), "--dry-run tells of a whole training"),
        (("--dry_run",), "did you mean '--dry-run'?"),
        (("--dry-run=3",), "--dry-run takes no value, not even '3'"),
        (("--trainer.max_epochs=0",), "nothing was trained"),
        (("--model.cell=lsmt",), "did you mean 'lstm'?"),
        (("--data.num_val=0",), "num_val is 0"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_told_is_refused(command: Command, options: tuple[str, ...], said: str) -> None:
    one_mistake(command(*DRY, *SMALL, *options), said)
    assert list(Path().iterdir()) == []
