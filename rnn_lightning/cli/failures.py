"""Why a training ended that the system no longer served: no room on the disk, no memory, a process that is gone."""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.memory import is_oom_error

from rnn_lightning.callbacks.at_work import AtWork
from rnn_lightning.cli import plugins
from rnn_lightning.cli.errors import from_here, in_plugin
from rnn_lightning.cli.resume import CHECKPOINTS
from rnn_lightning.tasks.loading import read_checkpoint

_REMEDIES = {
    errno.ENOSPC: "Make room there",
    errno.EDQUOT: "Make room there",
    errno.EROFS: "Make it writable",
    errno.EACCES: "Make it writable",
    errno.EMFILE: "Allow more open files (ulimit -n)",
    errno.ENFILE: "Allow more open files",
    errno.EFBIG: "Allow larger files (ulimit -f)",
    errno.EIO: "See to that disk",
}
_WORKER = re.compile(r"DataLoader worker \(pid.*\) (is killed by signal: (?P<signal>[\w ]+)|exited unexpectedly)")
_ASKED = re.compile(r"tried to allocate ([\d.]+ ?\w*)", re.IGNORECASE)


def failure(error: Exception, trainer: Trainer) -> str | None:
    """What the system refused to a training, where it was, and how to go on; None for an error of another kind."""
    if isinstance(error, OSError):
        if error.errno == errno.EMFILE:
            _allow_a_few_files()
        if in_plugin(error):
            return None  # then the line of its code is what helps
        what, remedy = _of_files(error, trainer)
    elif isinstance(error, MemoryError | torch.OutOfMemoryError) or is_oom_error(error):
        what, remedy = _of_memory(error, trainer)
    elif match := _WORKER.match(str(error)):
        what, remedy = _of_workers(match, trainer)
    else:
        return None
    run = Path(trainer.default_root_dir)
    place = f"after step {trainer.global_step:,}, epoch {trainer.current_epoch + 1}"
    kept = _last_good(run)
    if kept is None:
        return f"{what} ({place}); no checkpoint was kept\n{remedy}"
    words = " ".join(("rnn-lightning fit --resume", str(run), *plugins.words()))
    return f"{what} ({place}); the last good checkpoint is {kept}\n{remedy}. To go on: {words}"


def _of_files(error: OSError, trainer: Trainer) -> tuple[str, str]:
    run = Path(trainer.default_root_dir)
    if not run.is_dir():
        return f"the run folder {run} is gone", "What was in it cannot be brought back"
    name = error.filename2 or error.filename
    place = f"something that {run} needs" if name is None else from_here(str(name))
    return f"{place}: {error.strerror or error}", _REMEDIES.get(error.errno or 0, "Look at what is there")


def _allow_a_few_files(more: int = 64) -> None:
    """What is to be said of the training stands in files."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft + more, hard), hard))


def _of_memory(error: Exception, trainer: Trainer) -> tuple[str, str]:
    asked = _ASKED.search(str(error))
    size = f", {_in_words(asked[1])} more were asked for" if asked else ""
    callbacks: list[Callback] = getattr(trainer, "callbacks", [])  # the Trainer sets them, and does not declare them
    batch = next((callback.batch for callback in callbacks if isinstance(callback, AtWork)), "")
    if not batch:
        remedy = "A smaller --model.hidden_size or --data.batch_size needs less"
        return f"the memory does not hold the model and its data{size}", remedy
    data = getattr(trainer, "datamodule", None)
    options = [name for name in ("batch_size", "max_length") if getattr(data, name, None) is not None]
    lower = " or ".join(f"--data.{name} (now {getattr(data, name)})" for name in options)
    return (
        f"the memory does not hold {batch}{size}",
        f"Lower {lower or 'the size of a batch'}; rnn-lightning find-batch-size tries what fits",
    )


def _of_workers(match: re.Match[str], trainer: Trainer) -> tuple[str, str]:
    number = getattr(getattr(trainer, "datamodule", None), "num_workers", 0)
    how = f" ({match['signal'].strip()})" if match["signal"] else ""
    return (
        f"a process that prepares batches has died{how}, as for want of memory or of shared memory (/dev/shm)",
        f"Lower --data.num_workers (now {number}); 0 needs no such process",
    )


def _last_good(run: Path) -> str | None:
    """The newest whole checkpoint of a run, with its epoch."""
    for part in CHECKPOINTS:
        with suppress(ValueError, OSError):
            return f"{run / part} (epoch {read_checkpoint(run / part)['epoch'] + 1})"
    return None


def _in_words(asked: str) -> str:
    """Bytes, as torch's allocator for CPUs counts them; that for GPUs has a unit already."""
    if not asked.endswith("bytes"):
        return asked
    megabytes = int(asked.split(maxsplit=1)[0]) / 1e6
    return f"{megabytes / 1000:,.1f} GB" if megabytes >= 1000 else f"{megabytes:,.0f} MB"
