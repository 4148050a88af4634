"""The language model: what its loss is, over which tokens, and what of it stays in a checkpoint."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from rnn_lightning import Facts, IMDb, LanguageModel, NextWord, SequenceClassifier, SyntheticSequences, load
from rnn_lightning.batch import PAD, UNKNOWN, Batch
from tests.conftest import Command
from tests.tasks.helpers import (
    ENCODER,
    LETTER_FACTS,
    TWO,
    Batches,
    language_model,
    saved,
    silent_trainer,
    still,
)

SHAPES: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "stacked": {"cell": "gru", "num_layers": 2},
    "residual": {"cell": "lstm", "num_layers": 3, "residual": True},
    "tied": {"cell": "gru", "tie_embedding": True},
    "tied without a map": {"cell": "rnn", "tie_embedding": True, "embedding_size": 6},
}
pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")
SHAPED = pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
LENGTHS = [[7, 3], [1], [5, 0, 2, 4]]


def _batch(lengths: list[int], seed: int = 0) -> Batch:
    """Random windows of these lengths; a few targets are unknown."""
    rows = [
        torch.randint(1, 10, (length + 1,), generator=torch.Generator().manual_seed(seed + i))
        for i, length in enumerate(lengths)
    ]
    inputs, targets = torch.full((2, len(lengths), max(lengths)), PAD)
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        inputs[i, :length], targets[i, :length] = row[:-1], row[1:]
    return Batch(inputs, torch.tensor(lengths), targets)


def _nats(model: LanguageModel, batch: Batch) -> list[float]:
    """The loss of each token that is not padding, one text and one token at a time."""
    found = []
    for inputs, length, targets in zip(batch.inputs, batch.lengths.tolist(), batch.targets, strict=True):
        if length == 0:
            continue
        with torch.no_grad():
            logits = model(inputs[:length].unsqueeze(0))[0][0].double().numpy()
        for row, target in zip(logits, targets[:length].tolist(), strict=True):
            found.append(float(np.log(np.exp(row).sum()) - row[target - 1]))
    return found


BATCHES = [_batch(lengths, seed=10 * i) for i, lengths in enumerate(LENGTHS)]


@SHAPED
@pytest.mark.parametrize("batch", BATCHES, ids=[str(lengths) for lengths in LENGTHS])
def test_the_loss_is_the_mean_cross_entropy_of_the_tokens(options: dict[str, Any], batch: Batch) -> None:
    model = language_model(**options)
    wanted = _nats(model, batch)
    assert model.training_step(batch, 0).item() == pytest.approx(np.mean(wanted), rel=1e-5)
    assert len(wanted) == batch.lengths.sum()


def test_padding_is_never_predicted() -> None:
    model = language_model()
    logits, _ = model(BATCHES[0].inputs, BATCHES[0].lengths)
    assert logits.shape == (2, 7, model.hparams["vocab_size"] - 1)


def test_a_batch_of_nothing_but_padding_has_no_loss() -> None:
    nothing = torch.full((2, 1), PAD)
    loss = language_model().training_step(Batch(nothing, torch.tensor([0, 0]), nothing), 0)
    assert loss.item() == 0.0


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_token_of_a_split_counts_the_same(split: str) -> None:
    model = language_model()
    nats = [loss for batch in BATCHES for loss in _nats(model, batch)]
    targets = [
        token for batch in BATCHES for token in torch.as_tensor(batch.targets).flatten().tolist() if token != PAD
    ]
    trainer = silent_trainer()
    run = trainer.validate if split == "val" else trainer.test
    (measured,) = run(model, datamodule=Batches(LETTER_FACTS, BATCHES), verbose=False)
    assert 0 < targets.count(UNKNOWN) < len(targets) == len(nats) == sum(map(sum, LENGTHS))
    assert measured == pytest.approx(
        {
            f"{split}_loss": np.mean(nats),
            f"{split}_perplexity": math.exp(np.mean(nats)),
            f"{split}_unknown": targets.count(UNKNOWN) / len(targets),
        },
        rel=1e-5,
    )


def test_the_training_loss_of_an_epoch_weighs_tokens_alike() -> None:
    model = language_model()
    wanted = np.mean([loss for batch in BATCHES for loss in _nats(model, batch)])
    trainer = silent_trainer(max_epochs=1, num_sanity_val_steps=0, limit_val_batches=0)
    trainer.fit(still(model), datamodule=Batches(LETTER_FACTS, BATCHES))
    assert float(trainer.callback_metrics["train_loss"]) == pytest.approx(wanted, rel=1e-5)


@SHAPED
def test_a_text_stands_for_itself_whatever_its_padding_and_its_neighbours(options: dict[str, Any]) -> None:
    model = language_model(**options)
    batch = _batch([7, 3, 0, 5])
    logits, state = model(batch.inputs, batch.lengths)
    for row, length in ((0, 7), (1, 3), (3, 5)):
        alone, own_state = model(batch.inputs[row : row + 1, :length])
        torch.testing.assert_close(logits[row, :length], alone[0], rtol=0, atol=1e-5)
        for layer, own_layer in zip(state, own_state, strict=True):
            for tensor, own in zip(layer, own_layer, strict=True):
                torch.testing.assert_close(tensor[row], own[0], rtol=0, atol=1e-5)


@SHAPED
@pytest.mark.parametrize("cut", [1, 4, 6])
def test_two_halves_with_the_state_carried_are_the_whole(options: dict[str, Any], cut: int) -> None:
    model = language_model(**options)
    inputs = _batch([7, 7, 7]).inputs
    whole, _ = model(inputs)
    first, state = model(inputs[:, :cut])
    second, _ = model(inputs[:, cut:], state=state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole, rtol=0, atol=1e-5)


@SHAPED
def test_a_step_sees_nothing_of_what_comes_after(options: dict[str, Any]) -> None:
    model = language_model(**options)
    inputs = _batch([7]).inputs
    changed = inputs.clone()
    changed[:, 4:] = 2
    torch.testing.assert_close(model(inputs)[0][:, :4], model(changed)[0][:, :4], rtol=0, atol=0)


@SHAPED
def test_every_architecture_learns_the_default_sentence(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = LanguageModel(**{"hidden_size": 32, "embedding_size": 16, **options})
    model.configure_optimizers = lambda: torch.optim.Adam(model.parameters(), lr=0.03)  # type: ignore[method-assign]
    trainer = silent_trainer(max_epochs=60, num_sanity_val_steps=0, limit_val_batches=0)
    trainer.fit(model, datamodule=NextWord())
    assert float(trainer.callback_metrics["train_loss"]) < 0.05
    assert "".join(model.generate("我", 4, temperature=0)) == " 喜欢 学习 深度 学习"


def test_it_is_never_bidirectional() -> None:
    with pytest.raises(ValueError, match=r"^a language model cannot be bidirectional: [^\n]*$"):
        LanguageModel(bidirectional=True)


def _fitted(model: Any, data: Any) -> None:
    silent_trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(model, datamodule=data)


@pytest.mark.parametrize(
    ("make_model", "make_data", "message"),
    [
        (LanguageModel, lambda: SyntheticSequences(num_train=4, num_val=4, num_test=4), "has one target for each seq"),
        (LanguageModel, lambda: Batches(Facts(None, TWO, ENCODER), []), "has one target for each sequence"),
        (SequenceClassifier, NextWord, "has a target for each step, not one for a sequence: LanguageModel learns it"),
    ],
    ids=["numbers", "labelled texts", "a text for a classifier"],
)
def test_data_of_another_kind_is_refused(make_model: Any, make_data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _fitted(make_model(), make_data())


def test_film_reviews_are_refused(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="has one target for each sequence"):
        _fitted(LanguageModel(), IMDb(path=str(archive)))


def test_a_vocabulary_of_another_size_is_told() -> None:
    message = "the model was trained on text of 50 token ids; the data has text of 6 token ids"
    with pytest.raises(ValueError, match=message):
        _fitted(LanguageModel(vocab_size=50), NextWord())


@pytest.mark.parametrize("embedding_size", [6, 5], ids=["without a map", "with a map"])
def test_tied_vectors_are_one_parameter(embedding_size: int) -> None:
    free = language_model(embedding_size=embedding_size)
    tied = language_model(embedding_size=embedding_size, tie_embedding=True)
    v, h, e = 10, 6, embedding_size
    count = {name: sum(p.numel() for p in model.parameters()) for name, model in (("free", free), ("tied", tied))}
    before = 0 if h == e else h * e + e
    assert count["free"] - count["tied"] == h * (v - 1) - before
    vectors = [name for name, tensor in tied.state_dict().items() if tensor.shape in ((v, e), (v - 1, e))]
    assert vectors == ["embedding.vectors.weight"]
    # The token 9 is no input here: only the output layer brings a gradient to its vector.
    tied(torch.tensor([[2, 3]]))[0][0, 0, 9 - 1].backward()
    gradient: Tensor = tied.embedding.vectors.weight.grad  # type: ignore[assignment]
    assert gradient[9].abs().sum() > 0
    assert gradient[2].abs().sum() > 0
    assert gradient[PAD].abs().sum() == 0


@pytest.mark.parametrize("embedding_size", [6, 5], ids=["without a map", "with a map"])
def test_a_checkpoint_keeps_the_tie(embedding_size: int, tmp_path: Path) -> None:
    model = language_model(embedding_size=embedding_size, tie_embedding=True)
    again = load(saved(model, tmp_path / "tied.ckpt"))
    inputs = torch.tensor([[2, 3, 4]])
    assert isinstance(again, LanguageModel)
    torch.testing.assert_close(again(inputs)[0], model(inputs)[0], rtol=0, atol=0)
    before = again(inputs)[0]
    again.embedding.vectors.weight.data[9] += 1.0
    assert not torch.equal(again(inputs)[0][..., 8], before[..., 8])


def test_hyper_parameters_are_plain_data(tmp_path: Path) -> None:
    model = language_model(cell="rnn", cell_options={"nonlinearity": "relu"})
    checkpoint = torch.load(saved(model, tmp_path / "plain.ckpt"), weights_only=True)
    assert yaml.safe_load(yaml.safe_dump(checkpoint["hyper_parameters"])) == checkpoint["hyper_parameters"]
    assert checkpoint["hyper_parameters"]["vocab_size"] == 10


def test_a_checkpoint_alone_goes_on_writing(python: Command, tmp_path: Path) -> None:
    model = language_model(cell="gru", num_layers=2)
    path = saved(model, tmp_path / "alone.ckpt")
    lines = "import sys, rnn_lightning as r; print(''.join(r.load(sys.argv[1]).generate('a b', 9, seed=5)))"
    result = python(lines, path)
    assert result.code == 0, result.err
    assert result.out == "".join(model.generate("a b", 9, seed=5)) + "\n"
