"""The worst small change of the inputs: its length, its direction, and that training against it does what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnn_lightning import Facts, SequenceClassifier
from rnn_lightning.batch import Batch
from rnn_lightning.tasks.adversarial import adversarial_change, virtual_adversarial_losses
from tests.tasks.helpers import FIVE, TWO, Batches, feature_model, features, silent_trainer, text_model

X, LENGTHS = features(5, 2, 4, 1)
TARGETS = torch.tensor([1, 0, 1, 1])


def _deviations(x: Tensor, lengths: Tensor) -> np.ndarray[Any, Any]:
    rows = [row[:length].numpy() for row, length in zip(x, lengths, strict=True)]
    return np.array([np.sqrt((row.std(0) ** 2).mean()) for row in rows])


def _losses(model: SequenceClassifier, x: Tensor) -> Tensor:
    return model.losses(model(x, LENGTHS), TARGETS)


def test_the_change_is_of_its_length_and_leaves_padding_alone() -> None:
    x = X.clone().requires_grad_()
    change = adversarial_change(_losses(feature_model(pooling="mean"), x), x, LENGTHS, 0.7)
    np.testing.assert_allclose(change.flatten(1).norm(dim=1), 0.7 * _deviations(X, LENGTHS), rtol=1e-5)
    assert not change[torch.arange(5) >= LENGTHS[:, None]].any()
    # The last sequence has a single step, which deviates from nothing.
    assert not change[3].any()


def test_no_other_small_change_of_that_length_makes_the_loss_grow_more() -> None:
    model = feature_model(pooling="mean", hidden_size=6).double()
    x = X.double().requires_grad_()
    before = _losses(model, x)
    change = adversarial_change(before, x, LENGTHS, 1e-3)
    worst = (_losses(model, X.double() + change) - before).detach()
    random = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = torch.randn(X.shape, generator=random).double() * (change != 0)
        other *= (change.flatten(1).norm(dim=1) / other.flatten(1).norm(dim=1).clamp(min=1e-12))[:, None, None]
        grown = (_losses(model, X.double() + other) - before).detach()
        assert (grown <= worst + 1e-9).all()


def test_the_change_does_not_depend_on_neighbours_or_padding() -> None:
    model = feature_model(pooling="mean")
    x = X.clone().requires_grad_()
    together = adversarial_change(_losses(model, x), x, LENGTHS, 1.0)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = X[row : row + 1, :length].clone().requires_grad_()
        losses = model.losses(model(alone, LENGTHS[row : row + 1]), TARGETS[row : row + 1])
        change = adversarial_change(losses, alone, LENGTHS[row : row + 1], 1.0)
        torch.testing.assert_close(change[0], together[row, :length])


@pytest.mark.parametrize("labels", [TWO, FIVE])
def test_the_virtual_change_moves_the_answers_more_than_random_ones_do(labels: tuple[str, ...]) -> None:
    model = feature_model(labels, pooling="mean", hidden_size=6)

    def answers(x: Tensor) -> Tensor:
        return model.log_probabilities(model(x, LENGTHS))

    def divergence(x: Tensor) -> Tensor:
        return functional.kl_div(answers(x), answers(X), reduction="none", log_target=True).sum(1)

    torch.manual_seed(0)
    losses = torch.stack([virtual_adversarial_losses(answers, X, LENGTHS, answers(X), 0.5) for _ in range(20)])
    random = []
    for _ in range(20):
        other = torch.randn_like(X) * (torch.arange(5) < LENGTHS[:, None])[:, :, None]
        length = 0.5 * torch.from_numpy(_deviations(X, LENGTHS)).float()
        random.append(divergence(X + other * (length / other.flatten(1).norm(dim=1))[:, None, None]))
    # Sequences of several steps; nothing changes at one of a single step.
    assert (losses.mean(0)[:3] > 1.5 * torch.stack(random).mean(0)[:3]).all()
    assert (losses >= -1e-6).all()
    torch.testing.assert_close(losses[:, 3], torch.zeros(20), atol=1e-7, rtol=0)


def _step(model: SequenceClassifier, batch: Batch) -> Tensor:
    model.train()
    return model.training_step(batch, 0)


BATCH = Batch(X, LENGTHS, TARGETS)


def test_what_is_learnt_from_is_the_loss_before_and_after_the_change() -> None:
    plain, model = feature_model(pooling="mean"), feature_model(pooling="mean", adversarial=0.7)
    x = X.clone().requires_grad_()
    losses = _losses(plain, x)
    after = _losses(plain, X + adversarial_change(losses, x, LENGTHS, 0.7))
    torch.testing.assert_close(_step(model, BATCH), losses.mean() + after.mean())
    mean = model._epoch_loss.mean()
    assert mean is not None
    torch.testing.assert_close(mean[0], losses.mean().detach())  # as val_loss is


def test_texts_are_changed_in_their_vectors_and_the_gradient_reaches_the_embedding() -> None:
    model = text_model(adversarial=2.0, virtual_adversarial=1.0)
    loss = _step(model, Batch(torch.tensor([[2, 3, 4], [5, 6, 0]]), torch.tensor([3, 2]), torch.tensor([0, 1])))
    loss.backward()
    gradient = model.embedding.vectors.weight.grad
    assert gradient is not None
    assert gradient[2:7].any(1).all()
    assert not gradient[0].any()


def test_frozen_vectors_have_a_worst_change_too(tmp_path: Any) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("good 1 2 3\nbad -1 0 1\n", "utf-8")
    model = text_model(vectors=str(path), freeze_vectors=True, adversarial=2.0)
    batch = Batch(torch.tensor([[2, 3, 4]]), torch.tensor([3]), torch.tensor([0]))
    assert _step(model, batch) > _step(text_model(vectors=str(path), freeze_vectors=True), batch)


@pytest.mark.parametrize("labels", [TWO, FIVE])
def test_smoothed_labels(labels: tuple[str, ...]) -> None:
    model = feature_model(labels, label_smoothing=0.2)
    logits = model(X, LENGTHS)
    certain = functional.one_hot(TARGETS, len(labels)).float()
    wanted = -((0.8 * certain + 0.2 / len(labels)) * model.log_probabilities(logits)).sum(1)
    torch.testing.assert_close(_step(model, BATCH), wanted.mean())
    assert torch.equal(model.losses(logits, TARGETS), feature_model(labels).losses(logits, TARGETS))  # as it is scored


def test_it_trains(tmp_path: Any) -> None:
    model = SequenceClassifier(hidden_size=4, adversarial=1.0, virtual_adversarial=1.0, label_smoothing=0.1)
    trainer = silent_trainer(max_epochs=2, gradient_clip_val=1.0)
    trainer.fit(model, datamodule=Batches(Facts(3, TWO), [BATCH]))
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; it must be at least 0 and below 1"),
        ({"adversarial": -1.0}, "adversarial is -1.0; it must be at least 0"),
        ({"virtual_adversarial": -0.1}, "virtual_adversarial is -0.1; it must be at least 0"),
    ],
)
def test_wrong_sizes(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceClassifier(**options)  # type: ignore[arg-type]  # one of them is a number


def test_numbers_have_no_classes_to_smooth_and_can_be_learnt_against_changes() -> None:
    with pytest.raises(ValueError, match="are for classes: this data has numbers to predict"):
        feature_model((), virtual_adversarial=1.0)
    model = feature_model((), adversarial=1.0)
    assert torch.isfinite(_step(model, BATCH._replace(targets=TARGETS.float())))
