"""N-grams beside a recurrent network, in training: what each part learns from."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from rnn_lightning import BagOfNgrams, SequenceClassifier, TextFiles, load
from rnn_lightning.baselines.nbsvm import NBSVM
from rnn_lightning.layers import NgramMix
from rnn_lightning.tasks.wide import held_out
from tests.conftest import Command
from tests.tasks.helpers import saved, silent_trainer


@pytest.fixture
def run(command: Command) -> str:
    """A run of n-grams of texts.csv, in whose texts every second word is told by the class."""
    draw = random.Random(1)
    lines = ["text,label"]
    for _ in range(80):
        label = draw.randrange(2)
        words = [f"w{draw.randrange(8) + 4 * label * draw.randrange(2)}" for _ in range(draw.randrange(1, 9))]
        lines.append(f"{' '.join(words)},{'ny'[label]}")
    Path("texts.csv").write_text("\n".join(lines) + "\n", "utf-8")
    assert command("baseline", "--data=TextFiles", "--data.path=texts.csv", "--keep").code == 0
    (found,) = Path("runs").glob("*/*")
    return str(found)


def _trained(run: str | None, **options: object) -> SequenceClassifier:
    torch.manual_seed(0)
    model = SequenceClassifier(hidden_size=4, embedding_size=3, ngrams=run)
    data = TextFiles("texts.csv", batch_size=8, **options)  # type: ignore[arg-type]  # as it is given
    torch.manual_seed(0)
    silent_trainer(max_epochs=2, limit_val_batches=0).fit(model, datamodule=data)
    return model


def test_what_is_said_of_a_training_text_comes_from_those_fitted_without_it(run: str) -> None:
    data = TextFiles("texts.csv")
    data.setup("fit")
    train = data.train.whole()
    machine = NBSVM(train, data.val.whole())
    lines, folds = machine.cross_fit(train)
    counts = machine._counts(train)
    wanted = np.stack([lines[fold](counts)[row] for row, fold in enumerate(folds)])
    assert data.facts.encoder is not None
    found = held_out(run, data.facts.encoder, data)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)
    model = load(run)
    assert isinstance(model, BagOfNgrams)
    assert len(set(folds.tolist())) == len(model.held_weight) == 5
    assert not np.allclose(wanted, machine.logits(train), atol=1e-2)


def test_of_a_text_that_is_cut_off_the_rest_is_not_seen(run: str) -> None:
    short = TextFiles("texts.csv", max_length=2, truncate="head")
    short.setup("fit")
    assert short.facts.encoder is not None
    found = held_out(run, short.facts.encoder, short)
    model = load(run)
    assert isinstance(model, BagOfNgrams)
    assert model.encoder is not None
    for row in (0, 5, 9):
        first = " ".join(str(short.train.text(row)).split()[:2])
        batch = model.encoder.batch([first])
        wanted = model.without(int(model.folds[row]))(batch.inputs, batch.lengths)[0]
        torch.testing.assert_close(found[row], wanted)


def test_the_recurrent_network_learns_as_if_alone(run: str) -> None:
    alone, beside = _trained(None).state_dict(), _trained(run).state_dict()
    shared = [name for name in alone if name != "_extra_state"]
    assert {name.partition(".")[0] for name in set(beside) - set(alone)} == {"mix"}
    for name in shared:
        torch.testing.assert_close(beside[name], alone[name])


def test_the_scales_learn_from_the_texts_in_the_batch(run: str) -> None:
    model = _trained(run)
    data = TextFiles("texts.csv")
    data.setup("fit")
    rows = torch.tensor([7, 2, 30, 11])
    batch = data.train.__getitems__(rows.tolist())._replace(rows=rows)
    logits = model._of_layers(batch.inputs, batch.lengths)
    known = held_out(run, model.encoder, data)[rows, 0]  # type: ignore[arg-type]  # it reads texts
    own, added = model.mix.scales.detach()
    targets = batch.targets.float()  # type: ignore[union-attr]  # there are some
    mixed = binary_cross_entropy_with_logits(own * logits + added * known, targets)
    loss = model.training_step(batch, 0)
    torch.testing.assert_close(loss, mixed + binary_cross_entropy_with_logits(logits, targets))
    model.zero_grad()
    loss.backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert "mix.scales" in moved
    assert not {"mix.ngrams.weight", "mix.ngrams.offset"} & moved


def test_the_scales_begin_with_the_mean() -> None:
    mix = NgramMix(9, 2, 4, 3)
    one, other = torch.randn(2, 5, 3)
    torch.testing.assert_close(mix(one, other), (one + other) / 2)


def test_a_loaded_model_can_be_trained_on_as_long_as_the_run_is_there(run: str, tmp_path: Path) -> None:
    path = saved(_trained(run), tmp_path / "m.ckpt")
    model = load(path)
    data = TextFiles("texts.csv", batch_size=8)
    silent_trainer(max_epochs=1, limit_val_batches=0).fit(model, datamodule=data)
    Path(run).rename("elsewhere")
    with pytest.raises(ValueError, match=f"there is no checkpoint {run}"):
        silent_trainer(max_epochs=1, limit_val_batches=0).fit(load(path), datamodule=data)


def test_a_fitted_model_is_not_trained(run: str) -> None:
    data = TextFiles("texts.csv", batch_size=8)
    with pytest.raises(ValueError, match="a BagOfNgrams is fitted, not trained"):
        silent_trainer(max_epochs=1).fit(load(run), datamodule=data)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_predictions_do_not_depend_on_neighbours(run: str, batch_size: int) -> None:
    texts = ["w1 w2 w3", "", "w9 w9 w9 w1", "W5!", "w1 w2 " * 30]
    for model in (load(run), _trained(run, max_length=6)):
        together = model.predict_text(texts, batch_size)
        for text, prediction in zip(texts, together, strict=True):
            (alone,) = model.predict_text([text])
            assert prediction.label == alone.label
            assert prediction.probability == pytest.approx(alone.probability, rel=1e-5)
