"""The intervals around a test's scores, where they are seen: on the screen and in metrics.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from rnn_lightning import SyntheticSequences, load
from rnn_lightning.intervals import binomial, of_auroc, of_macro_f1, of_mean
from tests.cli.helpers import measured, only_run
from tests.conftest import SMALL, Command, Result

Ends = tuple[float, float]


def _kept(run: Path) -> tuple[dict[str, float], dict[str, Ends]]:
    content = json.loads((run / "test" / "metrics.json").read_text("utf-8"))
    for name in ("checkpoint", "chance_level", "parameters"):
        del content[name]
    intervals = {name: (low, high) for name, (low, high) in content.pop("intervals").items()}
    return content, intervals


def _shown(result: Result) -> dict[str, Ends]:
    """Names and ends of the intervals in the last line that a command printed."""
    found = re.findall(r"(\w+) \d+\.\d{4} \[(\d+\.\d{4}), (\d+\.\d{4})\]", result.out.splitlines()[-1])
    return {name: (float(low), float(high)) for name, low, high in found}


def test_intervals_are_those_of_the_test_sequences(command: Command, feature_run: Path) -> None:
    result = command("test")
    assert (result.code, result.err) == (0, "")
    data = SyntheticSequences(num_train=300, num_val=100, num_test=90)
    data.setup("test")
    batch = data.test.__getitems__(list(range(90)))
    with torch.no_grad():
        logits = load(feature_run)(batch.inputs, batch.lengths).double().numpy()
    assert batch.targets is not None
    targets = batch.targets.numpy()
    chosen = (logits > 0).astype(int)
    content, intervals = _kept(feature_run)
    wanted = {
        "test_loss": of_mean(np.logaddexp(0, np.where(targets == 1, -logits, logits))),
        "test_accuracy": binomial(int((chosen == targets).sum()), 90),
        "test_f1": of_macro_f1(chosen, targets),
        "test_auroc": of_auroc(logits, targets == 1),
    }
    assert set(intervals) == set(content) == set(wanted)
    for name, ends in wanted.items():
        assert intervals[name] == pytest.approx(ends, rel=1e-5), name
        assert intervals[name][0] < content[name] < intervals[name][1], name
        assert _shown(result)[name] == pytest.approx(intervals[name], abs=6e-5), name


def test_intervals_are_the_same_each_time_and_with_any_batch_size(command: Command, feature_run: Path) -> None:
    assert command("test").code == 0
    _, wanted = _kept(feature_run)
    assert command("test", "--seed_everything=99").code == 0
    assert _kept(feature_run)[1] == wanted
    for size in (1, 7, 90):
        assert command("test", f"--data.batch_size={size}").code == 0
        _, intervals = _kept(feature_run)
        for name, ends in wanted.items():
            assert intervals[name] == pytest.approx(ends, rel=1e-4), name


def test_one_test_sequence_has_an_interval_of_its_accuracy(command: Command, feature_run: Path) -> None:
    """The others would have no width; of what nothing is known, nothing is said."""
    result = command("test", "--data.num_test=1")
    assert (result.code, result.err) == (0, "")
    assert list(_shown(result)) == ["test_accuracy"]
    content, intervals = _kept(feature_run)
    assert intervals["test_accuracy"] == binomial(int(content["test_accuracy"]), 1)


def test_a_regression_has_intervals_of_its_errors(command: Command) -> None:
    assert command("fit", *SMALL, "--data.num_classes=0").code == 0
    result = command("test")
    content, intervals = _kept(only_run())
    assert set(intervals) == set(content) == set(_shown(result)) == {"test_loss", "test_mse", "test_mae"}
    for name, (low, high) in intervals.items():
        assert low < content[name] < high
    assert intervals["test_loss"] == pytest.approx(intervals["test_mse"])


def test_several_classes_have_no_interval_of_the_area(command: Command) -> None:
    assert command("fit", *SMALL, "--data.num_classes=4").code == 0
    result = command("test")
    content, intervals = _kept(only_run())
    assert set(content) - set(intervals) == {"test_auroc"}
    assert set(_shown(result)) == set(intervals)
    assert set(measured(result)) == set(content)


def test_a_perplexity_lies_in_its_interval(command: Command) -> None:
    text = np.random.default_rng(0).permutation(["one", "two", "three", "four"] * 300)
    Path("book.txt").write_text(" ".join(text))
    options = ("--config=next_word.yaml", "--data.path=book.txt", "--data.num_steps=8", "--model.hidden_size=8")
    assert command("fit", *options, "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1").code == 0
    result = command("test")
    content, intervals = _kept(only_run())
    assert set(intervals) == {"test_loss", "test_perplexity"}
    for name, (low, high) in intervals.items():
        assert low < content[name] < high
        assert _shown(result)[name] == pytest.approx((low, high), abs=6e-5)
    assert np.log(intervals["test_perplexity"]) == pytest.approx(intervals["test_loss"], rel=1e-3)


def test_a_single_window_has_no_interval_to_show(command: Command, language_run: Path) -> None:
    result = command("test")
    assert "test_perplexity" in result.out
    assert "[" not in result.out.splitlines()[-1]


def test_validation_has_no_intervals(command: Command, feature_run: Path) -> None:
    result = command("validate")
    assert "[" not in result.out.splitlines()[-1]
    assert "intervals" not in json.loads((feature_run / "validate" / "metrics.json").read_text())
