"""A training whose numbers are no longer finite stops, says where that began, and keeps what was good."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from rnn_lightning.callbacks.finite import Finite, NotFiniteError
from rnn_lightning.callbacks.habits import Checkpoint, LastCheckpoint
from tests.cli.helpers import only_run
from tests.conftest import SMALL, Command, Result
from tests.tasks.helpers import loader, silent_trainer

PLUGIN = '''
import torch
from rnn_lightning import SyntheticSequences
from rnn_lightning.layers import GRU

class Spoil(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("nan")

class Breaking(GRU):
    """The second layer of a stack breaks after so many batches."""

    def __init__(self, input_size, hidden_size, after=3, how="forward"):
        super().__init__(input_size, hidden_size)
        self.after, self.how, self.calls = after, how, 0

    def unroll(self, x, lengths, state):
        output, state = super().unroll(x, lengths, state)
        self.calls += self.training
        broken = self.calls > self.after and self.input_size == self.hidden_size
        if broken and (self.how == "forward" or (self.how == "once" and self.calls == self.after + 1)):
            output = output * float("nan")
        return Spoil.apply(output) if broken and self.how == "backward" else output, state

class Damaged(SyntheticSequences):
    """Training sequence 7 or validation sequence 70 has a number that is not finite, or all padding is not."""

    def __init__(self, num_train: int = 300, num_val: int = 100, num_test: int = 90, min_steps: int = 4,
                 num_classes: int = 2, batch_size: int = 64, place: str = "train"):
        super().__init__(num_train, num_val, num_test, min_steps=min_steps, num_classes=num_classes,
                         batch_size=batch_size)
        self.place = place

    def setup(self, stage):
        super().setup(stage)
        if self.place == "train":
            self.train.x[7, 1, 2] = float("inf")
        if self.place == "nan":
            self.train.x[7, 1, 2] = float("nan")
        if self.place == "target":
            self.train.targets[7] = float("nan")
        if self.place == "val":
            self.val.x[70, 1, 2] = float("nan")
        if self.place == "padding":
            for part in (self.train, self.val, self.test):
                part.x[torch.arange(part.x.size(1)) >= torch.from_numpy(part.lengths)[:, None]] = float("nan")
'''
ENTRY_POINTS = """
[rnn_lightning.layers]
breaking = breaking_rnn:Breaking
[rnn_lightning.data]
Damaged = breaking_rnn:Damaged
"""
BREAKING = (*SMALL, "--model.cell=breaking", "--model.num_layers=2")
DAMAGED = ("--data=Damaged", "--model.hidden_size=8", "--trainer.max_epochs=1")
TWO_PROCESSES = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=32")
NOTHING_KEPT = "; no checkpoint was kept yet\n"


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package, breaking-rnn, here and in the processes that a test starts."""
    metadata = tmp_path / "site" / "breaking_rnn-1.0.dist-info"
    metadata.mkdir(parents=True)
    metadata.with_name("breaking_rnn.py").write_text(PLUGIN, "utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: breaking-rnn\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS, "utf-8")
    monkeypatch.syspath_prepend(metadata.parent)
    monkeypatch.setenv("PYTHONPATH", str(metadata.parent), prepend=":")
    yield
    sys.modules.pop("breaking_rnn", None)


def failed(result: Result) -> str:
    """Holds a result to be a training that failed, told in one line; what it says."""
    assert result.code == 1, result
    assert result.err.startswith("rnn-lightning: ")
    assert result.err.count("\n") == 1, result.err
    return result.err.removeprefix("rnn-lightning: ")


def test_a_layer_that_breaks_is_named_with_its_batch_and_the_last_good_checkpoint(command: Command) -> None:
    said = failed(command("fit", *BREAKING, "--model.cell_options={after: 7}"))
    last = only_run() / "checkpoints" / "last.ckpt"
    # 300 sequences in batches of 64 are 5 steps an epoch.
    assert said.startswith(
        "the loss is nan at step 8 (epoch 2, batch 3): it began in recurrent.layers.1 (Breaking 8 -> 8)"
    )
    assert said.endswith(f"; the last good checkpoint is {last} (epoch 1)\n")
    checkpoint = torch.load(last, weights_only=True)
    assert checkpoint["epoch"] == 0
    assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())
    assert command("test").code == 0


def test_before_the_first_checkpoint_nothing_is_kept(command: Command) -> None:
    said = failed(command("fit", *BREAKING))
    assert said.startswith("the loss is nan at step 4 (epoch 1, batch 4): it began in recurrent.layers.1")
    assert said.endswith(NOTHING_KEPT)
    assert not Path("runs").exists()


def test_a_step_of_several_batches_is_counted_once(command: Command) -> None:
    said = failed(command("fit", *BREAKING, "--trainer.accumulate_grad_batches=2"))
    assert said.startswith("the loss is nan at step 2 (epoch 1, batch 4): it began in recurrent.layers.1")


@pytest.mark.parametrize("clipping", ["1.0", "null"])
def test_the_layer_in_which_a_gradient_breaks_is_named(command: Command, clipping: str) -> None:
    options = ("--model.cell_options={how: backward}", f"--trainer.gradient_clip_val={clipping}")
    assert failed(command("fit", *BREAKING, *options)) == (
        "a gradient is not finite at step 4 (epoch 1, batch 4), though the loss is: "
        f"it began in recurrent.layers.1 (Breaking 8 -> 8){NOTHING_KEPT}"
    )


