"""Scheduled sampling: which inputs the model's own tokens replace, how many, and when."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn import functional

from rnn_lightning import LanguageModel, NextWord
from rnn_lightning.batch import PAD, UNKNOWN
from rnn_lightning.tasks.scheduled_sampling import with_own_tokens
from tests.tasks.helpers import LETTER_FACTS, Batches, language_model, silent_trainer, still
from tests.tasks.test_language_model import BATCHES, SHAPED

INPUTS = torch.randint(1, 10, (6, 12), generator=torch.Generator().manual_seed(1))
INPUTS[1, 7:], INPUTS[4, 1:], INPUTS[5] = PAD, PAD, PAD


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A file of 300 words."""
    (tmp_path / "text").write_text(" ".join(f"w{i * i % 23}" for i in range(300)))
    return str(tmp_path / "text")


def _by_hand(model: LanguageModel, inputs: Tensor, before: Tensor, share: float) -> Tensor:
    """A coin for each input, and a token drawn after the whole text so far, `before` included, where it says so."""
    inputs = inputs.clone()
    coins = torch.rand(inputs.shape) < share
    for t in range(1, inputs.size(1)):
        rows = [row for row in range(len(inputs)) if coins[row, t] and inputs[row, t] != PAD]
        if rows:
            with torch.no_grad():
                logits = model(torch.cat((before, inputs[:, :t]), 1)[rows])[0][:, -1]
            logits[:, UNKNOWN - 1] = -math.inf
            inputs[rows, t] = torch.multinomial(torch.softmax(logits, 1), 1)[:, 0] + 1
    return inputs


