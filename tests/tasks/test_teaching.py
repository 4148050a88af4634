"""A classifier that labels what another one learns from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnn_lightning import SequenceClassifier, TextEncoder, load
from rnn_lightning.data.text_files import TextFiles
from rnn_lightning.tasks.teaching import teacher
from tests.cli.helpers import one_mistake
from tests.conftest import Command
from tests.tasks.helpers import FIVE, TWO, feature_model, features, language_model, saved, text_model

LABELLED = [(f"good word{n}", "pos") for n in range(8)] + [(f"bad word{n}", "neg") for n in range(8)]
UNLABELLED = ["a good one", "a bad one", "", "unheard"]


@pytest.fixture
def tables(workplace: Path) -> None:
    """own.csv has labels, more.csv has none."""
    rows = "".join(f"{text},{label}\n" for text, label in LABELLED)
    Path("own.csv").write_text(f"text,label\n{rows}", "utf-8")
    Path("more.csv").write_text("text\n" + "".join(f'"{text}"\n' for text in UNLABELLED), "utf-8")


def _model(labels: tuple[str, ...] = ("neg", "pos")) -> SequenceClassifier:
    model = text_model(labels, TextEncoder(("good", "bad", "a", "word1", "one"), max_length=2), pooling="mean")
    for parameter in model.parameters():
        parameter.data.normal_()
    return model


def _data(path: Path | str, **options: Any) -> TextFiles:
    data = TextFiles("own.csv", unlabelled_path="more.csv", teacher=str(path), **options)
    data.load_teacher = teacher
    data.prepare_data()
    data.setup("fit")
    return data


@pytest.fixture
def path(tables: None, tmp_path: Path) -> Path:
    """The checkpoint of a teacher."""
    return saved(_model(), tmp_path / "teacher.ckpt")


def _targets(data: TextFiles) -> dict[str, np.ndarray[Any, Any]]:
    """The training targets by their texts."""
    assert hasattr(data.train, "text")
    found = data.train.__getitems__(list(range(len(data.train)))).targets
    assert found is not None
    return {str(data.train.text(row)): target.numpy() for row, target in enumerate(found)}


def _said(path: Path, text: str) -> np.ndarray[Any, Any]:
    model = load(path)
    assert isinstance(model, SequenceClassifier)
    assert model.encoder is not None
    batch = model.encoder.batch([text])
    found: np.ndarray[Any, Any] = model.probabilities(model(batch.inputs, batch.lengths))[0].detach().numpy()
    return found


def test_texts_without_a_label_get_the_answers_of_the_teacher_and_others_keep_their_label(path: Path) -> None:
    targets = _targets(_data(path))
    labels = {text: np.eye(2)[int(label == "pos")] for text, label in LABELLED}
    assert len(targets) >= 12 + 4
    for text, target in targets.items():
        np.testing.assert_allclose(target, labels.get(text, _said(path, text)), atol=1e-6)
    assert set(UNLABELLED) <= set(targets)


def test_the_weight_of_the_teacher_where_there_is_a_label(path: Path) -> None:
    targets = _targets(_data(path, teacher_weight=0.25))
    for text, label in LABELLED:
        if text in targets:
            wanted = 0.25 * _said(path, text) + 0.75 * np.eye(2)[int(label == "pos")]
            np.testing.assert_allclose(targets[text], wanted, atol=1e-6)


def test_the_temperature_softens_its_answers(path: Path) -> None:
    for text, target in _targets(_data(path, temperature=3.0, teacher_weight=1.0)).items():
        softened = _said(path, text) ** (1 / 3)
        np.testing.assert_allclose(target, softened / softened.sum(), atol=1e-5)


@pytest.mark.parametrize("labels", [TWO, FIVE])
def test_the_loss_of_a_probability_for_each_class(labels: tuple[str, ...]) -> None:
    model, (x, lengths) = feature_model(labels), features(5, 2, 4)
    logits = model(x, lengths)
    certain = torch.tensor([1, 0, 1])
    torch.testing.assert_close(
        model.losses(logits, functional.one_hot(certain, len(labels)).float()), model.losses(logits, certain)
    )
    soft = torch.rand(3, len(labels), generator=torch.Generator().manual_seed(0)).softmax(1)
    torch.testing.assert_close(model.losses(logits, soft), -(soft * model.log_probabilities(logits)).sum(1))


OWN = (
    *("--data=TextFiles", "--data.path=own.csv", "--data.unlabelled_path=more.csv", "--data.batch_size=4"),
    *("--trainer.max_epochs=1", "--model.hidden_size=4", "--model.embedding_size=4"),
)


def test_the_command_learns_from_a_run_and_scores_without_it(command: Command, tables: None) -> None:
    assert command("fit", *OWN).code == 0
    (run,) = Path("runs/lstm-own").iterdir()
    taught = command("fit", *OWN, f"--data.teacher={run.name}", "--seed_everything=2")
    assert taught.code == 0, taught.err
    assert f"{run} labels " in taught.err
    assert command("ensemble", run, sorted(Path("runs/lstm-own").iterdir())[1]).code == 0
    dry = command("fit", *OWN, f"--data.teacher={run}", "--dry-run")
    assert dry.code == 0, dry.err
    shutil.rmtree(run)
    assert command("test", "--config=lstm.yaml", *OWN[:2]).code == 0
    assert command("predict", "--text=good").code == 0
    one_mistake(command("fit", *OWN, "--data.teacher=gone"), "there is no run 'gone' under runs/")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"teacher_weight": 1.5}, "teacher_weight is 1.5; it is a share, from 0 to 1"),
        ({"targets": "next_token"}, "a teacher gives labels, and targets is 'next_token'"),
        ({"unlabelled_path": None}, "there are no texts without a label that it could label"),
        ({"regression": True, "label": "number"}, "it tells neg, pos apart, and here the targets are numbers"),
        ({"unit": "character"}, "it does not read texts by the character"),
    ],
)
def test_what_a_teacher_cannot_do(path: Path, options: dict[str, Any], message: str) -> None:
    rows = "".join(f"{text},{label},{number}\n" for number, (text, label) in enumerate(LABELLED))
    Path("own.csv").write_text(f"text,label,number\n{rows}", "utf-8")
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        _data(path, **options) if "unlabelled_path" not in options else _without_texts(path)


def _without_texts(path: Path) -> None:
    data = TextFiles("own.csv", teacher=str(path))
    data.load_teacher = teacher
    data.setup("fit")


def test_who_cannot_be_a_teacher(tables: None, tmp_path: Path) -> None:
    for model, message in (
        (language_model(), "it is a LanguageModel, not a classifier of sequences"),
        (_model(TWO), "it tells no, yes apart, and here the classes are neg, pos"),
        (feature_model(("neg", "pos")), "it does not read texts by the word"),
    ):
        with pytest.raises(ValueError, match=message):
            _data(saved(model, tmp_path / "other.ckpt"))


def test_a_teacher_is_named_before_its_options(tables: None) -> None:
    with pytest.raises(ValueError, match="are those of a teacher, and none is named"):
        TextFiles("own.csv", temperature=2.0)
