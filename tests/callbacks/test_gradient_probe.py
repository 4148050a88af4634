"""GradientProbe in a training, which is none the different for it: what it writes, and when."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor

from rnn_lightning import Facts, GradientProbe, SequenceClassifier, SyntheticSequences
from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.gradients import state_gradients
from tests.tasks.helpers import TWO, Batches, features, silent_trainer


class Watch(pl.Callback):
    """What the gradient is, and how far an update goes, in its own words."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.moves: list[float] = []

    @staticmethod
    def _flat(model: Any) -> Any:
        return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]).astype(float)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.before = self._flat(pl_module)

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        self.norm = float(np.sqrt(sum((p.grad.double().numpy() ** 2).sum() for p in pl_module.parameters())))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if (move := float(np.linalg.norm(self._flat(pl_module) - self.before))) > 0:
            self.norms.append(self.norm)
            self.moves.append(move)


def _data(**options: Any) -> SyntheticSequences:
    return SyntheticSequences(num_train=80, num_val=16, num_test=16, batch_size=8, **options)


def _trained(folder: Path, *callbacks: Any, data: Any = None, cell: str = "lstm", **options: Any) -> Any:
    torch.manual_seed(3)
    model = SequenceClassifier(cell=cell, hidden_size=6, dropout=0.5, batch_norm=True)
    settings = {"max_epochs": 2, "gradient_clip_val": 0.1, "num_sanity_val_steps": 0, **options}
    trainer = silent_trainer(default_root_dir=str(folder), callbacks=list(callbacks), **settings)
    trainer.fit(model, datamodule=data or _data())
    return trainer, model


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_with_it_is_bit_for_bit_the_one_without(tmp_path: Path) -> None:
    trainer, model = _trained(tmp_path)
    random = torch.get_rng_state()
    watched_trainer, watched = _trained(tmp_path, GradientProbe(every_n_steps=2, max_sequences=3))
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name
    for one, other in zip(trainer.optimizers, watched_trainer.optimizers, strict=True):
        for state, other_state in zip(one.state.values(), other.state.values(), strict=True):
            assert all(torch.equal(value, other_state[name]) for name, value in state.items())
    assert trainer.callback_metrics == watched_trainer.callback_metrics
    assert len({row["step"] for row in _table(tmp_path / "gradients.csv")}) == 11


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, [0, 7, 14, 20]),
        ({"accumulate_grad_batches": 4}, [0, 6]),
        ({"max_steps": 14, "max_epochs": -1}, [0, 7, 14]),
        ({"limit_train_batches": 1, "max_epochs": 1}, [0, 1]),
    ],
    ids=str,
)
def test_it_records_at_the_start_in_between_and_at_the_end(
    options: dict[str, Any], steps: list[int], tmp_path: Path
) -> None:
    _trained(tmp_path, GradientProbe(every_n_steps=7), **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("gradient_norms.csv", "gradients.csv", "spectral_radii.csv")
    ]
    rows = _table(tmp_path / "gradients.csv")
    assert list(rows[0]) == ["step", "layer", "direction", "state", "distance", "norm"]
    assert list(dict.fromkeys(int(row["step"]) for row in rows)) == steps
    assert {(row["layer"], row["direction"], row["state"]) for row in rows} == {("0", "forward", s) for s in "hc"}
    assert [int(row["distance"]) for row in rows if (row["step"], row["state"]) == ("0", "c")] == [*range(5)]
    radii = _table(tmp_path / "spectral_radii.csv")
    assert [(int(row["step"]), int(row["block"])) for row in radii] == [(s, block) for s in steps for block in range(4)]
    norms = _table(tmp_path / "gradient_norms.csv")
    assert [int(row["step"]) for row in norms] == [step for step in steps if step != steps[-1]]


def test_what_is_recorded_is_the_model_at_that_step(tmp_path: Path) -> None:
    data = _data()
    _, model = _trained(tmp_path, GradientProbe(max_sequences=5), data=data)
    example = data.example()
    steps = int(example.lengths[:5].max())
    batch = Batch(example.inputs[:5, :steps], example.lengths[:5], example.targets[:5])  # type: ignore[index]
    rows = _table(tmp_path / "gradients.csv")
    last = [float(row["norm"]) for row in rows if (row["step"], row["state"]) == ("20", "h")]
    assert last == pytest.approx(state_gradients(model, batch)[(0, "forward"), "h"], rel=1e-6)


@pytest.mark.parametrize("clip", [0.01, 1000.0, None])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_gradient_norms_are_those_before_and_after_clipping(
    clip: float | None, accumulated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, rate = Watch(), 0.5
    plain = lambda model: torch.optim.SGD(model.parameters(), lr=rate)  # noqa: E731
    monkeypatch.setattr(SequenceClassifier, "configure_optimizers", plain)
    options = {"gradient_clip_val": clip, "accumulate_grad_batches": accumulated, "limit_train_batches": 4}
    _trained(tmp_path, watch, GradientProbe(every_n_steps=1), **options)
    rows = _table(tmp_path / "gradient_norms.csv")
    assert len(rows) == len(watch.norms) == 8 // accumulated
    for row, norm, move in zip(rows, watch.norms, watch.moves, strict=True):
        assert float(row["before_clipping"]) == pytest.approx(norm, rel=1e-5)
        assert float(row["after_clipping"]) == pytest.approx(min(norm, clip or norm), rel=1e-3)
        assert float(row["after_clipping"]) == pytest.approx(move / rate, rel=1e-3)


def test_a_transformer_is_left_out_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(cell="transformer", hidden_size=8)
    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[GradientProbe()], max_epochs=1)
    trainer.fit(model, datamodule=_data())
    lines = [line for line in capsys.readouterr().out.splitlines() if "GradientProbe" in line]
    assert lines == [
        "GradientProbe leaves out Transformer: it carries no state on, so that no gradient goes through one"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["gradient_norms.csv"]


def test_any_data_will_do(tmp_path: Path) -> None:
    batch = Batch(*features(4, 2), torch.tensor([0, 1]))
    _trained(tmp_path, GradientProbe(), data=Batches(Facts(3, TWO), [batch] * 3))
    rows = _table(tmp_path / "gradients.csv")
    assert {row["distance"] for row in rows} == {"0", "1", "2", "3"}


def test_a_trial_run_writes_nothing(tmp_path: Path) -> None:
    _trained(tmp_path, GradientProbe(), fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []


class Stumble(pl.Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 5:
            raise RuntimeError("on purpose")


def test_a_training_that_fails_leaves_what_was_recorded(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        _trained(tmp_path, GradientProbe(every_n_steps=4), Stumble())
    assert {row["step"] for row in _table(tmp_path / "gradients.csv")} == {"0", "4"}
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.parametrize("name", ["every_n_steps", "max_sequences"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_number_below_one_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} is {value}; it must be at least 1$"):
        GradientProbe(**{name: value})


class Mean(pl.LightningModule):
    """A task of its own kind."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.head(batch.inputs).mean()
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_task_that_does_not_say_its_losses_is_refused(tmp_path: Path) -> None:
    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[GradientProbe()], max_epochs=1)
    with pytest.raises(ValueError, match="wants a task that says its losses at the end, end_losses; Mean does not"):
        trainer.fit(Mean(), datamodule=_data())
