"""A checkpoint stands by itself: plain data, everything that the model learnt, no data set needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning import SequenceClassifier, TextEncoder, load
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.conftest import Command
from tests.tasks.helpers import FIVE, TWO, feature_model, features, saved, text_model

BEST = Path("checkpoints") / "best.ckpt"
X, LENGTHS = features(4, 1, 3)
TEXTS = ["A wonderful film", "awful, awful", "", "Der Film ist schön. 電影很好看 😀"]

MODELS = {
    "features": lambda: feature_model(TWO),
    "regression": lambda: feature_model(()),
    "options": lambda: feature_model(
        FIVE, cell="rnn", cell_options={"nonlinearity": "relu"}, num_layers=2, residual=True
    ),
    "text": lambda: text_model(TWO, pooling="mean_max_last", bidirectional=True, batch_norm=True, dropout=0.5),
}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(part) for key, part in value.items())
    if type(value) in (list, tuple):
        return all(_is_plain(part) for part in value)
    return type(value) in (str, int, float, bool, type(None))


def _inputs(model: SequenceClassifier) -> tuple[torch.Tensor, torch.Tensor]:
    return (X, LENGTHS) if model.encoder is None else model.encoder.batch(["good film", "bad", ""])[:2]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> SequenceClassifier:
    return MODELS[request.param]()


def test_hyper_parameters_are_plain_data(model: SequenceClassifier, tmp_path: Path) -> None:
    checkpoint = torch.load(saved(model, tmp_path / "m.ckpt"), weights_only=True)
    assert dict(checkpoint["hyper_parameters"]) == dict(model.hparams)
    assert _is_plain(dict(checkpoint["hyper_parameters"]))


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
@pytest.mark.parametrize("run", ["feature_run", "review_run"])
def test_hyper_parameters_of_a_run_are_plain_data(run: str, name: str, request: pytest.FixtureRequest) -> None:
    file = request.getfixturevalue(run) / "checkpoints" / name
    checkpoint = torch.load(file, weights_only=True)
    hyper_parameters = dict(checkpoint["hyper_parameters"])
    assert _is_plain(hyper_parameters)
    assert (hyper_parameters["cell"], hyper_parameters["hidden_size"], hyper_parameters["num_classes"]) == (
        "lstm",
        8,
        2,
    )
    assert checkpoint[CHECKPOINT_KEY]["task"] == "SequenceClassifier"
    assert checkpoint[CHECKPOINT_KEY]["plugins"] == []
    assert _is_plain({key: value for key, value in checkpoint[CHECKPOINT_KEY].items() if key != "training"})


def test_a_loaded_model_gives_the_same_outputs(model: SequenceClassifier, tmp_path: Path) -> None:
    with torch.no_grad():
        model.head[-1].bias.add_(1.5)  # so that no initialisation by the same seed can stand in for loading
    inputs = _inputs(model)
    path = saved(model, tmp_path / "m.ckpt")
    torch.manual_seed(99)
    for loaded in (load(path), load(str(path)), SequenceClassifier.load_from_checkpoint(path).eval()):
        assert not loaded.training
        assert torch.equal(loaded(*inputs), model(*inputs))
        assert loaded.labels == model.labels
        assert loaded.encoder == model.encoder


@pytest.mark.parametrize("run", ["feature_run", "review_run"])
def test_a_run_folder_stands_for_its_best_checkpoint(run: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(run)
    from_folder, from_file = load(folder), load(folder / BEST)
    inputs = _inputs(from_folder)
    assert torch.equal(from_folder(*inputs), from_file(*inputs))
    weights = torch.load(folder / BEST, weights_only=True)["state_dict"]
    for name, parameter in from_folder.named_parameters():
        assert torch.equal(parameter, weights[name])


def test_a_checkpoint_alone_reads_text_in_a_fresh_process(review_run: Path, python: Command, tmp_path: Path) -> None:
    wanted = load(review_run).predict_text(TEXTS)
    alone = tmp_path / "elsewhere" / "model.ckpt"
    alone.parent.mkdir()
    shutil.move(review_run / BEST, alone)
    shutil.rmtree("runs")
    lines = (
        "import json, sys; from rnn_lightning import load\n"
        "print(json.dumps(load(sys.argv[1]).predict_text(json.loads(sys.argv[2]))))\n"
        "print('rnn_lightning.data.imdb' in sys.modules)\n"
    )
    result = python(lines, alone, json.dumps(TEXTS))
    assert result.code == 0, result.err
    predictions, data_was_imported = result.out.splitlines()
    assert data_was_imported == "False"
    for (label, probability), expected in zip(json.loads(predictions), wanted, strict=True):
        assert label == expected.label
        assert probability == pytest.approx(expected.probability, abs=1e-6)


def test_a_checkpoint_of_features_works_alone_too(feature_run: Path, python: Command, tmp_path: Path) -> None:
    x, lengths = torch.ones(2, 5, 3), torch.tensor([5, 2])
    wanted = load(feature_run)(x, lengths).tolist()
    alone = shutil.copy(feature_run / BEST, tmp_path / "model.ckpt")
    lines = (
        "import sys, torch; from rnn_lightning import load\n"
        "print(load(sys.argv[1])(torch.ones(2, 5, 3), torch.tensor([5, 2])).tolist())"
    )
    result = python(lines, alone)
    assert result.code == 0, result.err
    assert json.loads(result.out) == pytest.approx(wanted, abs=1e-6)


def test_words_and_labels_in_any_script_survive(tmp_path: Path) -> None:
    encoder = TextEncoder(["schön", "電", "😀", "it’s", '"', "\\", "\u2028", "a\u0301"], max_length=7, truncate="tail")
    model = text_model(("schlecht", "großartig"), encoder)
    loaded = load(saved(model, tmp_path / "m.ckpt"))
    assert loaded.labels == ("schlecht", "großartig")
    assert loaded.encoder.state() == encoder.state()
    texts = ["schön 😀 電影", 'it’s "\\"']
    assert loaded.encoder.encode(texts) == encoder.encode(texts) == [[2, 4, 3, 1], [5, 6, 7, 6]]
    assert loaded.predict_text(texts) == model.predict_text(texts)


def test_saving_again_changes_nothing(model: SequenceClassifier, tmp_path: Path) -> None:
    first = torch.load(saved(model, tmp_path / "a.ckpt"), weights_only=True)
    again = torch.load(saved(load(tmp_path / "a.ckpt"), tmp_path / "b.ckpt"), weights_only=True)
    assert first["hyper_parameters"] == again["hyper_parameters"]
    assert first["state_dict"].keys() == again["state_dict"].keys()
    for name, value in first["state_dict"].items():
        assert torch.equal(value, again["state_dict"][name]), name


def test_the_metrics_leave_nothing_in_the_weights(feature_run: Path) -> None:
    weights = torch.load(feature_run / BEST, weights_only=True)["state_dict"]
    parameters = {name for name, _ in load(feature_run).named_parameters()}
    assert set(weights) == {*parameters, "_extra_state"}


def test_training_does_not_go_on_with_another_vocabulary(tmp_path: Path) -> None:
    state = torch.load(saved(text_model(TWO), tmp_path / "m.ckpt"), weights_only=True)["state_dict"]
    other = text_model(TWO, TextEncoder(["other", "words", "of", "the", "same", "number"]))
    with pytest.raises(ValueError, match="the checkpoint's vocabulary is not the one of this data"):
        other.load_state_dict(state)
