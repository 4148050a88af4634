"""`fit --resume`: a training goes on in its own folder, as if it had never been interrupted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning import SequenceClassifier
from rnn_lightning.cli import runs
from tests.cli.helpers import epochs, files, one_mistake, only_run, recorded
from tests.conftest import SMALL, Command, _train

LONG = (*SMALL, "--trainer.max_epochs=4", "--early_stopping=null")
PLATEAU = tuple(
    f"--lr_scheduler{option}"
    for option in ("=ReduceLROnPlateau", ".monitor=val_loss", ".patience=0", ".threshold=0.999")
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training without an interruption."""
    (run,) = _train(tmp_path_factory.mktemp("whole"), *LONG).glob("*/*")
    return run


def _interrupted(command: Command, *options: str, before_epoch: int) -> Path:
    """A training that breaks off where this epoch, counted from 1, would begin: its folder."""

    def start(self: SequenceClassifier) -> None:
        if self.current_epoch + 1 == before_epoch:
            raise RuntimeError("the power is gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SequenceClassifier, "on_train_epoch_start", start)
        with pytest.raises(RuntimeError, match="the power is gone"):
            command("fit", *options)
    return only_run()


def _whole(command: Command, *options: str) -> Path:
    """A training without an interruption, out of the way."""
    assert command("fit", *options).code == 0
    return Path(shutil.move(only_run(), "whole"))


def _checkpoint(run: Path, part: Path = runs.LAST) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / part, weights_only=True)
    return content


def _same_weights(run: Path, other: Path, part: Path) -> bool:
    own, others = (_checkpoint(folder, part)["state_dict"] for folder in (run, other))
    return own.keys() == others.keys() and all(torch.equal(own[name], others[name]) for name in own)


def _content(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in files(run)}