@SHAPED
@pytest.mark.parametrize("share", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("carried", [0, 5], ids=["from the beginning", "with a state"])
def test_it_is_the_loop_by_hand(options: dict[str, Any], share: float, carried: int) -> None:
    model = language_model(**options)
    before = torch.randint(1, 10, (len(INPUTS), carried), generator=torch.Generator().manual_seed(2))
    state = model(before)[1] if carried else None
    torch.manual_seed(5)
    wanted = _by_hand(model, INPUTS, before, share)
    torch.manual_seed(5)
    found = with_own_tokens(model, INPUTS, state, share)
    assert torch.equal(found, wanted)
    assert not torch.equal(found, INPUTS)


def test_only_the_inputs_after_the_first_are_replaced_and_never_by_padding_or_unknown() -> None:
    model = language_model()
    model.head[-1].bias.data[UNKNOWN - 1] = 1e4  # type: ignore[index, union-attr]  # the linear map's
    before = INPUTS.clone()
    found = with_own_tokens(model, INPUTS, None, 1.0)
    assert torch.equal(INPUTS, before)
    assert torch.equal(found[:, 0], INPUTS[:, 0])
    assert torch.equal(found == PAD, INPUTS == PAD)
    assert UNKNOWN in INPUTS[:, 1:]
    assert UNKNOWN not in found[:, 1:]


def test_a_share_of_zero_replaces_nothing() -> None:
    assert torch.equal(with_own_tokens(language_model(), INPUTS, None, 0.0), INPUTS)


def test_the_share_is_that_of_the_inputs() -> None:
    torch.manual_seed(0)
    # A token that is drawn with certainty, and is none of the inputs, shows what was replaced.
    model = language_model()
    model.head[-1].bias.data[9 - 1] = 1e4  # type: ignore[index, union-attr]  # the linear map's
    found = with_own_tokens(model, torch.full((200, 51), 2), None, 0.3)
    assert (found[:, 1:] == 9).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (found[:, 0] == 2).all()


def test_tokens_are_drawn_without_dropout_and_training_goes_on_with_it() -> None:
    model = language_model(dropout=0.5, embedding_dropout=0.5, word_dropout=0.5)
    torch.manual_seed(5)
    wanted = with_own_tokens(model.eval(), INPUTS, None, 0.7)
    assert not model.training
    torch.manual_seed(5)
    assert torch.equal(with_own_tokens(model.train(), INPUTS, None, 0.7), wanted)
    assert model.training


class _Seen(Callback):
    """The gradients and the step of each batch."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, Tensor]] = []

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.gradients.append({name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None})


def _trained(text: str, seen: _Seen | None = None, **options: Any) -> LanguageModel:
    trainer_options = {name: options.pop(name) for name in ("precision", "max_epochs") if name in options}
    data = NextWord(text, num_steps=10, batch_size=4, streams=options.pop("streams", False))
    model = LanguageModel(**{"cell": "gru", "hidden_size": 8, "embedding_size": 5, **options})
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.5)  # type: ignore[method-assign]
    trainer = silent_trainer(
        **{"max_epochs": 2, "num_sanity_val_steps": 0, "callbacks": [seen] if seen else [], **trainer_options}
    )
    torch.manual_seed(0)
    trainer.fit(model, datamodule=data)
    return model


def test_at_zero_it_is_teacher_forcing_to_the_bit_and_takes_no_step(text: str) -> None:
    plain, zero = _trained(text), _trained(text, scheduled_sampling=0.0)
    for one, other in zip(plain.parameters(), zero.parameters(), strict=True):
        assert torch.equal(one, other)

    def never(*inputs: object) -> None:
        raise AssertionError("a step by itself")

    model = language_model()
    model.recurrent.step = never  # type: ignore[assignment, method-assign]
    trainer = silent_trainer(max_epochs=1, num_sanity_val_steps=0, limit_val_batches=0)
    trainer.fit(still(model), datamodule=Batches(LETTER_FACTS, BATCHES))


def _step_by_step(model: Any, batch: Any, state: Any, share: float) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The definition: each step's input is the true token or one drawn, as a number, from what the last step said.

    Returns the inputs and the gradient of the tokens' mean loss.
    """
    columns, loss, logits = list(batch.inputs.unbind(1)), torch.tensor(0.0), torch.tensor(0.0)
    replaced = (torch.rand(batch.inputs.shape) < share) & (batch.inputs != PAD)
    for t, targets in enumerate(batch.targets.unbind(1)):
        if t > 0 and replaced[:, t].any():
            rows = replaced[:, t].nonzero()[:, 0]
            chances = torch.softmax(logits.detach()[rows].index_fill(1, torch.tensor([UNKNOWN - 1]), -math.inf), 1)
            columns[t] = columns[t].index_put((rows,), torch.multinomial(chances, 1)[:, 0] + 1)
        output, state = model.recurrent.step(model.embedding(columns[t].unsqueeze(1))[:, 0], state)
        logits = model.head(output)
        loss = loss + functional.cross_entropy(logits, targets - 1, ignore_index=PAD - 1, reduction="sum")
    mean = loss / (batch.targets != PAD).sum()
    return torch.stack(columns, 1), torch.autograd.grad(mean, list(model.parameters()))


@pytest.mark.parametrize("streams", [False, True])
def test_its_gradient_is_that_of_going_step_by_step(text: str, streams: bool) -> None:
    inputs: list[tuple[Tensor, Tensor]] = []

    class Compared(_Seen):
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            share = 0.9 * trainer.global_step / trainer.estimated_stepping_batches
            pl_module.on_train_batch_start(batch, batch_idx)  # the random numbers are those that the batch will have
            found, self.wanted = _step_by_step(pl_module, batch, pl_module._before("train", batch_idx), share)
            inputs.append((found, batch.inputs))

        def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            super().on_after_backward(trainer, pl_module)
            for found, wanted in zip(self.gradients[-1].values(), self.wanted, strict=True):
                torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)

    _trained(text, Compared(), scheduled_sampling=0.9, streams=streams)
    assert len(inputs) > 8
    assert torch.equal(*inputs[0])
    assert not torch.equal(*inputs[-1])


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_epochs": 2}, 6),
        ({"max_epochs": -1, "max_steps": 5}, 5),
        ({"max_epochs": 4, "accumulate_grad_batches": 2}, 8),
    ],
    ids=str,
)
def test_the_share_grows_with_the_steps_of_the_optimiser(
    options: dict[str, int], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    def watched(model: LanguageModel, inputs: Tensor, state: Any, share: float) -> Tensor:
        shares.append(share)
        return with_own_tokens(model, inputs, state, share)

    monkeypatch.setattr("rnn_lightning.tasks.language_model.with_own_tokens", watched)
    model = language_model(scheduled_sampling=0.6)
    trainer = silent_trainer(num_sanity_val_steps=0, limit_val_batches=0, **options)
    trainer.fit(model, datamodule=Batches(LETTER_FACTS, BATCHES))
    assert trainer.global_step == steps
    assert sorted(set(shares)) == shares or options.get("accumulate_grad_batches") == 2
    assert sorted(set(shares)) == pytest.approx([0.6 * step / steps for step in range(steps)])


@pytest.mark.parametrize("split", ["val", "test"])
def test_scores_are_those_of_the_true_inputs(split: str) -> None:
    found = []
    for share in (0.0, 1.0):
        trainer = silent_trainer()
        run = trainer.validate if split == "val" else trainer.test
        model = language_model(scheduled_sampling=share)
        found += run(model, datamodule=Batches(LETTER_FACTS, BATCHES), verbose=False)
    assert found[0] == found[1]


def test_in_mixed_precision_every_weight_has_a_gradient(text: str) -> None:
    """What was made of the weights without one, for the drawing, must not be used in the pass that learns."""
    seen = _Seen()
    model = _trained(text, seen, scheduled_sampling=1.0, precision="bf16-mixed")
    names = {name for name, _ in model.named_parameters()}
    for gradients in seen.gradients:
        assert set(gradients) == names
        assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_an_endless_training_is_refused(text: str) -> None:
    message = "^scheduled_sampling grows until the end of the training, and this one has none: give trainer.max_epochs"
    with pytest.raises(ValueError, match=message):
        _trained(text, scheduled_sampling=0.5, max_epochs=-1)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, math.inf])
def test_a_share_outside_of_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"^scheduled_sampling is {share}; it must be at least 0 and at most 1$"):
        LanguageModel(scheduled_sampling=share)
