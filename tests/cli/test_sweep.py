"""`rnn-lightning sweep`: trials one after another or side by side, and what is kept of them."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning import SequenceClassifier
from rnn_lightning.cli import sweep_space
from rnn_lightning.cli.marked import Loader
from rnn_lightning.cli.sweep_space import Range, Sweep
from rnn_lightning.cli.sweep_study import Search, distributions, quiet
from tests.cli.helpers import epochs, measured, one_mistake, recorded
from tests.conftest import Command, Result

SMALL = (
    *("--data.num_train=64", "--data.num_val=32", "--data.num_test=32", "--data.num_steps=5"),
    *("--trainer.max_epochs=1", "--model.hidden_size=4", "--data=AddingProblem"),
)
"""A training that takes a tenth of a second."""
RATES = "optimizer.lr: {low: 1.0e-4, high: 1.0e-2, log: true}"


def _space(*lines: str, **others: Any) -> None:
    """Writes mine.yaml, a config that says what is searched."""
    settings = "".join(f"  {name}: {value}\n" for name, value in others.items())
    Path("mine.yaml").write_text(f"sweep:\n{settings}  space:\n" + "".join(f"    {line}\n" for line in lines), "utf-8")


def _sweep(command: Command, *options: object) -> Result:
    return command("sweep", "--config", "mine.yaml", *SMALL, *options)


def _rows(folder: str = "sweep") -> list[dict[str, str]]:
    with Path(folder, "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _search(folder: str = "sweep", url: str | None = None) -> Search:
    """The study as another worker sees it."""
    space = {"optimizer.lr": Range(1e-4, 1e-2, log=True)}
    return Search(Path(folder), Sweep(space, trials=2), "min", url, Path(folder).resolve().name)


def test_trials_are_trained_compared_and_the_best_can_be_repeated_and_tested(command: Command) -> None:
    _space(RATES, "model.hidden_size: [2, 4]", trials=4)
    result = _sweep(command)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "Sweep of lstm on adding  ·  sweep/  ·  4 trials"
    assert [line.split("]")[0] for line in lines[1:5]] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    rows = _rows()
    values = [float(row["val_loss"]) for row in rows]
    assert values == sorted(values)
    assert len({row["optimizer.lr"] for row in rows}) == 4
    for row in rows:
        run = Path("sweep/trials", f"{int(row['trial']):04d}")
        assert epochs(run)[0]["val_loss"] == float(row["val_loss"])
        config = recorded(run)
        assert config["optimizer"]["init_args"]["lr"] == float(row["optimizer.lr"])
        assert config["model"]["init_args"]["hidden_size"] == int(row["model.hidden_size"])
        assert 1e-4 <= float(row["optimizer.lr"]) <= 1e-2
        # Only the best keeps its weights: a long sweep would fill a disk.
        assert (run / "checkpoints").is_dir() == (row is rows[0])
        assert "epoch 1/1" in (run / "log.txt").read_text("utf-8")
    # Nothing of it stands among the runs, and nothing saw the test part.
    assert not Path("runs").exists()
    assert not list(Path("sweep").rglob("test"))
    best = int(rows[0]["trial"])
    assert f"Best: trial {best}, val_loss {values[0]:.4f}" in result.out
    assert lines[-1] == (
        f"Next: rnn-lightning fit --config sweep/best.yaml  ·  rnn-lightning test --run sweep/trials/{best:04d}"
    )
    for name in ("history", "slices", "parallel"):
        assert Path("sweep", f"{name}.png").read_bytes().startswith(b"\x89PNG")
    again = command("fit", "--config", "sweep/best.yaml")
    assert again.code == 0, again.err
    assert f"val_loss {values[0]:.4f}" in again.out
    tested = command("test", "--run", f"sweep/trials/{best:04d}")
    assert measured(tested)["test_loss"] > 0


def test_the_same_command_goes_on_and_its_trials_are_those_of_one_that_never_stopped(command: Command) -> None:
    _space(RATES, "model.num_layers: {low: 1, high: 2}", trials=3)
    _sweep(command, "--output=whole")
    _sweep(command, "--output=parts", "--trials=1")
    more = _sweep(command, "--output=parts")
    assert "3 trials, 1 of them there already" in more.out
    assert [line.split("]")[0] for line in more.out.splitlines()[1:3]] == ["[2/3", "[3/3"]
    told = [[{**row, "seconds": ""} for row in _rows(folder)] for folder in ("whole", "parts")]
    assert told[0] == told[1]


def test_a_study_of_another_space_or_training_is_not_gone_on_with(command: Command) -> None:
    _space(RATES, trials=1)
    assert _sweep(command).code == 0
    one_mistake(
        _sweep(command, "--data.num_train=32"),
        "the study in sweep/ is of another training: data.num_train was 64, not 32; give another --output",
    )
    for lines, said in (
        (("optimizer.lr: {low: 1.0e-4, high: 1.0e-1, log: true}",), "it has other values of optimizer.lr"),
        ((RATES, "model.dropout: [0.0, 0.1]"), "it has no model.dropout"),
        (("model.dropout: [0.0, 0.1]",), "it has optimizer.lr too"),
    ):
        _space(*lines, trials=1)
        one_mistake(_sweep(command), "the study in sweep/ searches another space", said)


def test_trials_that_are_worse_than_most_are_pruned(command: Command) -> None:
    # All but one of these steps lead nowhere.
    _space("optimizer.lr: [0.01, 1.0e-7, 2.0e-7, 3.0e-7]", trials=4, warmup_trials=1, warmup_validations=2, seed=5)
    result = _sweep(command, "--trainer.max_epochs=6")
    assert result.code == 0, result.err
    by_state: dict[str, list[dict[str, str]]] = {}
    for row in _rows():
        by_state.setdefault(row["state"], []).append(row)
    assert set(by_state) == {"finished", "pruned"}, result.out
    assert by_state["finished"][0]["optimizer.lr"] == "0.01"
    for row in by_state["pruned"]:
        # Two validations are waited for.
        assert int(row["epochs"]) == len(epochs(Path("sweep/trials", f"{int(row['trial']):04d}"))) == 3


def test_a_small_space_is_tried_as_a_whole_and_once_with_classes_lists_and_null(command: Command) -> None:
    _space("optimizer.betas: [[0.5, 0.9]]", "optimizer: [Adam, AdamW]", "lr_scheduler: [null, OneCycle]", trials=10)
    result = _sweep(command)
    assert "·  4 trials" in result.out.splitlines()[0]
    assert sorted((row["optimizer"], row["lr_scheduler"]) for row in _rows()) == [
        (optimizer, schedule) for optimizer in ("Adam", "AdamW") for schedule in ("", "OneCycle")
    ]
    found = [recorded(run.parent) for run in Path("sweep/trials").glob("*/config.yaml")]
    assert {config["optimizer"]["class_path"] for config in found} == {"torch.optim.Adam", "torch.optim.AdamW"}
    assert [tuple(config["optimizer"]["init_args"]["betas"]) for config in found] == [(0.5, 0.9)] * 4
    assert sum(config.get("lr_scheduler") is None for config in found) == 2


def test_a_metric_of_its_own_decides_which_checkpoint_is_kept_too(command: Command) -> None:
    _space(RATES, trials=2, metric="val_mae", direction="max")
    result = _sweep(command, "--json", "--trainer.max_epochs=2")
    content = json.loads(result.out)
    assert (content["metric"], content["direction"]) == ("val_mae", "max")
    assert [trial["value"] for trial in content["trials"]] == sorted(
        (t["value"] for t in content["trials"]), reverse=True
    )
    config = recorded(Path(content["best"]["run"]))
    assert config["checkpoint"] == {"monitor": "val_mae", "mode": "max"}
    measurements = [epoch["val_mae"] for epoch in epochs(Path(content["best"]["run"]))]
    assert content["trials"][0]["value"] == max(measurements)
    assert "[1/2]" in result.err
    assert yaml.safe_load(Path(content["best"]["config"]).read_text("utf-8"))["checkpoint"]["monitor"] == "val_mae"


def test_one_that_was_interrupted_is_tried_again(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _space(RATES, trials=2)
    started = []

    def start(self: SequenceClassifier) -> None:
        started.append(self.current_epoch)
        if len(started) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SequenceClassifier, "on_train_epoch_start", start)
        result = _sweep(command)
    assert result.code == 130
    assert result.err.endswith("Stopped. The same command goes on with what is missing in sweep/.\n")
    assert not Path("sweep/trials.csv").exists()
    again = _sweep(command)
    assert "2 trials, 1 of them there already" in again.out
    assert [row["state"] for row in _rows()] == ["finished"] * 2
    interrupted = recorded(Path("sweep/trials/0001"))["optimizer"]["init_args"]["lr"]
    assert recorded(Path("sweep/trials/0002"))["optimizer"]["init_args"]["lr"] == interrupted


def test_the_same_command_given_twice_at_once_shares_one_study(command: Command, program: str) -> None:
    _space(RATES, trials=4)
    words = [program, "sweep", "--config=mine.yaml", *SMALL]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().startswith("Sweep of lstm")
        result = _sweep(command)
        told, said = other.communicate(timeout=300)
    assert (result.code, result.err, other.returncode, said) == (0, "", 0, "")
    assert sorted(int(row["trial"]) for row in _rows()) == [0, 1, 2, 3]
    assert {row["state"] for row in _rows()} == {"finished"}
    lines = [line for line in (told + result.out).splitlines() if line.startswith("[")]
    assert len(lines) == 4


@pytest.mark.slow
def test_workers_of_one_command_share_its_trials(command: Command) -> None:
    _space(RATES, trials=4)
    result = _sweep(command, "--jobs=2", "--trainer.max_epochs=2")
    assert (result.code, result.err) == (0, ""), result
    assert sorted(int(row["trial"]) for row in _rows()) == [0, 1, 2, 3]
    assert {row["state"] for row in _rows()} == {"finished"}


def test_a_study_stands_in_a_database_by_its_name(command: Command) -> None:
    _space(RATES, trials=1)
    assert _sweep(command, "--storage=sqlite:///all.db", "--study=first").code == 0
    assert not Path("sweep/study.journal").exists()
    (study,) = optuna.get_all_study_summaries("sqlite:///all.db")
    assert (study.study_name, study.n_trials) == ("first", 1)


def test_a_mistake_that_all_trials_share_ends_the_sweep_soon_and_can_be_mended(command: Command) -> None:
    _space(RATES, trials=10, metric="val_acuracy")
    result = _sweep(command)
    assert result.code == 1
    assert "rnn-lightning: none of the 3 trials came to its end" in result.err
    assert "trial 0 failed: checkpoint.monitor is 'val_acuracy', which is not measured" in result.out
    assert not Path("sweep/best.yaml").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("model.hiden_size: [3]", "there is no option 'model.hiden_size'; did you mean 'model.hidden_size'?"),
        ("hidden_size: [3]", "there is no option 'hidden_size'; did you mean 'model.hidden_size'?"),
        ("model.cell: [gru, lsmt]", "there is no recurrent layer 'lsmt'"),
        ("model.dropout: [0.1, 1.5]", "dropout is 1.5; it must be at least 0 and below 1"),
        ("model.hidden_size: {low: 0.5, high: 3.5}", "model.hidden_size wants a whole number, not '0.5'"),
        ("optimizer: [SGD, Adan]", "optimizer: there is no 'Adan'; did you mean 'Adam'?"),
        ("model.hidden_size: 3", "wants a list of values, or a table of low and high, not '3'"),
        ("model.hidden_size: []", "model.hidden_size has no values to choose from"),
        ("model.hidden_size: [3, 3]", "model.hidden_size has 3 twice"),
        ("optimizer.lr: {low: 0, high: 1, log: true}", "optimizer.lr has low 0; with log it must be above 0"),
        ("optimizer.lr: {low: 2, high: 1}", "optimizer.lr has low 2 above high 1"),
        ("optimizer.lr: {low: 2, hihg: 1}", "'hihg' beside low, high, log and step; did you mean 'high'?"),
        ("optimizer.lr: {low: 2}", "optimizer.lr lacks 'high'"),
        ("optimizer.lr: {low: a, high: 1}", "optimizer.lr wants a number for 'low', not 'a'"),
        ("optimizer.lr: {low: .nan, high: 1}", "optimizer.lr wants a number for 'low', not 'nan'"),
        ("optimizer.lr: {low: 1, high: 4, log: 1}", "optimizer.lr wants true or false for 'log', not '1'"),
        ("optimizer.lr: {low: 1, high: 4, step: 0}", "optimizer.lr has step 0; it must be above 0"),
        ("optimizer.lr: {low: 1, high: 4, step: 1, log: true}", "optimizer.lr takes log or step, not both"),
        ("checkpoint.monitor: [val_loss]", "checkpoint.monitor is the same in all trials"),
    ],
    ids=lambda value: value[:40],
)
def test_a_mistake_in_the_space_is_told_with_its_line_before_anything_is_trained(
    command: Command, line: str, said: str
) -> None:
    _space("optimizer.weight_decay: [0.1, 0.2]", line)
    one_mistake(command("sweep", "--config=mine.yaml"), "mine.yaml, line 4: sweep.space: ", said)
    assert [path.name for path in Path().iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sweep: 3", "mine.yaml, line 1: the section 'sweep' wants options, such as trials: 20, not '3'"),
        ("sweep: {trials: 3}", "mine.yaml, line 1: sweep.space wants options with what they can be"),
        ("sweep:\n  space: {}", "mine.yaml, line 2: sweep.space wants options with what they can be"),
        ("sweep: {spaces: {}}", "sweep has no option 'spaces'; did you mean 'space'?"),
        ("sweep:\n  trials: 0", "mine.yaml, line 2: sweep.trials wants a whole number, at least 1, not '0'"),
        ("sweep: {seed: true}", "sweep.seed wants a whole number, at least 0, not 'True'"),
        ("sweep: {pruning: mediam}", "sweep.pruning is 'mediam', not one of median, none; did you mean 'median'?"),
        ("sweep: {direction: lower}", "sweep.direction is 'lower', not one of min, max"),
        ("sweep: {metric: 3}", "sweep.metric wants the name of a measurement, such as val_loss, not '3'"),
        ("checkpoint: null\nsweep: {space: {model.dropout: [0.1]}}", "checkpoint cannot be null"),
        ("trainer: {devices: 2}\nsweep: {space: {model.dropout: [0.1]}}", "--jobs runs several trials side by side"),
        ("trainer: {fast_dev_run: true}\nsweep: {space: {model.dropout: [0.1]}}", "fast_dev_run has no place in it"),
        ("trainer: {max_epochs: 1}", "sweep wants a config with a section 'sweep'"),
        ("model: {init_args: {cell: lsmt}}\nsweep: {space: {model.dropout: [0.1]}}", "did you mean 'lstm'?"),
    ],
)
def test_a_mistake_in_the_section_is_told_before_anything_is_trained(command: Command, content: str, said: str) -> None:
    Path("mine.yaml").write_text(content, "utf-8")
    one_mistake(command("sweep", "--config=mine.yaml"), said)
    assert [path.name for path in Path().iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--trials=0",), "--trials wants a whole number, at least 1, not '0'"),
        (("--jobs=x",), "--jobs wants a whole number, at least 1, not 'x'"),
        (("--engine=rya",), "--engine is 'rya', not one of optuna, ray; did you mean 'ray'?"),
        (("--study=x",), "--study x is the name of a study in a database: give --storage too"),
        (("--storage=nosuch://x",), "--storage nosuch://x cannot be used: "),
        (("--storage=foo",), "--storage cannot be used: "),
        (("--storage=sqlite:////nosuch/x.db",), "--storage sqlite:////nosuch/x.db cannot be used: unable to open"),
        (("--sweep.trials=3",), "what is searched stands in the section 'sweep' of a config"),
        (("--ckpt_path=best",), "sweep does not take --ckpt_path"),
        (("--trial=3",), "did you mean '--trials'?"),
        (("lstm.yaml",), "'lstm.yaml' belongs to no option of sweep"),
        (("--output=mine.yaml",), "--output mine.yaml cannot be made: File exists"),
    ],
    ids=lambda value: value[0][:30],
)
def test_a_mistake_in_the_words_is_told_before_anything_is_trained(
    command: Command, words: tuple[str, ...], said: str
) -> None:
    _space(RATES)
    one_mistake(command("sweep", "--config=mine.yaml", *words), said)
    assert [path.name for path in Path().iterdir()] == ["mine.yaml"]


@st.composite
def _ranges(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """A table as it is written, and a distribution of its values."""
    whole, log = draw(st.booleans()), draw(st.booleans())
    numbers = st.integers(1, 1000) if whole else st.floats(1e-6, 1e3)
    low, high = sorted((draw(numbers), draw(numbers)))
    table: dict[str, Any] = {"low": low, "high": high}
    if log:
        table["log"] = True
    elif draw(st.booleans()):
        table["step"] = draw(st.integers(1, 10) if whole else st.floats(0.1, 10))
    return table, whole


@given(_ranges(), st.integers(0, 100))
def test_what_is_proposed_lies_in_its_range_and_is_read_as_it_was_meant(
    range_: tuple[dict[str, Any], bool], seed: int
) -> None:
    table, whole = range_
    space = {"optimizer.lr": sweep_space._range("optimizer.lr", table)}
    quiet()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    value = study.ask(distributions(space)).params["optimizer.lr"]
    assert table["low"] <= value <= table["high"]
    assert isinstance(value, int) == whole
    (word,) = sweep_space.words({"optimizer.lr": value})
    assert yaml.load(word.removeprefix("--optimizer.lr="), Loader) == value
    if "step" in table:
        steps = (value - table["low"]) / table["step"]
        assert steps == pytest.approx(round(steps), abs=1e-6)


def test_other_verbs_do_not_take_the_section(command: Command) -> None:
    _space(RATES)
    one_mistake(command("fit", "--config=mine.yaml"), "mine.yaml, line 1: the section 'sweep' says what is searched")
    assert [path.name for path in Path().iterdir()] == ["mine.yaml"]


def test_one_that_is_killed_twice_counts_as_failed(command: Command) -> None:
    _space(RATES, trials=2)
    Path("sweep").mkdir()
    search = _search()
    for _ in range(2):
        # A killed process leaves a trial that is running, in a folder that nobody has locked.
        with search.lock:
            search._pass_over_the_dead()
            assert search._asked() is not None
    tried = {trial.params["optimizer.lr"] for trial in search.study.get_trials()}
    assert len(tried) == 1
    assert _sweep(command).code == 0
    told = {row["state"]: row for row in _rows()}
    assert set(told) == {"finished", "failed"}
    assert told["failed"]["why"] == "its process was killed, twice"
    assert float(told["failed"]["optimizer.lr"]) == tried.pop()


@pytest.mark.slow
def test_ray_tries_the_same_space_and_goes_on(command: Command) -> None:
    pytest.importorskip("ray", reason="Ray is an extra of its own: pip install 'rnn-lightning[ray]'")
    _space(RATES, trials=2)
    result = _sweep(command, "--engine=ray")
    assert result.code == 0, result
    assert {row["state"] for row in _rows()} == {"finished"}
    assert len({row["optimizer.lr"] for row in _rows()}) == 2
    assert "Best: trial " in result.out
    run = result.out.split("--run ")[-1].strip()
    assert command("test", "--run", run).code == 0
    assert command("fit", "--config", "sweep/best.yaml").code == 0
    before = _rows()
    assert _sweep(command, "--engine=ray").code == 0
    assert _rows() == before
    one_mistake(_sweep(command, "--engine=ray", "--data.num_train=32"), "is of another training: data.num_train was 64")
