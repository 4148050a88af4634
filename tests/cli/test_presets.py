"""Presets, each stacked on a config and run."""

from __future__ import annotations

import csv
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tests.cli.helpers import epochs, files, one_mistake, only_run, recorded
from tests.conftest import SMALL, SMALL_REVIEWS, Command, Result

LSTM = ("--config", "lstm.yaml", *SMALL)


def _preset(*names: str) -> list[str]:
    return [f"--config=presets/{name}.yaml" for name in names]


def _verdict(result: Result) -> str:
    return next(line for line in result.out.splitlines() if line.startswith("One batch"))


def test_one_batch_is_learnt_by_heart(command: Command) -> None:
    # Without the two epochs of SMALL, which would hold against the preset.
    result = command("fit", "--config", "lstm.yaml", *_preset("overfit"), *SMALL[:-1], "--optimizer.lr=0.02")
    assert result.code == 0, result.err
    assert "Switched off, to learn by heart: weight_decay 0.01" in result.out
    assert _verdict(result).endswith("the model can learn")
    assert epochs(only_run())[-1]["train_loss"] < 0.01
    assert files(only_run()) == ["config.yaml", "metrics.csv"]
    # What has learnt one batch is not worth a score.
    one_mistake(command("test"), "no run under runs/ to test")


def test_a_task_with_a_schedule_and_dropout_learns_a_batch_too(command: Command, archive: Path) -> None:
    learning = ("--optimizer.lr=0.02", f"--data.path={archive}")
    result = command("fit", *_preset("overfit"), *SMALL_REVIEWS, *learning)
    assert result.code == 0, result.err
    off = "word_dropout 0.2, dropout 0.5, weight_decay 0.1"
    assert f"Switched off, to learn by heart: {off}" in result.out
    assert _verdict(result).endswith("the model can learn")


def test_a_model_that_cannot_learn_ends_with_exit_code_1(command: Command) -> None:
    result = command("fit", *LSTM, *_preset("overfit"), "--optimizer.lr=0", "--trainer.max_epochs=20")
    assert result.code == 1
    said = (
        r"rnn-lightning: one batch of 64 sequences: train_loss (0\.\d+) -> \1 in 20 steps: the model cannot even learn "
    )
    assert re.match(said, result.err)
    assert len(result.err.splitlines()) == 1
    assert {row["train_loss"] for row in epochs(only_run())} == {epochs(only_run())[0]["train_loss"]}


