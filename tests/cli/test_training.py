"""What the command makes of optimiser, schedule and Trainer options, seen during the training itself."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from rnn_lightning.cli import configs
from rnn_lightning.cli.app import FitCommand
from tests.conftest import SMALL

BASE = ("--config", str(configs.base()), *SMALL)


class Spy(pl.Callback):
    """Remembers each step's learning rate, and the gradient's norm before and after clipping."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.before: list[float] = []
        self.after: list[float] = []
        self.epochs: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            self.rates.append(optimizer.param_groups[0]["lr"])
            self.after.append(_norm(pl_module))

        trainer.optimizers[0].register_step_post_hook(look)

    def on_before_optimizer_step(self, trainer: Any, pl_module: pl.LightningModule, optimizer: Any) -> None:
        self.before.append(_norm(pl_module))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs.append(trainer.optimizers[0].param_groups[0]["lr"])


def _norm(model: torch.nn.Module) -> float:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])).item()


def _trained(*options: str) -> tuple[Spy, pl.Trainer]:
    command = FitCommand("fit", [*BASE, *options])
    spy = Spy()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = command.instantiate_trainer(callbacks=[spy], enable_model_summary=False, accelerator="cpu", **quiet)
    trainer.fit(command.model, datamodule=command.datamodule)
    return spy, trainer


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--model.num_layers=2", "--model.bidirectional=true", "--model.residual=true", "--model.pooling=attention"),
        ("--model.batch_norm=true", "--model.cell=gru"),
    ],
    ids=["default", "everything", "batch norm"],
)
def test_the_optimiser_moves_every_parameter_of_the_model(workplace: object, options: tuple[str, ...]) -> None:
    _, trainer = _trained(*options, "--trainer.max_steps=1")
    named = {id(p): name for name, p in trainer.lightning_module.named_parameters()}
    (optimizer,) = trainer.optimizers
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(named)
    moved = {id(p) for p, state in optimizer.state.items() if state["step"] == 1}
    assert moved == set(named)


def test_the_default_optimiser_is_that_of_the_base_config(workplace: object) -> None:
    _, trainer = _trained("--trainer.max_steps=1")
    assert type(trainer.optimizers[0]) is torch.optim.AdamW
    (group,) = trainer.optimizers[0].param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (3e-3, 0.01, (0.9, 0.999))
    assert trainer.lr_scheduler_configs == []


def test_another_optimiser_takes_its_own_options(workplace: object) -> None:
    _, trainer = _trained("--optimizer=SGD", "--optimizer.lr=0.5", "--optimizer.momentum=0.7", "--trainer.max_steps=1")
    assert type(trainer.optimizers[0]) is torch.optim.SGD
    (group,) = trainer.optimizers[0].param_groups
    assert (group["lr"], group["momentum"]) == (0.5, 0.7)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ((), 10),  # 300 sequences in batches of 64 are 5 steps an epoch, 2 epochs
        (("--data.batch_size=100",), 6),
        (("--trainer.accumulate_grad_batches=2",), 6),
        (("--trainer.max_steps=7",), 7),
        (("--trainer.limit_train_batches=3",), 6),
    ],
    ids=["default", "batch size", "accumulation", "max_steps", "limit"],
)
def test_one_cycle_is_as_long_as_the_training(workplace: object, options: tuple[str, ...], steps: int) -> None:
    spy, trainer = _trained("--lr_scheduler=OneCycle", "--lr_scheduler.warmup=0.5", *options)
    (config,) = trainer.lr_scheduler_configs
    assert (config.scheduler.total_steps, config.interval) == (steps, "step")
    assert len(spy.rates) == trainer.global_step == steps
    assert spy.rates[0] == pytest.approx(0.04 * 3e-3)
    assert len(set(spy.rates)) > steps / 2  # another rate at each step, up and down
    if steps % 2 == 0:
        assert spy.rates[steps // 2] == pytest.approx(3e-3)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4 * 3e-3)


def test_other_schedules_count_epochs(workplace: object) -> None:
    options = ("--lr_scheduler=StepLR", "--lr_scheduler.step_size=2", "--lr_scheduler.gamma=0.1")
    spy, _ = _trained(*options, "--trainer.max_epochs=5")
    assert spy.epochs == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4, 3e-5])
    assert spy.rates == pytest.approx([rate for rate in spy.epochs for _ in range(5)])


def test_a_schedule_can_follow_a_measurement(workplace: object) -> None:
    plateau = ("--lr_scheduler=ReduceLROnPlateau", "--lr_scheduler.monitor=val_loss", "--lr_scheduler.patience=0")
    spy, _ = _trained(*plateau, "--lr_scheduler.threshold=0.999", "--lr_scheduler.mode=min", "--trainer.max_epochs=4")
    # With this threshold nothing short of a thousandth of the first value counts as better.
    assert spy.epochs == pytest.approx([3e-3, 3e-3, 3e-4, 3e-5])


@pytest.mark.parametrize("value", [0.02, 0.05])
def test_gradients_are_clipped_by_their_norm(workplace: object, value: float) -> None:
    spy, _ = _trained(f"--trainer.gradient_clip_val={value}")
    assert len(spy.before) == len(spy.after) == 10
    assert any(norm > 1.5 * value for norm in spy.before)
    for before, after in zip(spy.before, spy.after, strict=True):
        assert after == pytest.approx(min(before, value), rel=1e-3)


def test_gradients_are_clipped_at_1_by_default(workplace: object) -> None:
    spy, trainer = _trained("--data.num_classes=0", "--data.num_steps=2", "--model.cell=rnn", "--model.hidden_size=64")
    assert trainer.gradient_clip_val == 1.0
    assert max(spy.before) > 1.5
    assert max(spy.after) <= 1.0 + 1e-4


def test_clipping_can_be_switched_off(workplace: object) -> None:
    spy, _ = _trained("--trainer.gradient_clip_val=null", "--data.num_classes=0", "--model.hidden_size=64")
    assert spy.before == spy.after


@pytest.mark.parametrize("options", [(), ("--model.batch_norm=true",)], ids=["plain", "batch norm"])
def test_a_last_batch_of_one_sequence_trains(workplace: object, options: tuple[str, ...]) -> None:
    spy, trainer = _trained("--data.num_train=65", *options)
    assert len(spy.rates) == 4
    assert all(p.isfinite().all() for p in trainer.lightning_module.state_dict().values())


@pytest.mark.parametrize("share", ["--model.dropout=0.5", "--model.pooling=mean"])
def test_batches_of_an_epoch_cover_all_sequences(workplace: object, share: str) -> None:
    seen: list[Tensor] = []

    class Seen(pl.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            seen.append(batch.inputs[:, 0, 0])

    command = FitCommand("fit", [*BASE, share, "--trainer.max_epochs=1"])
    trainer = command.instantiate_trainer(callbacks=[Seen()], logger=False, enable_checkpointing=False)
    trainer.fit(command.model, datamodule=command.datamodule)
    wanted = command.datamodule.train.x[:, 0, 0]
    assert torch.equal(torch.cat(seen).sort().values, wanted.sort().values)
    assert not torch.equal(torch.cat(seen), wanted)
