"""Memory that is full, processes that are gone, and numbers that are no longer finite."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import pytest

from rnn_lightning.cli import main
from tests.cli.helpers import files
from tests.conftest import SMALL, Command
from tests.faults import fault
from tests.faults.conftest import InEpoch

PLUGIN = '''
import torch
from rnn_lightning import SyntheticSequences
from rnn_lightning.layers import GRU

class Greedy(GRU):
    """Asks for more than a GPU has after so many batches."""

    def __init__(self, input_size, hidden_size, after=6):
        super().__init__(input_size, hidden_size)
        self.after, self.calls = after, 0

    def unroll(self, x, lengths, state):
        self.calls += self.training
        if self.calls > self.after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 8 GiB")
        return super().unroll(x, lengths, state)

class Spoilt(SyntheticSequences):
    """Training sequence 7 has a number that is not finite."""

    def __init__(self, num_train: int = 300, num_val: int = 100, num_test: int = 90):
        super().__init__(num_train, num_val, num_test)

    def setup(self, stage):
        super().setup(stage)
        self.train.x[7, 1, 2] = float("nan")
'''
Seen = Callable[[str], None]


@pytest.fixture
def plugins(workplace: Path) -> tuple[str, str]:
    """The option that brings the layer and the data above."""
    Path("faulty.py").write_text(PLUGIN, "utf-8")
    return "--plugins", "faulty.py"


def _used() -> int:
    """Bytes of memory that this process has asked for."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@fault(
    what="The memory does not hold a batch",
    injected="a batch of 20,000 sequences, with 500 MB of memory left (RLIMIT_AS)",
    seen="`the memory does not hold a batch of 20,000 sequences of up to 20 steps, ... more were asked for` and "
    "`Lower --data.batch_size (now 20000); rnn-lightning find-batch-size tries what fits`; exit code 1",
    lost="what was trained since the last checkpoint",
)
def test_a_batch_that_the_memory_does_not_hold_is_told(command: Command, seen: Seen, in_epoch: InEpoch) -> None:
    large = ("--data.num_train=20000", "--data.batch_size=20000", "--data.num_steps=20", "--model.hidden_size=256")
    before = resource.getrlimit(resource.RLIMIT_AS)
    in_epoch(1, lambda: resource.setrlimit(resource.RLIMIT_AS, (_used() + 500_000_000, before[1])))
    try:
        # The summary sends a batch through the model too.
        result = command("fit", *SMALL, *large, "--trainer.enable_model_summary=false")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert result.code == 1
    seen(result.err)
    assert not list(Path("runs").glob("*/*/checkpoints/*"))


@fault(
    what="The memory of a GPU does not hold a batch",
    injected="a layer raises torch.OutOfMemoryError in epoch 2, as torch does for a GPU",
    seen="`the memory does not hold a batch of 64 sequences of up to 5 steps, 2.00 GiB more were asked for "
    "(after step 6, epoch 2); the last good checkpoint is ...last.ckpt (epoch 1)` and "
    "`To go on: rnn-lightning fit --resume`; exit code 1",
    lost="the epoch; `--data.batch_size` may be another one when the training goes on",
)
def test_a_batch_that_a_gpu_does_not_hold_is_told(command: Command, seen: Seen, plugins: tuple[str, str]) -> None:
    result = command("fit", *SMALL, *plugins, "--model.cell=greedy")
    assert result.code == 1
    seen(result.err)
    more = command("fit", "--resume", *plugins, "--data.batch_size=300", "--trainer.max_epochs=3")
    assert more.code == 0, more


@fault(
    what="The memory does not hold the model",
    injected="`--model.hidden_size=10000000`",
    seen="`the memory does not hold the model and its data, 1,600,000.0 GB more were asked for` and "
    "`A smaller --model.hidden_size or --data.batch_size needs less`; exit code 1, no run folder stays",
    lost="nothing",
)
def test_a_model_that_the_memory_does_not_hold_is_told(command: Command, seen: Seen) -> None:
    result = command("fit", *SMALL, "--model.hidden_size=10000000")
    assert result.code == 1
    seen(result.err)
    assert files(Path()) == []


@fault(
    what="A process that prepares batches is killed, as Linux does where the memory is full",
    injected="SIGKILL to the processes of `--data.num_workers 1` within epoch 2",
    seen="`a process that prepares batches has died` and `the last good checkpoint is ...last.ckpt (epoch 1)` and "
    "`Lower --data.num_workers (now 1); 0 needs no such process. To go on: rnn-lightning fit --resume`; exit code 1",
    lost="the epoch",
)
def test_a_worker_that_is_killed_ends_the_training_with_what_was_kept(
    command: Command, seen: Seen, in_epoch: InEpoch
) -> None:
    def kill() -> None:
        for process in active_children():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)

    in_epoch(2, kill)
    result = command("fit", *SMALL, "--data.num_workers=1", "--data.batch_size=16")
    assert result.code == 1
    seen(result.err)
    assert command("fit", "--resume", "--data.num_workers=0").code == 0


@fault(
    what="Too little shared memory, as in a container",
    injected="`--data.num_workers 1`, and no file may be larger than a batch (RLIMIT_FSIZE)",
    seen="`a batch could not be handed over: unable to resize file` and "
    "`a process that prepares batches has died`; exit code 1",
    lost="what was trained since the last checkpoint; nothing waits for ever",
)
def test_too_little_shared_memory_ends_the_training(
    seen: Seen, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        assert main(["fit", *SMALL, "--data.num_workers=1", "--data.num_steps=100"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    seen(capfd.readouterr().err)


@fault(
    what="A loss that is not finite",
    injected="a training sequence with a number that is NaN",
    seen="`the loss is nan at step ... (epoch 1, batch ...): the batch itself has nan as input (sequence ..., step 2, "
    "feature 3, counted from 1); no checkpoint was kept yet`; exit code 1",
    lost="what was trained since the last checkpoint; no spoilt weights are kept",
)
def test_a_loss_that_is_not_finite_ends_the_training(command: Command, seen: Seen, plugins: tuple[str, str]) -> None:
    result = command("fit", *plugins, "--data=Spoilt", "--model.hidden_size=8", "--trainer.max_epochs=1")
    assert result.code == 1
    seen(result.err)
    assert not list(Path("runs").glob("*/*/checkpoints/*"))


@fault(
    what="A training that diverges",
    injected="`--optimizer SGD --optimizer.lr 1e30` after a good epoch",
    seen="`at step ... (epoch 2, batch ...)` and `the last good checkpoint is ...last.ckpt (epoch 1)`; exit code 1",
    lost="the epoch",
)
def test_a_training_that_diverges_ends_with_what_was_kept(command: Command, seen: Seen) -> None:
    schedule = ("--lr_scheduler=StepLR", "--lr_scheduler.step_size=1", "--lr_scheduler.gamma=1e38")
    result = command("fit", *SMALL, "--optimizer=SGD", "--optimizer.lr=0.1", *schedule)
    assert result.code == 1
    seen(result.err)
