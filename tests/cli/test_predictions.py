"""What `test` keeps of each test sequence: in the order of the data, whole or not at all, readable without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning import NextWord, Parity, SyntheticSequences, load
from rnn_lightning.cli import predictions
from rnn_lightning.data.reviews import read as read_reviews
from tests.cli.helpers import one_mistake, only_run
from tests.conftest import SMALL, Command


def _lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / predictions.FILE).read_text("utf-8").splitlines()]


def _scores(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "test" / "metrics.json").read_text("utf-8"))
    return content


def _kept(run: Path) -> predictions.Arrays:
    found = predictions.read(run)
    assert found is not None
    return found


def test_a_classifier_keeps_each_sequence_in_the_order_of_the_data(command: Command, feature_run: Path) -> None:
    """Sequences of different lengths are scored in another order, that of their lengths."""
    options = ("--data.min_steps=1", "--data.batch_size=7")
    assert command("test", *options).code == 0
    data = SyntheticSequences(num_train=300, num_val=100, num_test=90, min_steps=1)
    data.setup("test")
    batch = data.test.__getitems__(list(range(90)))
    assert sorted(data.test.lengths) != list(data.test.lengths)
    model = load(feature_run)
    with torch.no_grad():
        logits = model(batch.inputs, batch.lengths)
    lines = _lines(feature_run)
    assert [line["index"] for line in lines] == list(range(90))
    assert [line["target"] for line in lines] == [str(target) for target in batch.targets.tolist()]
    assert [line["label"] for line in lines] == [str(int(logit > 0)) for logit in logits]
    wanted = model.probabilities(logits).numpy()
    np.testing.assert_allclose([line["probabilities"] for line in lines], wanted, rtol=1e-4, atol=1e-6)
    assert np.mean([line["loss"] for line in lines]) == pytest.approx(_scores(feature_run)["test_loss"], rel=1e-5)
    assert all(set(line) == {"index", "loss", "target", "label", "probabilities"} for line in lines)


def test_reviews_that_a_model_is_sure_of_and_wrong_keep_their_text(
    command: Command, review_run: Path, archive: Path
) -> None:
    assert command("test").code == 0
    lines = _lines(review_run)
    assert len(lines) == 10
    wrong = [line for line in lines if line["label"] != line["target"]]
    assert wrong
    assert [line for line in lines if "text" in line] == wrong  # fewer than are kept at most
    reviews = read_reviews(archive)
    texts = [text for text, split in zip(reviews.texts, reviews.splits, strict=True) if split == 1]
    for line in wrong:
        words = texts[line["index"]].lower().replace("<br />", " ")
        assert "".join(line["text"].split()) == "".join(words.split())


def test_of_many_the_most_confidently_wrong_texts_are_kept() -> None:
    random = np.random.default_rng(0)
    p = random.random(400)
    outcomes = {
        "loss": random.random(400).tolist(),
        "target": ["no", "yes"] * 200,
        "label": ["yes" if value > 0.5 else "no" for value in p],
        "probabilities": np.stack((1 - p, p), 1).tolist(),
    }
    lines = [json.loads(line) for line in predictions.in_lines(outcomes, lambda index: f"text {index}").splitlines()]
    sure = [max(line["probabilities"]) for line in lines if line["label"] != line["target"]]
    kept = [line for line in lines if "text" in line]
    assert sorted(max(line["probabilities"]) for line in kept) == sorted(sure)[-50:]
    assert all(line["text"] == f"text {line['index']}" and line["label"] != line["target"] for line in kept)


def test_a_regression_keeps_targets_and_values(command: Command) -> None:
    assert command("fit", *SMALL, "--data.num_classes=0").code == 0
    assert command("test").code == 0
    run = only_run()
    kept, scores = _kept(run), _scores(run)
    assert np.abs(kept["target"] - kept["value"]).mean() == pytest.approx(scores["test_mae"], rel=1e-4)
    np.testing.assert_allclose((kept["target"] - kept["value"]) ** 2, kept["loss"], rtol=1e-2, atol=1e-5)
    data = SyntheticSequences(num_test=90, num_classes=0)
    data.setup("test")
    np.testing.assert_allclose(kept["target"], data.test.__getitems__(list(range(90))).targets, rtol=1e-5)


def test_a_tagger_keeps_how_many_steps_are_right(command: Command) -> None:
    sizes = ("--data.num_train=60", "--data.num_val=20", "--data.num_test=30", "--model.hidden_size=4")
    assert command("fit", "--config", "parity.yaml", *sizes, "--trainer.max_epochs=1").code == 0
    assert command("test").code == 0
    run = only_run()
    kept, scores = _kept(run), _scores(run)
    assert len(kept["loss"]) == 30
    assert kept["right"].sum() / kept["steps"].sum() == pytest.approx(scores["test_accuracy"], abs=1e-6)
    assert kept["loss"] @ kept["steps"] / kept["steps"].sum() == pytest.approx(scores["test_loss"], rel=1e-4)
    data = Parity(num_test=30)
    data.setup("test")
    batch = data.test.__getitems__(list(range(30)))
    wanted = [int((row[:length] >= 0).sum()) for row, length in zip(batch.targets, batch.lengths, strict=True)]
    assert kept["steps"].tolist() == wanted


@pytest.mark.parametrize("streams", ["false", "true"])
def test_a_language_model_keeps_loss_and_tokens_of_each_window(
    command: Command, language_run: Path, streams: str
) -> None:
    Path("text.txt").write_text("我 喜欢 学习 深度 学习\n" * 60, "utf-8")
    data = ("--data.path=text.txt", "--data.num_steps=4", "--data.batch_size=3", f"--data.streams={streams}")
    result = command("test", *data)
    assert result.code == 0, result.err
    kept, scores = _kept(language_run), _scores(language_run)
    assert kept["loss"] @ kept["tokens"] / kept["tokens"].sum() == pytest.approx(scores["test_loss"], rel=1e-4)
    text = NextWord("text.txt", num_steps=4)
    text.setup("test")
    assert kept["tokens"].sum() == sum(text.test.lengths)
    # The same sentence again and again: windows with the same targets have the same checksum, and others another.
    assert len(set(kept["checksum"].tolist())) == len({tuple(row) for row in _targets(text, streams)})


def _targets(data: NextWord, streams: str) -> list[list[int]]:
    windows = data.test.in_streams(3) if streams == "true" else data.test
    batch = windows.__getitems__(list(range(len(windows))))
    return [row[:length] for row, length in zip(batch.targets.tolist(), batch.lengths.tolist(), strict=True)]


def test_a_restricted_test_leaves_no_predictions_neither_new_nor_old(command: Command, feature_run: Path) -> None:
    file = feature_run / predictions.FILE
    for options in ("--trainer.limit_test_batches=0.5", "--trainer.fast_dev_run=true"):
        assert command("test").code == 0
        assert len(_lines(feature_run)) == 90
        assert command("test", options).code == 0
        assert not file.exists()
    assert command("test").code == 0
    assert command("validate").code == 0
    assert file.is_file()


def test_validation_keeps_its_numbers_alone(command: Command, feature_run: Path) -> None:
    assert command("validate").code == 0
    assert [path.name for path in (feature_run / "validate").iterdir()] == ["metrics.json"]


def test_a_task_of_a_package_keeps_nothing(command: Command, plugin: Path) -> None:
    assert command("fit", "--model=MeanOfSteps", *SMALL[1:]).code == 0
    result = command("test")
    assert (result.code, result.err) == (0, "")
    assert [path.name for path in (only_run() / "test").iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"[]\n",
        b'{"index": 0}\n',
        b'{"index": 1, "loss": 0.5}\n',
        b'{"index": 0, "loss": "much"}\n',
        b'{"index": 0, "loss": 0.5, "value": null}\n',
        b'{"index": 0, "loss": 0.5, "value": 1.0}\n{"index": 1, "loss": 0.5}\n',
        b'{"index": 0, "loss": 0.5, "probabilities": [0.5]}\n{"index": 1, "loss": 0.5, "probabilities": []}\n',
        b'{"index": 0, "loss": 0.5, "text": 7}\n',
        b'{"index": 0, "loss"',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_told(command: Command, feature_run: Path, content: bytes) -> None:
    assert command("test").code == 0
    (feature_run / predictions.FILE).write_bytes(content)
    one_mistake(command("report"), f"{feature_run / predictions.FILE}, line ", "is damaged: run rnn-lightning test")