@pytest.mark.parametrize("config", [LSTM[:-1], ("--config", "next_word.yaml", "--model.hidden_size=8")])
def test_a_limited_training_runs_through_everything(command: Command, config: tuple[str, ...]) -> None:
    result = command("fit", *config, *_preset("limit"))
    assert result.code == 0, result.err
    assert [line[:9] for line in result.out.splitlines() if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert len(epochs(only_run())) == 2
    assert command("test").code == 0


def test_watching_presets_stack(command: Command) -> None:
    result = command("fit", *_preset("gradients", "profile", "limit"), *LSTM[:-1])
    assert result.code == 0, result.err
    there = files(only_run())
    assert {"gradients.csv", "profile.csv"} <= set(there)
    assert "Where the time of 8 batches went:" in result.out
    with (only_run() / "profile.csv").open(encoding="utf-8", newline="") as file:
        *parts, total = csv.DictReader(file)
    assert sum(float(row["seconds"]) for row in parts) == pytest.approx(float(total["seconds"]))
    assert next(float(row["seconds"]) for row in parts if row["part"] == "checkpoints") > 0


def test_a_deterministic_training_gives_the_same_bits(command: Command) -> None:
    found = []
    try:
        for _ in range(2):
            assert command("fit", *LSTM, *_preset("deterministic"), "--model.dropout=0.3").code == 0
            (run,) = set(Path("runs").glob("*/*")) - {run for run, _ in found}
            found.append((run, torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]))
            assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    (_, first), (_, second) = found
    assert set(first) == set(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_average_of_the_weights_is_what_is_scored_and_kept_and_the_training_goes_on_from_its_own(
    command: Command,
) -> None:
    result = command("fit", *LSTM, *_preset("ema"))
    assert (result.code, result.err) == (0, "")
    kept = torch.load(only_run() / "checkpoints" / "last.ckpt", weights_only=True)
    assert not torch.equal(*(kept[part]["head.0.weight"] for part in ("state_dict", "current_model_state")))
    assert command("validate", "--ckpt_path=last").code == 0
    validated = json.loads((only_run() / "validate" / "metrics.json").read_text("utf-8"))
    assert validated["val_loss"] == pytest.approx(epochs(only_run())[-1]["val_loss"], abs=1e-6)
    assert command("fit", "--resume", "--trainer.max_epochs=4").code == 0
    resumed = torch.load(only_run() / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    shutil.rmtree("runs")
    assert command("fit", *LSTM[:-1], *_preset("ema"), "--trainer.max_epochs=4").code == 0
    whole = torch.load(only_run() / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_on_a_cpu_16_bits_are_used_only_where_it_has_them(command: Command) -> None:
    result = command("fit", *LSTM, *_preset("16-bit"), "--trainer.accelerator=cpu", "--trainer.max_epochs=1")
    assert result.code == 0, result.err
    assert recorded(only_run())["trainer"]["precision"] == "16-mixed"
    assert epochs(only_run())[0]["val_loss"] == pytest.approx(0.69, abs=0.1)
    assert "fp16" not in result.err


LOGGERS = {
    "tensorboard": ("TensorBoardLogger", "events.out.tfevents.*"),
    "wandb": ("WandbLogger", "wandb/offline-run-*/run-*.wandb"),
    "mlflow": ("MLFlowLogger", "mlflow.db"),
}


@pytest.mark.parametrize("package", LOGGERS)
def test_a_logger_writes_in_the_run_folder_and_nowhere_else(command: Command, package: str) -> None:
    pytest.importorskip(package)
    result = command("fit", *LSTM, *_preset(package))
    assert result.code == 0, result.err
    run = only_run()
    assert list(run.glob(LOGGERS[package][1]))
    assert {"checkpoints/best.ckpt", "config.yaml", "metrics.csv"} <= set(files(run))
    assert [path for path in Path().iterdir() if path.name != "runs"] == []
    # {run} stays what it is, so that the next run of this config writes in its own folder.
    assert any("{run}" in str(value) for value in recorded(run)["trainer"]["logger"][0]["init_args"].values())


def test_tensorboard_has_what_metrics_csv_has(command: Command) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert command("fit", *LSTM, *_preset("tensorboard")).code == 0
    events = EventAccumulator(str(only_run()))
    events.Reload()
    for name in ("train_loss", "val_loss", "val_accuracy"):
        logged = [event.value for event in events.Scalars(name)]
        assert logged == pytest.approx([row[name] for row in epochs(only_run())], abs=1e-6)
    assert "optimizer" in (only_run() / "hparams.yaml").read_text("utf-8")


@pytest.mark.parametrize("package", LOGGERS)
def test_a_missing_package_is_told_with_the_command_that_brings_it(command: Command, package: str) -> None:
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    name = LOGGERS[package][0]
    said = one_mistake(command("fit", *LSTM, *_preset(package)))
    assert said == f"rnn-lightning: {name} needs {package}: pip install 'rnn-lightning[{package}]'\n"
    assert list(Path().iterdir()) == []


def test_loggers_of_two_configs_are_there_together(command: Command) -> None:
    Path("more.yaml").write_text(
        "trainer: {logger+: [{class_path: CSVLogger, init_args: {save_dir: '{run}', name: more, version: ''}}]}\n"
    )
    Path("most.yaml").write_text(
        "trainer: {logger+: [{class_path: CSVLogger, init_args: {save_dir: '{run}/most', name: '', version: ''}}]}\n"
    )
    assert command("fit", *LSTM, "--config=more.yaml", "--config=most.yaml").code == 0
    table = (only_run() / "metrics.csv").read_text()
    assert (only_run() / "more" / "metrics.csv").read_text() == table
    assert (only_run() / "most" / "metrics.csv").read_text() == table


def test_a_score_is_logged_in_the_run_that_it_is_of(command: Command, feature_run: Path) -> None:
    logger = ("--trainer.logger=CSVLogger", "--trainer.logger.save_dir={run}", "--trainer.logger.name=scores")
    assert command("test", *logger).code == 0
    assert len(list(feature_run.glob("scores/*/metrics.csv"))) == 1
    assert [path.name for path in Path().iterdir()] == ["runs"]
