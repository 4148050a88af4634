"""A text in streams by the command: trained, scored, resumed, in one process and in two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnn_lightning.cli import main
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.cli.helpers import measured, only_run, recorded
from tests.conftest import Command
from tests.many import as_torchrun, forked

STREAMS = (
    *("--config=gru.yaml", "--config=next_word.yaml", "--data.path=book.txt", "--data.unit=character"),
    *("--data.streams=true", "--data.num_steps=5", "--model.hidden_size=8", "--model.embedding_size=4"),
    *("--trainer.max_epochs=2", "--trainer.check_val_every_n_epoch=1"),
)


@pytest.fixture(autouse=True)
def book(workplace: Path) -> None:
    """501 characters: 400 steps for training, 49 for validation."""
    Path("book.txt").write_text("".join("abcdefg"[i * i % 7] for i in range(501)), "utf-8")


def _weights(run: Path) -> dict[str, torch.Tensor]:
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {name: weight for name, weight in weights.items() if name != "_extra_state"}


def _run_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint stands in."""
    return checkpoint.parent.parent


def test_a_run_in_streams_is_scored_in_streams(command: Command) -> None:
    fitted = command("fit", *STREAMS, "--model.scheduled_sampling=0.3", "--model.num_layers=2")
    assert (fitted.code, fitted.err) == (0, "")
    assert recorded(only_run())["data"]["init_args"]["streams"] is True
    tested = command("test")
    assert measured(command("test")) == measured(tested)
    windows = command("test", "--data.streams=false")
    assert (tested.code, windows.code) == (0, 0)
    assert measured(windows)["test_loss"] != measured(tested)["test_loss"]
    assert command("generate", "--prompt=abe", "--length=9", "--top_k=3", "--top_p=0.9", "--seed=1").code == 0
    assert command("predict", "--text=abe").code == 0


def test_the_streams_of_two_processes_go_on_in_one(command: Command, tmp_path: Path) -> None:
    """400 steps in 8 streams are 10 windows of 5; the best checkpoint is that of the validation after 7 of them."""
    within = ("--trainer.max_epochs=1", "--trainer.val_check_interval=7", "--data.batch_size=4")
    environments = [as_torchrun(rank, 2) for rank in range(2)]
    two = forked(lambda rank: main(["fit", *STREAMS, "--trainer.accelerator=cpu", *within]), environments, tmp_path)
    assert [result.code for result in two] == [0, 0], two
    best = only_run() / "checkpoints" / "best.ckpt"
    carried = torch.load(best, weights_only=True)[CHECKPOINT_KEY]["carried"]
    assert (carried["num_batches"], [[t.shape for t in layer] for layer in carried["layers"]]) == (10, [[(8, 8)]])
    resumed = command("fit", *STREAMS, "--trainer.max_epochs=1", "--data.batch_size=8", "--ckpt_path", best)
    assert resumed.code == 0, resumed.err
    (rest,) = set(Path("runs").glob("*/*")) - {_run_of(best)}
    for name, weight in _weights(_run_of(best)).items():
        torch.testing.assert_close(_weights(rest)[name], weight, rtol=0, atol=1e-5)
