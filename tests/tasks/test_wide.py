"""N-grams beside a recurrent network, in training: what each part learns from."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from rnn_lightning import SequenceClassifier, TextFiles, load
from rnn_lightning.layers import NgramMix
from rnn_lightning.stacking import weigh
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


def test_the_recurrent_network_learns_as_if_alone(run: str) -> None:
    alone, beside = _trained(None).state_dict(), _trained(run).state_dict()
    shared = [name for name in alone if name != "_extra_state"]
    assert {name.partition(".")[0] for name in set(beside) - set(alone)} == {"mix"}
    for name in shared:
        torch.testing.assert_close(beside[name], alone[name])


def test_they_are_weighed_on_the_whole_validation_part(run: str) -> None:
    """By least cross-entropy, and what is measured of validation is measured with that."""
    torch.manual_seed(0)
    model, data = SequenceClassifier(hidden_size=4, embedding_size=3, ngrams=run), TextFiles("texts.csv", batch_size=3)
    trainer = silent_trainer(max_epochs=2)
    trainer.fit(model, datamodule=data)
    model.eval()
    batch = data.val.__getitems__(list(range(len(data.val))))
    with torch.no_grad():
        own = model._of_vectors(model._vectors(batch.inputs), batch.lengths)
        ngrams = model.mix.ngrams(batch.inputs, batch.lengths)[:, 0]
        logits = model(batch.inputs, batch.lengths)
        scales, offsets, _ = weigh(torch.stack((own, ngrams)).unsqueeze(2), batch.targets)  # type: ignore[arg-type]  # there are some
        torch.testing.assert_close(model.mix.scales, scales.float(), rtol=1e-4, atol=1e-4)
        mixed = scales[0] * own + scales[1] * ngrams + offsets
        torch.testing.assert_close(logits, mixed.float(), rtol=1e-3, atol=1e-3)
        wanted = binary_cross_entropy_with_logits(logits, batch.targets.float())  # type: ignore[union-attr]  # as above
    assert trainer.callback_metrics["val_loss"] == pytest.approx(wanted.item(), rel=1e-4)
    before = model.mix.scales.clone()
    silent_trainer(limit_val_batches=1).validate(model, datamodule=data, verbose=False)
    assert torch.equal(model.mix.scales, before)


def test_without_a_validation_part_the_mean_is_taken(run: str) -> None:
    mix = _trained(run).mix
    assert mix.scales.tolist() == [0.5, 0.5]
    assert mix.offset.tolist() == [0.0]


def test_the_scales_begin_with_the_mean() -> None:
    mix = NgramMix(9, 2, 4, 3)
    one, other = torch.randn(2, 5, 3)
    torch.testing.assert_close(mix(one, other), (one + other) / 2)


def test_a_loaded_model_is_trained_on_without_the_run(run: str, tmp_path: Path) -> None:
    path = saved(_trained(run), tmp_path / "m.ckpt")
    Path(run).rename("elsewhere")
    model = load(path)
    assert isinstance(model, SequenceClassifier)
    silent_trainer(max_epochs=1).fit(model, datamodule=TextFiles("texts.csv", batch_size=8))
    assert (model.mix.scales != 0.5).all()
    with pytest.raises(ValueError, match="were fitted on other training texts than these"):
        silent_trainer(max_epochs=1).fit(load(path), datamodule=TextFiles("texts.csv", val_fraction=0.3))


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