@pytest.mark.parametrize(
    "options",
    [
        ("--model.dropout=0.3",),
        ("--lr_scheduler=OneCycle",),
        PLATEAU,
        ("--trainer.check_val_every_n_epoch=2", "--lr_scheduler=StepLR", "--lr_scheduler.step_size=1"),
    ],
    ids=["default", "one cycle", "plateau", "sparse validation"],
)
def test_an_interrupted_training_ends_as_one_that_was_not(command: Command, options: tuple[str, ...]) -> None:
    whole = _whole(command, *LONG, *options)
    run = _interrupted(command, *LONG, *options, before_epoch=3)
    assert runs.at_a_glance(run).state == "stopped"
    result = command("fit", "--resume")
    assert (result.code, result.err) == (0, "")
    assert only_run() == run
    assert runs.at_a_glance(run).state == "finished"
    assert result.out.splitlines()[0] == f"Going on with lstm on synthetic  ·  run {run} (epoch 3)"
    assert files(run) == files(whole)
    assert (run / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert recorded(run) == recorded(whole)
    for part in (runs.BEST, runs.LAST):
        assert _same_weights(run, whole, part)
    rates = [
        [group["lr"] for group in _checkpoint(each)["optimizer_states"][0]["param_groups"]] for each in (run, whole)
    ]
    assert rates[0] == rates[1]


def test_what_is_trained_again_stands_in_the_metrics_once(command: Command, whole: Path) -> None:
    command("fit", *LONG, "--trainer.max_epochs=1")
    run = only_run()
    early = (run / runs.LAST).read_bytes()
    command("fit", "--resume", "--trainer.max_epochs=3")
    (run / runs.LAST).write_bytes(early)  # as if the three epochs had been written, and no checkpoint since the first
    with (run / "metrics.csv").open("a") as file:
        file.write("3,19,0.61")  # and a line cut off
    assert command("fit", "--resume", "--trainer.max_epochs=4").code == 0
    assert (run / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert _same_weights(run, whole, runs.LAST)


@pytest.mark.parametrize("content", [None, "", "\0,\n\0,1\n"], ids=["none", "empty", "zeros"])
def test_damaged_metrics_do_not_stop_it(command: Command, feature_run: Path, content: str | None) -> None:
    (run_file := feature_run / "metrics.csv").unlink()
    if content is not None:
        run_file.write_text(content)
    assert command("fit", "--resume", "--trainer.max_epochs=3").code == 0
    assert [epoch["epoch"] for epoch in epochs(feature_run)] == [2]


def test_it_goes_on_longer_with_options_of_now(command: Command, feature_run: Path) -> None:
    before = recorded(feature_run)
    result = command("fit", "--resume", "--trainer.max_epochs", "3", "--data.batch_size=100")
    assert result.code == 0, result.err
    assert re.findall(r"^epoch \d/\d", result.out, re.MULTILINE) == ["epoch 3/3"]
    now = recorded(feature_run)
    assert (now["trainer"].pop("max_epochs"), now["data"]["init_args"].pop("batch_size")) == (3, 100)
    assert (before["trainer"].pop("max_epochs"), before["data"]["init_args"].pop("batch_size")) == (2, 64)
    assert now == before
    assert len(epochs(feature_run)) == 3


def test_the_best_stays_the_best_of_the_whole_training(command: Command) -> None:
    # At a rate this high the second epoch is better than the next ones.
    options = (*SMALL, "--optimizer.lr=0.5", "--seed_everything=3", "--early_stopping=null")
    assert command("fit", *options, "--trainer.max_epochs=2").code == 0
    run, best = only_run(), _checkpoint(only_run(), runs.BEST)
    result = command("fit", "--resume", "--trainer.max_epochs=3")
    scores = [epoch["val_loss"] for epoch in epochs(run)]
    assert scores.index(min(scores)) == best["epoch"] < 2
    assert torch.equal(_checkpoint(run, runs.BEST)["state_dict"]["head.0.weight"], best["state_dict"]["head.0.weight"])
    assert f"Best: epoch {best['epoch'] + 1}, val_loss {min(scores):.4f}" in result.out


def test_a_run_that_was_moved_goes_on_where_it_is(command: Command, feature_run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(feature_run, tmp_path / "lstm-synthetic"))
    result = command("fit", "--resume", moved, "--trainer.max_epochs=3", "--trainer.limit_train_batches=1")
    assert result.out.splitlines()[0] == f"Going on with lstm on synthetic  ·  run {moved} (epoch 3)"
    kept = [f"checkpoints/{name}.ckpt" for name in ("best", "last", "previous")]
    assert files(moved) == [*kept, "config.yaml", "metrics.csv"]
    assert files(Path("runs")) == []
    (state,) = (value for key, value in _checkpoint(moved)["callbacks"].items() if key.startswith("Checkpoint"))
    assert Path(state["best_model_path"]) == moved / runs.BEST
    assert float(state["best_model_score"]) == min(epoch["val_loss"] for epoch in epochs(moved))


def test_early_stopping_counts_on(command: Command) -> None:
    options = (*SMALL, "--trainer.max_epochs=9", "--optimizer.lr=0", "--early_stopping.patience=3")
    run = _interrupted(command, *options, before_epoch=4)
    result = command("fit", "--resume")
    assert "Stopped early after epoch 4: val_loss has not improved for 3 epochs." in result.out
    before = _content(run)
    again = command("fit", "--resume")
    assert again == (
        0,
        f"The run {run} is finished: it stopped early, when val_loss had not improved 3 times. "
        f"To train longer: rnn-lightning fit --resume {run} --early_stopping.patience 6\n",
        "",
    )
    assert _content(run) == before
    patient = command("fit", "--resume", "--early_stopping.patience=5")
    assert "Stopped early after epoch 6: val_loss has not improved for 5 epochs." in patient.out
    endless = command("fit", "--resume", "--early_stopping=null", "--trainer.max_epochs=7")
    assert len(epochs(run)) == 7
    assert "Stopped early" not in endless.out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "has trained 2 epochs. To train longer: rnn-lightning fit --resume RUN --trainer.max_epochs 4"),
        (
            ("--trainer.max_epochs=1",),
            "has trained 2 epochs. To train longer: rnn-lightning fit --resume RUN --trainer.max_epochs 4",
        ),
        (
            ("--trainer.max_epochs=9", "--trainer.max_steps=10"),
            "has trained 10 steps. To train longer: rnn-lightning fit --resume RUN --trainer.max_steps 20",
        ),
    ],
    ids=["epochs", "fewer", "steps"],
)
def test_a_finished_run_says_so(command: Command, feature_run: Path, options: tuple[str, ...], why: str) -> None:
    before = _content(feature_run)
    result = command("fit", "--resume", *options)
    assert (result.code, result.err) == (0, "")
    (line,) = result.out.splitlines()
    assert line.startswith(f"The run {feature_run} is finished: it ")
    assert why.replace("RUN", str(feature_run)) in line
    assert _content(feature_run) == before


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(command: Command, whole: Path) -> None:
    run = _interrupted(command, *LONG, before_epoch=3)
    last = (run / runs.LAST).read_bytes()
    (run / runs.LAST).write_bytes(last[: len(last) // 2])
    result = command("fit", "--resume")
    assert result.code == 0
    damage = f"{run / runs.LAST} is not a checkpoint, or is damaged"
    assert result.err == f"{damage}: going on from the previous checkpoint (epoch 1)\n"
    assert (run / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    for part in (runs.LAST, runs.PREVIOUS):
        (run / part).write_bytes(b"")
    torch.save({k: v for k, v in _checkpoint(run, runs.BEST).items() if k != "optimizer_states"}, run / runs.BEST)
    before = _content(run)
    result = command("fit", "--resume", "--trainer.max_epochs=9")
    one_mistake(result, f"the run {run} cannot go on", f", and {run / runs.BEST} holds the weights alone")
    assert _content(run) == before


def test_a_run_that_is_being_trained_is_left_alone(command: Command, feature_run: Path) -> None:
    with runs.in_training(feature_run):
        before = _content(feature_run)
        result = command("fit", "--resume", "--trainer.max_epochs=3")
        assert _content(feature_run) == before
    one_mistake(result, f"the run {feature_run} is being trained by another process")
    assert command("fit", "--resume", "--trainer.max_epochs=3").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model.hidden_size", "9"), "model.hidden_size is 8 in the run RUN and stays so"),
        (("--data=Parity",), "data.class_path is rnn_lightning.SyntheticSequences in the run RUN and stays so"),
        (("--optimizer.lr=1",), "optimizer.lr is 0.003 in the run RUN and stays so"),
        (("--lr_scheduler=OneCycle",), "lr_scheduler is null in the run RUN and stays so"),
        (("--checkpoint=null",), "checkpoint.monitor is val_loss in the run RUN and stays so"),
        (("--seed_everything=2",), "seed_everything is 1234 in the run RUN and stays so"),
        (("--data.input_size=4", "--trainer.max_epochs=3"), "the checkpoint is of another model"),
        (("--trainer.fast_dev_run=true",), "trainer.fast_dev_run has no place beside it"),
        (("--trainer.max_epoch=3",), "did you mean '--trainer.max_epochs'?"),
        (("--ckpt_path=best",), "--resume goes on from a run's own checkpoint, --ckpt_path begins a new run"),
        (("--run", "RUN"), "--resume names the run itself: fit --resume RUN"),
        (("--seeds=2",), "--resume has no place beside it"),
        (("--config=presets/gradients.yaml",), "gradients.yaml does not help to choose it"),
        (("--config=gru.yaml",), "no gru run under runs/ can go on"),
        (("-c", "lstm.yaml", "-c", "imdb.yaml"), "no lstm-imdb run under runs/ can go on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_change_is_refused_and_nothing_is_touched(
    command: Command, feature_run: Path, options: tuple[str, ...], said: str
) -> None:
    before = _content(feature_run)
    result = command("fit", "--resume", *(word.replace("RUN", str(feature_run)) for word in options))
    one_mistake(result, said.replace("RUN", str(feature_run)))
    assert _content(feature_run) == before


def test_the_words_it_was_trained_with_are_no_change(command: Command, feature_run: Path) -> None:
    result = command("fit", *SMALL, "--config", "lstm.yaml", "--resume")
    assert (result.code, result.err) == (0, "")
    assert "is finished" in result.out


def test_the_newest_run_that_can_go_on_is_taken(command: Command, feature_run: Path) -> None:
    for name in ("lstm-synthetic/2099-01-01_00-00-00", "gru-synthetic/2098-01-01_00-00-00"):
        shutil.copytree(feature_run, Path("runs") / name)
    newest, other = Path("runs/lstm-synthetic/2099-01-01_00-00-00"), Path("runs/gru-synthetic/2098-01-01_00-00-00")
    assert f"The run {newest} is" in command("fit", "--resume").out
    assert f"The run {other} is" in command("fit", "--resume", "--config", "gru.yaml").out
    shutil.rmtree(newest / "checkpoints")
    assert f"The run {other} is" in command("fit", "--resume").out
    assert f"The run {feature_run} is" in command("fit", "--resume", "-c", "lstm.yaml").out
    assert f"The run {other} is" in command("fit", "--resume", "2098").out


def test_without_a_run_it_says_so(command: Command) -> None:
    one_mistake(command("fit", "--resume"), "no run under runs/ can go on")
    one_mistake(command("fit", "--resume", "lstm"), "there is no run 'lstm' under runs/")
    assert not Path("runs").exists()


def test_a_damaged_config_is_told(command: Command, feature_run: Path) -> None:
    config = feature_run / "config.yaml"
    config.write_text(config.read_text()[:300])
    one_mistake(command("fit", "--resume", "--trainer.max_epochs=3"), str(config))


def test_no_file_is_removed_because_a_checkpoint_names_it(command: Command, feature_run: Path) -> None:
    victim = Path("mine.txt")
    victim.write_text("not yours", "utf-8")
    for path in (feature_run / "checkpoints").glob("*.ckpt"):
        content = torch.load(path, weights_only=True)
        for state in content["callbacks"].values():
            if "best_model_path" in state:
                named = str(Path(state["dirpath"]).resolve() / "../../../../mine.txt")
                state |= {"best_model_path": named, "last_model_path": named, "kth_best_model_path": named}
                state["best_k_models"] = {named: torch.tensor(9.0)}
        torch.save(content, path)
    assert command("fit", "--resume", "--trainer.max_epochs=4").code == 0
    assert victim.read_text("utf-8") == "not yours"


def test_it_says_where_to_find_an_older_run(command: Command, feature_run: Path) -> None:
    shutil.copytree(feature_run, "runs/lstm-synthetic/2099-01-01_00-00-00")
    result = command("fit", "--resume", feature_run.name, "--trainer.max_epochs=3")
    assert result.out.splitlines()[-1].startswith(f"Next: rnn-lightning test --run {feature_run}  ·  ")


def test_the_record_of_the_gradients_goes_on_too(command: Command) -> None:
    options = (*LONG, "--config", "presets/gradients.yaml", "--trainer.callbacks.every_n_steps=5")
    whole = _whole(command, *options)
    run = _interrupted(command, *options, before_epoch=3)
    assert command("fit", "--resume").code == 0
    for name in ("gradients.csv", "gradient_norms.csv", "spectral_radii.csv"):
        assert (run / name).read_text() == (whole / name).read_text(), name