def test_what_does_not_come_again_is_said_to_be_so(command: Command) -> None:
    said = failed(command("fit", *BREAKING, "--model.cell_options={how: once}"))
    assert "(epoch 1, batch 4): computed once more, every layer's output is finite; " in said


@pytest.mark.parametrize("clipping", ["1.0", "null"])
def test_an_exploding_step_is_told(command: Command, clipping: str) -> None:
    options = ("--optimizer=SGD", "--optimizer.lr=1e30", f"--trainer.gradient_clip_val={clipping}")
    said = failed(command("fit", *SMALL, *options))
    assert said.startswith(
        "the loss is nan at step 3 (epoch 1, batch 3): the weights of recurrent.layers.0 (LSTM 3 -> 8)"
    )
    assert "are not finite since step 2; " in said
    relu = ("--model.cell=rnn", "--model.cell_options={nonlinearity: relu}", "--data.num_classes=0")
    said = failed(command("fit", *SMALL, *options, *relu))
    assert "at step 2 (epoch 1, batch 2): it began in recurrent.layers.0 (RNN 3 -> 8), whose weights go up to " in said


@pytest.mark.parametrize(
    ("place", "what", "value"),
    [("train", "a gradient is not finite at step ", "inf"), ("nan", "the loss is nan at step ", "nan")],
)
def test_a_number_in_the_data_is_named_with_its_place(command: Command, place: str, what: str, value: str) -> None:
    # An infinite input may do no more than saturate a gate: then the gradient is the first that is not finite.
    said = failed(command("fit", *DAMAGED, f"--data.place={place}"))
    assert said.startswith(what)
    assert f": the batch itself has {value} as input (sequence " in said
    assert said.endswith(f", step 2, feature 3, counted from 1){NOTHING_KEPT}")


def test_a_target_is_named_with_its_place(command: Command) -> None:
    said = failed(command("fit", *DAMAGED, "--data.place=target", "--data.num_classes=0"))
    assert ": the batch itself has nan as target (sequence " in said


def test_padding_may_hold_anything(command: Command) -> None:
    result = command("fit", *DAMAGED, "--data.place=padding")
    assert result.code == 0, result.err


@pytest.mark.parametrize("option", [(), ("--early_stopping=null",)], ids=["", "without early stopping"])
def test_a_validation_that_is_not_finite_stops_the_training(command: Command, option: tuple[str, ...]) -> None:
    said = failed(command("fit", *DAMAGED, "--data.place=val", "--data.min_steps=5", *option))
    assert said == (
        "val_loss is nan after step 5: in validation batch 2, "
        f"the batch itself has nan as input (sequence 7, step 2, feature 3, counted from 1){NOTHING_KEPT}"
    )


@pytest.mark.parametrize("options", [DAMAGED, (*BREAKING, "--model.cell_options={how: backward}")], ids=["one", "all"])
def test_processes_stop_together_and_one_of_them_says_why(installed: Command, options: tuple[str, ...]) -> None:
    said = failed(installed("fit", *options, *TWO_PROCESSES))
    assert ("the batch itself has inf as input" in said) or ("a gradient is not finite at step 4" in said)
    assert not Path("runs").exists()


class Spoilt(pl.LightningModule):
    """Its losses are given; after the second epoch's last batch its weight is no number."""

    def __init__(self, losses: list[float], kind: str = "cpu") -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1, bias=False)
        self.losses, self.kind = losses, kind

    @property
    def device(self) -> Any:
        """Where it claims to be."""
        return torch.device(self.kind)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.layer.weight.sum() * 0 + self.losses[self.current_epoch]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 1:
            self.layer.weight.data.fill_(torch.nan)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def _stopped(folder: Path, model: Spoilt, batches: int = 1, **options: Any) -> str:
    checkpoints = [Checkpoint("step", "max"), LastCheckpoint()]
    trainer = silent_trainer(
        callbacks=[*checkpoints, Finite()],
        default_root_dir=str(folder),
        enable_checkpointing=True,
        max_epochs=len(model.losses),
        **options,
    )
    data: Any = [torch.zeros(1)] * batches
    with pytest.raises(NotFiniteError) as error:
        trainer.fit(model, loader(data), loader(data))
    return str(error.value)


@pytest.mark.parametrize("validations", [1, 0])
def test_spoilt_weights_are_neither_validated_nor_kept(tmp_path: Path, validations: int) -> None:
    folder = tmp_path / "checkpoints"
    said = _stopped(tmp_path, Spoilt([1.0, 1.0, 1.0]), limit_val_batches=validations)
    assert said == (
        "after step 2 the weights of layer (Linear 1 -> 1) are not finite; "
        f"the last good checkpoint is {folder / 'last.ckpt'} (epoch 1)"
    )
    kept = {path.name: torch.load(path, weights_only=True) for path in folder.iterdir()}
    assert sorted(kept) == ["best.ckpt", "last.ckpt"]
    assert all(checkpoint["epoch"] == 0 for checkpoint in kept.values())


def test_where_to_look_is_to_wait_the_losses_are_looked_at_together(tmp_path: Path) -> None:
    model = Spoilt([1.0, 1.0], "cuda")
    model.losses[0] = torch.inf
    assert _stopped(tmp_path, model, batches=3) == (
        "the loss is inf at step 1 (epoch 1, batch 1): "
        "on a CPU (--trainer.accelerator cpu) it would say in which layer it began; no checkpoint was kept yet"
    )
