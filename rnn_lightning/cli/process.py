"""What the command sets for its whole process. Importing the package sets none of it."""

from __future__ import annotations

import atexit
import ctypes
import gc
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

_log = logging.getLogger("rnn_lightning")

_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1
"""Options of mallopt, by their numbers in glibc's malloc.h."""


@contextmanager
def _everything_kept() -> Iterator[None]:
    """Looks for no garbage where nearly everything stays: while torch is imported, and at the end of the process.

    To go through the hundreds of thousands of objects that it is made of takes a third of a short command.
    """
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_everything_kept()
def set_up() -> None:
    """Makes this process fast, and keeps what is not for the user off the screen, each message by its name."""
    import torch

    keep_memory()
    if os.environ.get("RNN_LIGHTNING_DENORMALS") != "keep":
        # A loss on the last state alone makes gradients decay below 1e-38, where a CPU computes several times slower.
        # Set before the first parallel operation, so that every thread has it.
        torch.set_flush_denormal(True)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_cores())
    _import_lightning()
    for name in ("lightning.pytorch", "lightning.fabric"):
        # At a lower level: which accelerators were found, how processes met, advertisements for other products.
        logging.getLogger(name).setLevel(logging.WARNING)
    own = logging.getLogger("rnn_lightning")
    own.setLevel(logging.INFO)
    if not own.handlers:
        own.addHandler(logging.StreamHandler())
    for message, category in _NOT_FOR_THE_USER:
        warnings.filterwarnings("ignore", message, category)


def shows_bars() -> bool:
    """Whether standard output is a terminal, and one that can draw over what stands there."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def fitting_precision(asked: Any, accelerator: Any) -> Any:
    """What to compute with: 16 bits where the hardware is made for it, and nowhere else.

    Args:
        asked: the Trainer's option `precision`; None: whatever is best.
        accelerator: its option `accelerator`.
    """
    import torch

    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if asked is None and on_gpu and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16-mixed"
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if asked == "16-mixed" and on_cpu:
        asked = "bf16-mixed"  # the one kind of 16 bits that CPUs compute with
    if str(asked).startswith("bf16") and on_cpu and not _cpu_has_bf16():
        _log.info("This CPU has no instructions for bf16 and would emulate it, several times slower: 32 bits are taken")
        return "32-true"
    return asked


def _cpu_has_bf16() -> bool:
    import torch

    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _cores() -> int:
    """Cores that this process may use: two hardware threads of one core share its arithmetic, and count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    siblings = set()
    for cpu in os.sched_getaffinity(0):
        place = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings.add(place.read_text() if place.is_file() else str(cpu))
    return len(siblings)


def keep_memory() -> None:
    """Lets the memory of tensors be used again and again.

    Left alone, glibc asks the operating system for the memory of every large tensor and gives it back with the tensor,
    tens of thousands of pages in a training step, each of which has to be found and zeroed anew: half of the step's
    time. Here no tensor has a mapping of its own (M_MMAP_MAX), and nothing is given back (M_TRIM_THRESHOLD).
    """
    chosen_by_the_user = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if platform.libc_ver()[0] == "glibc" and not chosen_by_the_user:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)


def _import_lightning() -> None:
    """Imports it before its loggers are set, since importing it sets them too.

    On the way torchmetrics imports scipy.signal where SciPy is installed, which takes a third of the start-up, only to
    add a function to it that old versions had. Meanwhile a module that has this function stands in its place.
    """
    stands_in = "scipy.signal" not in sys.modules
    if stands_in:
        sys.modules["scipy.signal"] = ModuleType("scipy.signal")
        sys.modules["scipy.signal"].hamming = None  # type: ignore[attr-defined]
    try:
        import lightning.pytorch.cli  # noqa: F401
    finally:
        if stands_in:
            del sys.modules["scipy.signal"]


_NOT_FOR_THE_USER: list[tuple[str, type[Warning]]] = [
    # Lightning calls torch's tree functions in a way that torch 2.13 is about to drop: theirs to mend.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
    # It gathers tensors of several processes in a way that torch will drop: theirs to mend.
    (r"torch\.distributed\.nn\.functional\.all_gather is deprecated", FutureWarning),
    # jsonargparse 5, which is not allowed here, will drop two calls that Lightning 2.6 makes: theirs to mend. The first
    # one comes with a word on how such warnings are shown.
    (r"\s*By default only one JsonargparseDeprecationWarning per type is shown", DeprecationWarning),
    (r"\s*``instantiate_classes`` was deprecated in v4\.49", DeprecationWarning),
    (r"\s*skip_none parameter was deprecated in v4\.49", DeprecationWarning),
    # A cluster's login node has srun, and small things are rightly done without it.
    (r"The `srun` command is available on your system but is not used", UserWarning),
    # A training that goes on in a new run folder keeps its checkpoints there, as it should.
    (r"The dirpath has changed from", UserWarning),
    # A training may go on with other callbacks than it began with, as a dry run does.
    (r"Be aware that when using `ckpt_path`, callbacks used to create the checkpoint need", UserWarning),
    # A training that goes on in its own folder keeps its checkpoints beside those that are there.
    (r"Checkpoint directory .* exists and is not empty", UserWarning),
    # The run folder is this run's alone, whatever another logger has put there.
    (r"Experiment logs directory .* exists and is not empty", UserWarning),
    # Of weights that are averaged: what it says concerns models that are divided over several GPUs.
    (r"You're using the WeightAveraging callback with a model that overrides", UserWarning),
    # It counts steps between logs, and what is logged here is logged by the epoch.
    (r"The number of training batches \(\d+\) is smaller than the logging interval", UserWarning),
]
"""Warnings that a user can do nothing about: how each begins, and its kind."""
