"""A class for each step: what is learnt, measured and predicted, step by step and nothing beyond."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning import Facts, LanguageModel, NextWord, Parity, SequenceClassifier, SequenceTagger, load
from rnn_lightning.batch import NO_LABEL, Batch
from rnn_lightning.intervals import of_mean
from tests.conftest import Command
from tests.tasks.helpers import ENCODER, FIVE, TWO, Batches, features, saved, silent_trainer, still, tagger

LENGTHS = (3, 7, 0, 1, 5)
X, _ = features(*LENGTHS)
FACTS = Facts(3, FIVE, per_step=True)
ARCHITECTURES = [
    *({"cell": cell} for cell in ("rnn", "lstm", "gru")),
    *({"cell": cell, "bidirectional": True} for cell in ("rnn", "lstm", "gru")),
    {"num_layers": 2, "bidirectional": True, "residual": True},
    {"cell": "gru", "num_layers": 2, "layer_dropout": 0.5, "dropout": 0.5},
]
SHAPED = pytest.mark.parametrize("options", ARCHITECTURES, ids=str)


def _targets(*lengths: int, classes: int = 5, labelled: float = 0.6, seed: int = 3) -> torch.Tensor:
    """Classes of steps (B, T), some without a label; beyond a length a class that must not count."""
    random = np.random.default_rng(seed)
    targets = random.integers(classes, size=(len(lengths), max(lengths)))
    return torch.from_numpy(np.where(random.random(targets.shape) < labelled, targets, NO_LABEL))


def _batches(sizes: tuple[int, ...] = (4, 4, 3)) -> list[Batch]:
    """Eleven sequences of 1 to 6 steps, the last batch smaller; one sequence has no label at all."""
    lengths = [1 + (3 * index) % 6 for index in range(sum(sizes))]
    x, _ = features(*lengths)
    targets = _targets(*lengths, seed=1)
    targets[5] = NO_LABEL
    rows = torch.arange(len(lengths)).split(list(sizes))
    return [Batch(x[part], torch.tensor(lengths)[part], targets[part]) for part in rows]


def _one_by_one(model: SequenceTagger, batches: list[Batch]) -> list[list[tuple[float, bool]]]:
    """Loss and rightness of each labelled step, sequence by sequence, each alone and unpadded."""
    found = []
    for batch in batches:
        assert batch.targets is not None
        for x, length, targets in zip(batch.inputs, batch.lengths.tolist(), batch.targets.tolist(), strict=True):
            with torch.no_grad():
                logits = model(x[None, :length], torch.tensor([length]))[0].double().numpy()
            log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            labelled = [(step, label) for step, label in enumerate(targets[:length]) if label != NO_LABEL]
            found.append([(-log_p[step, label], log_p[step].argmax() == label) for step, label in labelled])
    return found


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_labelled_step_of_a_split_counts_the_same(split: str) -> None:
    model, batches = tagger(FACTS), _batches()
    steps = [step for sequence in _one_by_one(model, batches) for step in sequence]
    trainer = silent_trainer()
    run = trainer.validate if split == "val" else trainer.test
    (measured,) = run(model, datamodule=Batches(FACTS, batches), verbose=False)
    wanted = {f"{split}_loss": np.mean([s[0] for s in steps]), f"{split}_accuracy": np.mean([s[1] for s in steps])}
    assert 10 < len(steps) < sum(int(batch.lengths.sum()) for batch in batches)
    assert 0 < wanted[f"{split}_accuracy"] < 1
    assert measured == pytest.approx(wanted, rel=1e-5)


def test_the_loss_of_a_batch_is_the_mean_over_its_labelled_steps() -> None:
    model = tagger(FACTS)
    for batch in _batches():
        steps = [step for sequence in _one_by_one(model, [batch]) for step in sequence]
        assert model.training_step(batch, 0).item() == pytest.approx(np.mean([s[0] for s in steps]), rel=1e-5)


def test_the_training_loss_of_an_epoch_weighs_labelled_steps_alike() -> None:
    model, batches = tagger(FACTS), _batches()
    wanted = np.mean([loss for sequence in _one_by_one(model, batches) for loss, _ in sequence])
    trainer = silent_trainer(max_epochs=1, num_sanity_val_steps=0, limit_val_batches=0)
    trainer.fit(still(model), datamodule=Batches(FACTS, batches))
    assert float(trainer.callback_metrics["train_loss"]) == pytest.approx(wanted, rel=1e-5)


def test_intervals_are_drawn_by_whole_sequences() -> None:
    """Steps of one sequence depend on each other: who resampled steps would promise too much."""
    model, batches = tagger(FACTS), _batches()
    everything = _one_by_one(model, batches)
    sequences = [sequence for sequence in everything if sequence]
    assert 5 < len(sequences) < len(everything) == 11
    counts = np.array([len(sequence) for sequence in sequences], float)
    losses, right = (np.array([sum(s[i] for s in sequence) for sequence in sequences], float) for i in (0, 1))
    for sizes in ((4, 4, 3), (11,), (1,) * 11):
        silent_trainer().test(model, datamodule=Batches(FACTS, _batches(sizes)), verbose=False)
        assert set(model.intervals) == {"test_loss", "test_accuracy"}
        assert model.intervals["test_loss"] == pytest.approx(of_mean(losses, counts), rel=1e-5)
        assert model.intervals["test_accuracy"] == pytest.approx(of_mean(right, counts), rel=1e-5)


def test_without_labels_there_are_no_intervals_and_no_gradient() -> None:
    model = tagger(FACTS)
    batch = Batch(X[:2], torch.tensor(LENGTHS[:2]), torch.full((2, 7), NO_LABEL))
    loss = model.training_step(batch, 0)
    assert loss.item() == 0.0
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, list(model.parameters())))
    model.intervals = {"test_loss": (0.0, 1.0)}  # of an earlier test
    silent_trainer().test(model, datamodule=Batches(FACTS, [batch]), verbose=False)
    assert model.intervals == {}


@SHAPED
def test_a_sequence_is_tagged_alone_as_among_longer_neighbours(options: dict[str, Any]) -> None:
    model = tagger(FACTS, **options)
    padded = X.clone()
    for row, length in enumerate(LENGTHS):
        padded[row, length:] = torch.nan
    together = model(padded, torch.tensor(LENGTHS))
    assert together.isfinite().all()
    for row, length in enumerate(LENGTHS):
        alone = model(X[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(together[row, :length], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "bidirectional": True}], ids=str)
def test_a_text_is_tagged_alone_as_among_longer_neighbours(options: dict[str, Any]) -> None:
    model = tagger(Facts(None, FIVE, ENCODER, per_step=True), **options)
    batch = ENCODER.batch(["good", "bad film 電 😀 schön good bad bad", "", "nothing known here"])
    together = model(batch.inputs, batch.lengths)
    for row, length in enumerate(batch.lengths.tolist()):
        alone = model(batch.inputs[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(together[row, :length], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "bidirectional": True, "num_layers": 2}], ids=str)
def test_the_gradient_of_a_batch_is_that_of_its_sequences_weighed_by_their_labels(options: dict[str, Any]) -> None:
    model = tagger(FACTS, **options).double().train()
    x, targets = X.double(), _targets(*LENGTHS)

    def gradient(rows: list[int]) -> tuple[list[torch.Tensor], int]:
        lengths = torch.tensor([LENGTHS[row] for row in rows])
        steps = max(int(lengths.max()), 1)
        batch = Batch(x[rows, :steps], lengths, targets[rows, :steps])
        valid = torch.arange(steps) < lengths[:, None]
        loss = model.training_step(batch, 0)
        return list(torch.autograd.grad(loss, list(model.parameters()))), int(
            ((batch.targets != NO_LABEL) & valid).sum()
        )

    whole, count = gradient(list(range(len(LENGTHS))))
    parts = [gradient([row]) for row in range(len(LENGTHS))]
    assert count == sum(part for _, part in parts) > 5
    for index, wanted in enumerate(whole):
        weighed = torch.stack([gradients[index] * part for gradients, part in parts]).sum(0) / count
        torch.testing.assert_close(wanted, weighed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("labels", [("only",), TWO, FIVE], ids=len)
def test_there_is_a_logit_for_each_class(labels: tuple[str, ...]) -> None:
    model = tagger(Facts(3, labels, per_step=True))
    assert model(X, torch.tensor(LENGTHS)).shape == (5, 7, len(labels))
    assert model(X).shape == (5, 7, len(labels))


def test_a_prediction_names_a_class_for_each_step() -> None:
    model = tagger(FACTS)
    predictions = model.predict_step(Batch(X, torch.tensor(LENGTHS)), 0)
    probabilities = torch.softmax(model(X, torch.tensor(LENGTHS)), 2)
    assert [len(prediction.labels) for prediction in predictions] == list(LENGTHS)
    for row, prediction in enumerate(predictions):
        assert len(prediction.probabilities) == LENGTHS[row]
        for step, (label, probability) in enumerate(zip(*prediction, strict=True)):
            assert label == FIVE[int(probabilities[row, step].argmax())]
            assert probability == pytest.approx(probabilities[row, step].max().item())


TEXTS = ["Good film", "", "bad", "schön 電 😀 FILM good bad, and more than six words", "<br />", "no\u0308 idea"]
TEXT_FACTS = Facts(None, FIVE, ENCODER, per_step=True)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_tokens_of_a_text_stand_beside_their_classes(batch_size: int) -> None:
    model = tagger(TEXT_FACTS, bidirectional=True)
    predictions = model.predict_text(TEXTS, batch_size)
    assert [prediction.tokens for prediction in predictions] == [
        ["Good", "film"],
        [],
        ["bad"],
        ["schön", "and", "more", "than", "six", "words"],  # this encoder keeps six, mostly from the end
        [],
        ["nö", "idea"],
    ]
    for text, prediction in zip(TEXTS, predictions, strict=True):
        batch = ENCODER.batch([text])
        alone = torch.softmax(model(batch.inputs, batch.lengths), 2)[0, : int(batch.lengths)]
        assert prediction.labels == [FIVE[index] for index in alone.argmax(1).tolist()]
        assert prediction.probabilities == pytest.approx(alone.max(1).values.tolist(), rel=1e-5)


def test_a_single_text_and_a_model_of_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes a list of texts, not a single one: write predict_text\(\[text\]\)"):
        tagger(TEXT_FACTS).predict_text("good film")
    with pytest.raises(ValueError, match="trained on sequences of numbers: it reads no text"):
        tagger(FACTS).predict_text(["good film"])


@pytest.mark.parametrize("training", [True, False])
def test_predicting_leaves_the_mode_as_it_was(training: bool) -> None:
    model = tagger(TEXT_FACTS, dropout=0.5, word_dropout=0.5, embedding_dropout=0.5)
    wanted = model.predict_text(TEXTS)
    model.train(training)
    assert model.predict_text(TEXTS) == wanted  # no dropout at work
    assert all(module.training is training for module in model.modules())


_SEQUENCE = Facts(3, FIVE)
_NUMBERS = Facts(3, ())
_TOKENS = Facts(None, (), ENCODER, per_step=True)


@pytest.mark.parametrize(
    ("task", "facts", "message"),
    [
        (SequenceTagger, _SEQUENCE, "one target for each sequence, none for its steps: SequenceClassifier learns it"),
        (SequenceTagger, _NUMBERS, "one target for each sequence, none for its steps: SequenceClassifier learns it"),
        (SequenceTagger, _TOKENS, "the next token at each step, not a class: LanguageModel learns it"),
        (SequenceClassifier, FACTS, "a target for each step, not one for a sequence: SequenceTagger learns it"),
        (SequenceClassifier, TEXT_FACTS, "a target for each step, not one for a sequence: SequenceTagger learns it"),
        (SequenceClassifier, _TOKENS, "a target for each step, not one for a sequence: LanguageModel learns it"),
        (LanguageModel, FACTS, "go on with a text: this data has a class for each step: SequenceTagger learns it"),
        (LanguageModel, TEXT_FACTS, "go on with a text: this data has a class for each step: SequenceTagger learns it"),
        (LanguageModel, _SEQUENCE, "go on with a text: this data has one target for each sequence"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_task_takes_its_own_kind_of_data_and_names_the_task_for_another(
    task: type[Any], facts: Facts, message: str
) -> None:
    with pytest.raises(ValueError, match=f"{message}$") as error:
        silent_trainer(max_epochs=1).fit(still(task()), datamodule=Batches(facts, []))
    assert "\n" not in str(error.value)


def test_a_trained_model_meets_data_of_another_kind() -> None:
    model = still(tagger(FACTS))
    with pytest.raises(ValueError, match="the model was trained on") as error:
        silent_trainer().test(model, datamodule=Batches(Facts(1, TWO, per_step=True), []))
    assert str(error.value) == (
        "the model was trained on sequences of 3 features and the classes a, b, c, d, e; "
        "the data has sequences of 1 features and the classes no, yes"
    )
    with pytest.raises(ValueError, match="this data has the next token at each step"):
        silent_trainer().test(model, datamodule=NextWord())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lsmt"}, "there is no recurrent layer 'lsmt'; there are "),
        ({"hidden_size": 0}, "hidden_size is 0; it must be at least 1"),
        ({"num_layers": 0}, "num_layers is 0; it must be at least 1"),
        ({"embedding_size": 0}, "embedding_size is 0; it must be at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"word_dropout": -1.0}, "word_dropout is -1.0; it must be at least 0 and below 1"),
        ({"freeze_vectors": True}, "freeze_vectors is true, but no vectors are named"),
        ({"num_classes": 5}, "vocab_size, input_size and num_classes are filled in from the data: leave them out"),
        (
            {"num_classes": 0, "input_size": 3},
            "vocab_size, input_size and num_classes are filled in from the data: leave them out",
        ),
    ],
    ids=str,
)
def test_a_wrong_argument_is_told_before_there_is_data(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        SequenceTagger(**options)


@pytest.mark.parametrize("facts", [FACTS, TEXT_FACTS], ids=["features", "text"])
def test_a_checkpoint_alone_gives_the_model_back(facts: Facts, tmp_path: Path, python: Command) -> None:
    model = tagger(facts, num_layers=2)
    path = saved(model, tmp_path / "model.ckpt")
    again = load(path)
    assert isinstance(again, SequenceTagger)
    assert again.labels == FIVE
    inputs, lengths = (X, torch.tensor(LENGTHS)) if facts.encoder is None else ENCODER.batch(["good film", "bad"])[:2]
    assert torch.equal(again(inputs, lengths), model(inputs, lengths))
    if facts.encoder is not None:
        result = python("import sys, rnn_lightning as r; print(r.load(sys.argv[1]).predict_text(['Good film']))", path)
        assert result.code == 0, result.err
        (wanted,) = model.predict_text(["Good film"])
        assert f"tokens={wanted.tokens}, labels={wanted.labels}" in result.out


def test_training_fills_the_sizes_in() -> None:
    model = SequenceTagger(hidden_size=4)
    assert not model.is_built
    silent_trainer(fast_dev_run=True).fit(model, datamodule=Parity(num_train=9, num_val=9, num_test=9))
    assert {name: model.hparams[name] for name in ("vocab_size", "input_size", "num_classes")} == {
        "vocab_size": None,
        "input_size": 1,
        "num_classes": 2,
    }
    assert model.labels == ("even", "odd")


def test_only_a_model_in_both_directions_knows_what_comes() -> None:
    changed = X[1:2].clone()
    changed[:, 4:] += 1.0
    for bidirectional in (False, True):
        model = tagger(FACTS, bidirectional=bidirectional)
        same = torch.equal(model(X[1:2])[:, :4], model(changed)[:, :4])
        assert same is not bidirectional
