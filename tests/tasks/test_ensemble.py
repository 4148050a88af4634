"""Several classifiers as one: each reads what it would have read alone, and the weights are the best there are."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnn_lightning import Ensemble, SequenceClassifier, TextEncoder, load
from rnn_lightning.tasks.ensemble import cross_entropy, temperature_of, weights_of
from tests.cli.helpers import one_mistake
from tests.conftest import SMALL, SMALL_REVIEWS, Command
from tests.tasks.helpers import FIVE, TWO, feature_model, features, language_model, saved, text_model

TEXTS = ["good bad film schön film good film bad", "", "bad", "unheard good 電 film bad bad good schön 😀"]
ENCODERS = (
    TextEncoder(("good", "film", "bad"), max_length=3, truncate="head"),
    TextEncoder(("bad", "schön", "電", "good"), max_length=4, truncate="tail"),
    TextEncoder(("film", "good"), max_length=5, truncate="head_tail"),
    TextEncoder(("😀", "good", "bad"), max_length=None),
)


def _of(*models: SequenceClassifier) -> Ensemble:
    return Ensemble.of(models, [f"model {number}" for number in range(len(models))])


def _varied(model: SequenceClassifier, seed: int) -> SequenceClassifier:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.normal_()
    return model


@pytest.mark.parametrize("labels", [TWO, FIVE])
def test_each_member_reads_a_text_with_its_own_words_and_to_its_own_length(labels: tuple[str, ...]) -> None:
    models = [_varied(text_model(labels, encoder, pooling="mean"), seed) for seed, encoder in enumerate(ENCODERS)]
    ensemble = _of(*models)
    assert ensemble.encoder is not None
    batch = ensemble.encoder.batch(TEXTS)
    together = ensemble.member_logits(batch.inputs, batch.lengths)
    for model, logits in zip(models, together, strict=True):
        assert model.encoder is not None
        own = model.encoder.batch(TEXTS)
        torch.testing.assert_close(logits, model(own.inputs, own.lengths))
    torch.testing.assert_close(ensemble(batch.inputs, batch.lengths), torch.stack(together).mean(0))


def test_members_that_cut_alike_let_the_data_cut() -> None:
    models = [text_model(encoder=TextEncoder(words, 3, "tail")) for words in (("a", "b"), ("b", "c"))]
    encoder = _of(*models).encoder
    assert encoder is not None
    assert (encoder.max_length, encoder.truncate, encoder.words) == (3, "tail", ["a", "b", "c"])


def test_weights_and_temperatures_stand_as_in_the_equation() -> None:
    models = [_varied(feature_model(FIVE), seed) for seed in (1, 2)]
    ensemble = _of(*models)
    ensemble.hparams.update(weights=[0.3, 0.7], temperatures=[2.0, 0.5])
    x, lengths = features(4, 2)
    torch.testing.assert_close(ensemble(x, lengths), 0.15 * models[0](x, lengths) + 1.4 * models[1](x, lengths))


def _problem(classes: int, members: int = 3, count: int = 400) -> tuple[Tensor, Tensor]:
    """Logits (S, M) or (S, M, C) of members that are right to a different degree, and too certain; classes (S,)."""
    random = np.random.default_rng(classes)
    targets = random.integers(classes, size=count)
    certain = np.eye(classes)[targets][:, None] * np.array([1.0, 2.0, 0.2])[:members, None]
    logits = 3 * (certain + random.normal(size=(count, members, classes)))
    found = logits[:, :, 1] - logits[:, :, 0] if classes == 2 else logits
    return torch.from_numpy(found), torch.from_numpy(targets)


@pytest.mark.parametrize("classes", [2, 5])
def test_no_other_temperature_is_better(classes: int) -> None:
    logits, targets = _problem(classes)
    for one in logits.unbind(1):
        found = temperature_of(one, targets)
        least = cross_entropy(one / found, targets)
        others = np.geomspace(0.05, 50, 400)
        assert least <= min(cross_entropy(one / other, targets) for other in others) + 1e-9


@pytest.mark.parametrize("classes", [2, 5])
def test_no_other_weights_are_better(classes: int) -> None:
    logits, targets = _problem(classes)
    weights = weights_of(logits, targets)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0

    def loss(shares: Any) -> float:
        together = torch.einsum("sm...,m->s...", logits, torch.tensor(shares, dtype=logits.dtype))
        return cross_entropy(together, targets).item()

    steps = range(21)
    grid = [(a / 20, b / 20, (20 - a - b) / 20) for a, b in itertools.product(steps, steps) if a + b <= 20]
    assert loss(weights) <= min(map(loss, grid)) + 1e-6


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (lambda: feature_model(()), "model 1 predicts numbers: an ensemble is of classifiers"),
        (lambda: feature_model(FIVE), "model 1 tells a, b, c, d, e apart, and model 0 no, yes"),
        (lambda: feature_model(input_size=4), "model 1 and model 0 read inputs of different kinds"),
        (text_model, "model 1 and model 0 read inputs of different kinds"),
        (language_model, "model 1 holds a LanguageModel: an ensemble is of classifiers of sequences"),
    ],
)
def test_what_does_not_belong_together_is_refused(others: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        _of(feature_model(), others())


def test_it_is_not_trained() -> None:
    with pytest.raises(ValueError, match="an Ensemble is put together, not trained: rnn-lightning ensemble RUN RUN"):
        Ensemble([])


def test_a_checkpoint_holds_all_of_it(tmp_path: Path) -> None:
    ensemble = _of(*(_varied(text_model(encoder=encoder), seed) for seed, encoder in enumerate(ENCODERS)))
    ensemble.hparams.update(weights=[0.1, 0.2, 0.3, 0.4], temperatures=[1.0, 2.0, 3.0, 4.0])
    again = load(saved(ensemble, tmp_path / "all.ckpt"))
    assert again.predict_text(TEXTS) == ensemble.predict_text(TEXTS)


def test_an_ensemble_can_be_a_member(tmp_path: Path) -> None:
    first = _of(*(_varied(text_model(encoder=encoder), seed) for seed, encoder in enumerate(ENCODERS[:2])))
    alone = _varied(text_model(encoder=ENCODERS[3]), 7)
    both = _of(first, alone)
    assert both.encoder is not None
    batch = both.encoder.batch(TEXTS)
    members = [*first.member_logits(*first.encoder.batch(TEXTS)[:2])] if first.encoder is not None else []
    own = ENCODERS[3].batch(TEXTS)
    wanted = 0.25 * members[0] + 0.25 * members[1] + 0.5 * alone(own.inputs, own.lengths)
    torch.testing.assert_close(both(batch.inputs, batch.lengths), wanted)


def _runs() -> list[str]:
    return [str(run) for run in sorted(Path("runs").glob("*/*"))]


def test_the_command_puts_runs_together_and_everything_works_with_them(command: Command, archive: Path) -> None:
    words = (*SMALL_REVIEWS, f"--data.path={archive}", "--trainer.max_epochs=1")
    assert command("fit", *words).code == 0
    assert command("fit", *words, "--model.cell=gru", "--data.max_length=5", "--data.vocab_size=20").code == 0
    runs = _runs()
    result = command("ensemble", *runs)
    assert result.code == 0, result.err
    assert result.out.startswith("Ensemble on imdb: weights and temperatures of the least val_loss\n")
    (run,) = Path("runs/ensemble-imdb").iterdir()
    tested = command("test")
    assert f"Testing the best checkpoint of the newest run, {run}" in tested.out
    assert (command("predict", "--text=Awful.").code, command("validate").code) == (0, 0)
    assert "ensemble" in command("list", "runs").out
    # A member in a lone file, and an ensemble as a member.
    assert command("ensemble", f"{runs[0]}/checkpoints/best.ckpt", str(run)).code == 0


def test_the_weights_are_those_of_the_validation_part(command: Command) -> None:
    for seed in (1, 2):
        assert command("fit", "--config=lstm.yaml", *SMALL, f"--seed_everything={seed}").code == 0
    result = command("ensemble", *_runs())
    assert result.code == 0, result.err
    (run,) = Path("runs/ensemble-synthetic").iterdir()
    ensemble = load(run)
    assert isinstance(ensemble, Ensemble)
    together = result.out.splitlines()[3].split()
    assert together[:2] == ["together", "val_loss"]
    scored = json.loads(command("validate", "--json").out)
    assert (f"{scored['val_loss']:.4f}", f"{scored['val_accuracy']:.4f}") == (together[2], together[4])


def test_wrong_words(command: Command, feature_run: Path) -> None:
    for words, message in (
        ([], "ensemble wants two runs or checkpoints or more: rnn-lightning ensemble RUN RUN"),
        ([feature_run], "ensemble wants two runs or checkpoints or more"),
        ([feature_run, "none"], "there is no checkpoint none"),
        ([feature_run, "best"], "ensemble wants runs or checkpoints by their names, not 'best'"),
        ([feature_run, feature_run, "--model.cell=gru"], "ensemble does not take --model.cell: the model comes from"),
    ):
        one_mistake(command("ensemble", *words), message)


def test_runs_of_other_splits_are_refused(command: Command, archive: Path) -> None:
    for seed in (0, 1):
        words = (*SMALL_REVIEWS, f"--data.path={archive}", "--trainer.max_epochs=1", f"--data.split_seed={seed}")
        assert command("fit", *words).code == 0
    said = one_mistake(command("ensemble", *_runs()), "was trained on other data than")
    assert "data.split_seed is 1 there and 0 here" in said
