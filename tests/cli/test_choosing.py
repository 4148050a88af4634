"""Which checkpoint a verb takes: the best one of the newest run, or the one that is named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.cli.helpers import one_mistake, recorded
from tests.conftest import SMALL, Command

BEST = Path("checkpoints") / "best.ckpt"
VERBS = ["validate", "test", "predict"]


@pytest.fixture
def several(command: Command, feature_run: Path) -> dict[str, Path]:
    """Runs by what they are: four finished ones, one without a best checkpoint, one that a sweep wrote elsewhere."""
    places = {
        "old": "runs/lstm-synthetic/2026-01-01_10-00-00",
        "newest": "runs/gru-synthetic/2026-03-01_10-00-00-2",
        "same second": "runs/gru-synthetic/2026-03-01_10-00-00",
        "middle": "runs/lstm-synthetic/2026-02-01_10-00-00",
        "unfinished": "runs/lstm-synthetic/2026-09-01_10-00-00",
        "elsewhere": "sweeps/lstm-synthetic/2026-12-01_10-00-00",
    }
    found = {name: Path(place) for name, place in places.items()}
    for folder in found.values():
        shutil.copytree(feature_run, folder)
    shutil.rmtree(feature_run)
    (found["unfinished"] / BEST).unlink()
    os.utime(found["old"] / BEST)  # a newer file does not make a newer run
    os.utime(found["old"])
    return found


def _taken(command: Command, *argv: object) -> str:
    result = command("test", *argv)
    assert result.code == 0, result.err
    return result.out.splitlines()[0].removeprefix("Testing the ").rpartition(" (epoch ")[0]


def test_the_newest_run_is_the_one_that_started_last(command: Command, several: dict[str, Path]) -> None:
    assert _taken(command) == f"best checkpoint of the newest run, {several['newest']}"
    shutil.rmtree(several["newest"])
    assert _taken(command) == f"best checkpoint of the newest run, {several['same second']}"
    shutil.rmtree(several["same second"])
    assert _taken(command) == f"best checkpoint of the newest run, {several['middle']}"


def test_the_tenth_run_of_a_second_is_newer_than_the_ninth(command: Command, several: dict[str, Path]) -> None:
    for number in (9, 10):
        shutil.copytree(several["newest"], f"runs/gru-synthetic/2026-03-01_10-00-00-{number}")
    assert _taken(command).endswith("2026-03-01_10-00-00-10")


@pytest.mark.parametrize("how", ["path", "absolute path", "below runs", "start", "trailing slash"])
def test_a_run_is_named_in_any_way(command: Command, several: dict[str, Path], how: str) -> None:
    run = several["middle"]
    name = {
        "path": run,
        "absolute path": run.resolve(),
        "below runs": run.relative_to("runs"),
        "start": run.name,
        "trailing slash": f"{run}/",
    }[how]
    assert Path(_taken(command, "--run", name).removeprefix("best checkpoint of the run ")).resolve() == run.resolve()
    if how in ("path", "absolute path"):
        assert _taken(command, "--ckpt_path", name) == f"best checkpoint of the run {name}"


def test_best_and_last_are_names_of_checkpoints(command: Command, several: dict[str, Path]) -> None:
    newest, old = several["newest"], several["old"]
    assert _taken(command, "--ckpt_path=best") == f"best checkpoint of the newest run, {newest}"
    assert _taken(command, "--ckpt_path=last") == f"last checkpoint of the newest run, {newest}"
    assert _taken(command, "--ckpt_path=last", "--run", old) == f"last checkpoint of the run {old}"
    content = json.loads((old / "test" / "metrics.json").read_text())
    assert content["checkpoint"] == str(old / "checkpoints" / "last.ckpt")


def test_the_last_checkpoint_is_another_than_the_best(command: Command) -> None:
    command("fit", *SMALL, "--trainer.max_epochs=6", "--optimizer.lr=0.3", "--early_stopping=null")
    (run,) = Path("runs").glob("*/*")
    epochs = {}
    for part in ("best", "last"):
        epochs[part] = torch.load(run / "checkpoints" / f"{part}.ckpt", weights_only=True)["epoch"] + 1
        assert f"(epoch {epochs[part]})" in command("test", f"--ckpt_path={part}").out
    assert epochs["best"] < epochs["last"] == 6


def test_how_the_name_of_a_run_begins_will_do(command: Command, several: dict[str, Path]) -> None:
    middle, unfinished = several["middle"], several["unfinished"]
    assert _taken(command, "--run", "2026-02") == f"best checkpoint of the run {middle}"
    assert _taken(command, "--ckpt_path", "lstm-synthetic/2026-02") == f"best checkpoint of the run {middle}"
    # Named, a run that is not finished can be scored by its last checkpoint.
    assert _taken(command, "--run", "2026-09", "--ckpt_path=last") == f"last checkpoint of the run {unfinished}"


def _begun_from(command: Command, *argv: object) -> str:
    result = command("fit", *SMALL, "--trainer.max_epochs=3", *argv)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("Training lstm on synthetic  ·  run runs/lstm-synthetic/")
    assert [line[:9] for line in lines if line.startswith("epoch")] == ["epoch 3/3"]
    shutil.rmtree(lines[0].rpartition(" run ")[2])
    return lines[1].removeprefix("  from the ").removesuffix(" (epoch 2)")


def test_a_new_training_begins_with_the_checkpoint_that_is_named(command: Command, several: dict[str, Path]) -> None:
    middle, old = several["middle"], several["old"]
    shutil.rmtree(several["unfinished"])
    # The newest run of all is a gru: a training takes the newest of its own kind.
    assert _begun_from(command, "--ckpt_path=best") == f"best checkpoint of the newest run, {middle}"
    assert _begun_from(command, "--ckpt_path=last", "--run=2026-01") == f"last checkpoint of the run {old}"
    assert _begun_from(command, "--ckpt_path", old.name) == f"best checkpoint of the run {old}"
    Path("mine.yaml").write_text("ckpt_path: best\n")
    assert _begun_from(command, "--config", "mine.yaml") == f"best checkpoint of the newest run, {middle}"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ("--ckpt_path=best", "--model.cell=rnn"),
            "no rnn-synthetic run under runs/ has a best checkpoint",
        ),
        (("--ckpt_path=2026",), "'2026' fits 5 runs: "),
        (("--ckpt_path=nowhere",), "there is no checkpoint nowhere"),
        (("--ckpt_path=x.ckpt", "--run=2026-02"), "--run 2026-02 and --ckpt_path x.ckpt both name a checkpoint"),
        (("--run=2026-02",), "to go on with the run itself: fit --resume 2026-02"),
        (("--ckpt_path=best", "--run=2026-02-01_10-00-01"), "did you mean '2026-02-01_10-00-00'?"),
        (("--ckpt_path=best", "--run=2026-09"), "has no best checkpoint yet (checkpoints/best.ckpt)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_training_cannot_begin_with_what_is_not_there(
    command: Command, several: dict[str, Path], argv: tuple[str, ...], said: str
) -> None:
    before = sorted(Path("runs").rglob("*"))
    one_mistake(command("fit", *SMALL, *argv), said)
    assert sorted(Path("runs").rglob("*")) == before


def test_a_file_is_taken_as_it_is(command: Command, several: dict[str, Path]) -> None:
    file = several["old"] / "checkpoints" / "last.ckpt"
    assert _taken(command, "--ckpt_path", file) == f"checkpoint {file}"
    assert (several["old"] / "test" / "metrics.json").is_file()  # it stands in a run, whose data is used


@pytest.mark.parametrize(
    ("configs", "name"),
    [
        (["gru.yaml"], "newest"),
        (["lstm.yaml"], "middle"),
        (["base.yaml"], "middle"),
        (["gru"], "newest"),
    ],
)
def test_a_config_restricts_to_runs_of_its_architecture(
    command: Command, several: dict[str, Path], configs: list[str], name: str
) -> None:
    words = [word for config in configs for word in ("--config", config)]
    assert _taken(command, *words) == f"best checkpoint of the newest run, {several[name]}"


@pytest.mark.parametrize(
    ("configs", "kind"),
    [
        (["bilstm.yaml"], "bilstm "),
        (["stacked_lstm.yaml"], "stacked_lstm "),
        (["imdb.yaml"], "imdb "),
        (["gru.yaml", "imdb.yaml"], "gru-imdb "),
        (["imdb.yaml", "gru.yaml"], "gru-imdb "),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("verb", VERBS)
def test_where_no_run_fits_the_configs_it_stops(
    command: Command, several: dict[str, Path], configs: list[str], kind: str, verb: str
) -> None:
    words = [word for config in configs for word in ("--config", config)]
    one_mistake(command(verb, *words), f"no {kind}run under runs/ to {verb}; train one first")


def test_a_task_config_restricts_to_runs_of_its_task(command: Command, review_run: Path, several: object) -> None:
    # Older than all others by its name, and yet the newest of its task.
    old = Path("runs/lstm-imdb/2020-01-01_10-00-00")
    shutil.move(review_run, old)
    assert _taken(command).endswith("2026-03-01_10-00-00-2")
    path = recorded(old)["data"]["init_args"]["path"]
    options = ("--config", "imdb.yaml", f"--data.path={path}")
    assert _taken(command, *options) == f"best checkpoint of the newest run, {old}"
    assert _taken(command, *options, "--config", "lstm.yaml") == f"best checkpoint of the newest run, {old}"


@pytest.mark.parametrize("short", [True, False])
def test_a_config_of_ones_own_names_its_data_in_either_form(command: Command, several: object, short: bool) -> None:
    name = "SyntheticSequences"
    Path("mine.yaml").write_text(f"data: {name}\n" if short else f"data:\n  class_path: rnn_lightning.{name}\n")
    assert _taken(command, "--config", "mine.yaml").startswith("best checkpoint of the newest run, runs/gru-synthetic/")


@pytest.mark.parametrize("verb", VERBS)
def test_without_any_run_it_says_what_to_do(command: Command, verb: str) -> None:
    result = command(verb)
    assert result == (
        2,
        "",
        f"rnn-lightning: no run under runs/ to {verb}; train one first (rnn-lightning fit --config lstm.yaml) "
        "or name a checkpoint (--ckpt_path FILE)\n",
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--run", "nothing"], "there is no run 'nothing' under runs/"),
        (["--run", "2026-09-01_10-00-00"], "has no best checkpoint yet (checkpoints/best.ckpt)"),
        (["--run", "old", "--ckpt_path", "x.ckpt"], "--run old and --ckpt_path x.ckpt both name a checkpoint"),
        (["--ckpt_path", "nowhere.ckpt"], "there is no checkpoint nowhere.ckpt"),
        (["--ckpt_path", "/nowhere.ckpt"], "there is no checkpoint /nowhere.ckpt"),
        (["--ckpt_path", "sweeps"], "there is no run 'sweeps' under runs/"),
        (["--run"], "--run wants a value"),
        (["--ckpt_path"], "--ckpt_path wants a value"),
        (["--ckpt_path="], "there is no run '.' under runs/"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_checkpoint_that_is_not_there_is_told(
    command: Command, several: object, verb: str, argv: list[str], said: str
) -> None:
    one_mistake(command(verb, *argv), said)


@pytest.mark.parametrize(
    "flag",
    [
        "--model=SequenceClassifier",
        "--model.cell=gru",
        "--model.hidden_size=3",
        "--optimizer=SGD",
        "--optimizer.lr=1",
        "--lr_scheduler=OneCycle",
        "--lr_scheduler.warmup=0.1",
        "--checkpoint=null",
        "--checkpoint.monitor=val_loss",
        "--early_stopping=null",
        "--early_stopping.patience=1",
    ],
)
@pytest.mark.parametrize("verb", VERBS)
def test_no_option_of_the_training_is_taken(command: Command, several: object, verb: str, flag: str) -> None:
    name, _, value = flag.partition("=")
    for words in ([flag], [name, value]):
        said = one_mistake(command(verb, *words))
        assert said == (
            f"rnn-lightning: {verb} does not take {name}: the model comes from the checkpoint, as it was trained\n"
        )
