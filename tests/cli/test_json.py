"""What the command says to programs: JSON and nothing else on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnn_lightning import load
from rnn_lightning.cli import configs
from rnn_lightning.cli.verbs import VERBS
from tests.cli.helpers import measured, one_mistake
from tests.conftest import SMALL, Command, Result


def _said(result: Result) -> Any:
    assert result.code == 0, result.err
    return json.loads(result.out)


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_scores_are_those_that_are_kept_and_told_in_words(command: Command, feature_run: Path, verb: str) -> None:
    said = _said(command(verb, "--json"))
    assert said == json.loads((feature_run / verb / "metrics.json").read_text("utf-8"))
    told = measured(command(verb))
    assert {name: value for name, value in said.items() if name in told} == pytest.approx(told, abs=1e-4)


def test_each_prediction_is_a_line(command: Command, review_run: Path) -> None:
    texts = ["A fine film", 'dull, "dull"\nand long', "无聊 😀", ""]
    result = command("predict", *(f"--text={text}" for text in texts), "--json")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["text"] for row in rows] == texts
    for row, wanted in zip(rows, load(review_run).predict_text(texts), strict=True):
        assert (row["label"], row["probability"]) == (wanted.label, pytest.approx(wanted.probability, abs=1e-6))


def test_lines_go_to_one_place_only(command: Command, review_run: Path) -> None:
    one_mistake(command("predict", "--text=fine", "--json", "--output=x.jsonl"), "give one of them")
    assert not Path("x.jsonl").exists()


def test_baselines_are_the_numbers_that_are_told_in_words(command: Command) -> None:
    data = [word for word in SMALL if word.startswith("--data.")]
    said = _said(command("baseline", *data, "--json"))
    assert said["data"] == "synthetic"
    told = command("baseline", *data).out
    for method in said["baselines"]:
        low, high = method["intervals"]["test_accuracy"]
        assert low <= method["test_accuracy"] <= high
        assert f"{method['method']}:  val_accuracy {method['val_accuracy']:.4f}" in told


def test_what_there_is_has_a_name_and_a_meaning(command: Command) -> None:
    said = _said(command("list", "--json"))
    assert list(said) == ["verbs", "configs", "presets", "layers", "tasks", "data", "plugins"]
    assert {row["name"] for row in said["configs"] + said["presets"]} == set(configs.shipped())
    for kind, rows in said.items():
        assert all(row["name"] and row["what"] for row in rows), kind
    (lstm,) = (row for row in _said(command("list", "configs", "--json")) if row["name"] == "lstm.yaml")
    assert "test accuracy 0.984" in lstm["measured"]
    assert [row["name"] for row in said["verbs"]] == list(VERBS)


def test_installed_packages_are_listed_with_what_they_add(command: Command, plugin: Path) -> None:
    assert {"name": "leaky-rnn 1.0", "what": "leaky, lstm, SlowClassifier, MeanOfSteps, LongSequences"} in _said(
        command("list", "plugins", "--json")
    )
    assert {"name": "leaky", "what": "from leaky-rnn"} in _said(command("list", "layers", "--json"))


def test_runs_are_listed_with_their_scores(command: Command, feature_run: Path) -> None:
    (run,) = _said(command("list", "runs", "--json"))
    assert (run["folder"], run["state"], run["test"]) == (str(feature_run), "finished", {})
    test = _said(command("test", "--json"))
    (run,) = _said(command("list", "runs", "--json"))
    assert run["test"]["test_accuracy"] == test["test_accuracy"]
    (line,) = command("list", "runs").out.splitlines()
    assert line.startswith(f"{feature_run}  finished  ")
    assert f"test_accuracy {test['test_accuracy']:.4f}" in line


@pytest.mark.parametrize("verb", ["test", "list"])
def test_a_switch_takes_no_value(command: Command, verb: str) -> None:
    one_mistake(command(verb, "--json=yes"), "--json takes no value, not even 'yes'")
