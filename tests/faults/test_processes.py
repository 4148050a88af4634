"""Several processes that do not find each other, or lose each other."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from rnn_lightning import SequenceClassifier
from rnn_lightning.cli import main
from tests.cli.helpers import files, one_mistake, only_run
from tests.conftest import SMALL, Result
from tests.faults import fault
from tests.many import as_torchrun, forked

TWO = ("--trainer.accelerator=cpu", "--data.batch_size=32")
Seen = Callable[[str], None]


def _lost(result: Result) -> None:
    """Holds a process to have ended in a line, as one that others have left alone."""
    assert result.code == 1, result
    assert "Traceback" not in result.err
    assert result.err.count("rnn-lightning: another process of this job has ended") == 1


@fault(
    "one of several processes is killed while the others train",
    "SIGKILL to the second of two processes when its second epoch begins",
    "`rnn-lightning: another process of this job has ended or cannot be reached`, exit code 1; torchrun, or the "
    "command where it has started the processes itself, ends the others",
    "the epoch: `fit --resume` goes on from the last checkpoint",
)
def test_a_process_is_killed(workplace: Path, tmp_path: Path, seen: Seen) -> None:
    def work(rank: int) -> int:
        if rank == 1:
            SequenceClassifier.on_train_epoch_start = lambda self: (
                self.current_epoch
                and os.kill(  # type: ignore[method-assign]
                    os.getpid(), signal.SIGKILL
                )
            )
        return main(["fit", *SMALL, *TWO])

    first, second = forked(work, [as_torchrun(rank, 2) for rank in range(2)], tmp_path)
    assert second.code == -signal.SIGKILL
    _lost(first)
    seen(first.err)
    assert (only_run() / "checkpoints" / "last.ckpt").is_file()
    assert main(["fit", "--resume"]) == 0


@fault(
    "the port is taken where the processes are to meet",
    "another program listens at MASTER_PORT",
    "`rnn-lightning: the port ... is taken, where the processes are to meet: MASTER_PORT names another one`, "
    "exit code 2",
    "nothing; no run folder stays",
)
def test_the_port_is_taken(workplace: Path, tmp_path: Path, seen: Seen) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        there = {**as_torchrun(0, 2), "MASTER_PORT": str(other.getsockname()[1])}
        (first,) = forked(lambda rank: main(["fit", *SMALL, *TWO]), [there], tmp_path)
    assert first.code == 2, first
    assert "Traceback" not in first.err
    seen(first.err)
    assert not Path("runs").exists()


@fault(
    "the validation or test part has fewer sequences than there are processes",
    "one validation sequence for two processes",
    "`rnn-lightning: the validation part has 1 sequence, too few for 2 processes: give fewer --trainer.devices`, "
    "exit code 2. For training fewer are enough: the processes that have none wait",
    "nothing; no run folder stays",
)
def test_there_are_fewer_sequences_than_processes(workplace: Path, tmp_path: Path, seen: Seen) -> None:
    environments = [as_torchrun(rank, 2) for rank in range(2)]
    results = forked(lambda rank: main(["fit", *SMALL, *TWO, "--data.num_val=1"]), environments, tmp_path)
    for result in results:
        seen(one_mistake(result))
    assert not Path("runs").exists()


@fault(
    "the validation part is empty",
    "a table for validation that has a header and no rows, two processes",
    "`rnn-lightning: ...val.csv has no rows`, exit code 2",
    "nothing; no run folder stays",
)
def test_the_validation_part_is_empty(workplace: Path, tmp_path: Path, seen: Seen) -> None:
    Path("train.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 9)
    Path("val.csv").write_text("text,label\n")
    words = ["--data=TextFiles", "--data.path=train.csv", "--data.val_path=val.csv", *TWO]
    first, second = forked(lambda rank: main(["fit", *words]), [as_torchrun(rank, 2) for rank in range(2)], tmp_path)
    assert second.code in (1, 2)
    seen(one_mistake(first))
    assert not Path("runs").exists()


@fault(
    "one of several machines does not have the data",
    "two processes as on two machines, each with a working folder of its own, the file in one alone",
    "on that machine `rnn-lightning: texts.csv does not exist`, exit code 2; on the others `another process of this "
    "job has ended or cannot be reached`",
    "nothing; no run folder stays",
)
def test_a_node_lacks_the_data(workplace: Path, tmp_path: Path, seen: Seen) -> None:
    def work(rank: int) -> int:
        os.chdir(f"node{rank}")
        return main(["fit", "--data=TextFiles", "--data.path=texts.csv", *TWO])

    for rank in range(2):
        Path(f"node{rank}").mkdir()
    Path("node0/texts.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 20)
    first, second = forked(work, [as_torchrun(rank, 2, nodes=2) for rank in range(2)], tmp_path)
    seen(one_mistake(second) + first.err)
    _lost(first)
    assert files(Path("node0")) == ["texts.csv"]
