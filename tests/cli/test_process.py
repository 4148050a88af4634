"""What the command sets for its process: denormal numbers, threads, precision, and what it does not import."""

from __future__ import annotations

import io
import os
import platform
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

from rnn_lightning.cli import configs, process
from rnn_lightning.cli.app import FitCommand
from tests.conftest import SMALL, Command

TINY = "torch.full((64,), 1e-40).mul(1.0).any().item()"
SET_UP = "import torch; from rnn_lightning.cli.process import set_up; set_up(); "

WORKER = f"""
import torch
from rnn_lightning import Batch, SyntheticSequences, Sequences

class Tiny(Sequences):
    lengths = __import__("numpy").ones(2, int)

    def __getitems__(self, indices):
        return Batch(torch.tensor({TINY}), torch.ones(1))

if __name__ == "__main__":
    from rnn_lightning.cli.process import set_up
    set_up()
    torch.multiprocessing.set_start_method("spawn")  # a new process, that inherits nothing
    data = SyntheticSequences(num_workers=1)
    data.setup("fit")
    data.test = Tiny()
    print([batch.inputs.item() for batch in data.test_dataloader()])
"""


NEW_PAGES = """
import resource

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(min(new_pages() for _ in range(9)))
"""


@pytest.mark.parametrize(("wanted", "kept"), [("", False), ("keep", True)])
def test_numbers_too_small_to_matter_are_zero_unless_they_are_to_be_kept(
    python: Command, monkeypatch: pytest.MonkeyPatch, wanted: str, kept: bool
) -> None:
    monkeypatch.setenv("RNN_LIGHTNING_DENORMALS", wanted)
    assert python(f"{SET_UP} print({TINY})").out == f"{kept}\n"
    Path("worker.py").write_text(WORKER)
    shown = python("import runpy; runpy.run_path('worker.py', run_name='__main__')")
    assert shown.out == f"[{kept}]\n", shown.err


def test_there_are_as_many_threads_as_cores_that_may_be_used(python: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    threads = "print(torch.get_num_threads())"
    assert 1 <= int(python(SET_UP + threads).out) <= len(os.sched_getaffinity(0))
    one = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); "
    assert python(one + SET_UP + threads).out == "1\n"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert python(SET_UP + threads).out == "1\n"


def test_garbage_is_looked_for_after_the_start_unless_the_user_has_turned_it_off(python: Command) -> None:
    shown = python("gc.enable(); " + SET_UP + "print(gc.isenabled()); gc.disable(); set_up(); print(gc.isenabled())")
    assert shown.out == "True\nFalse\n", shown.err


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's way to get memory is changed")
@pytest.mark.parametrize("setting", ["", "MALLOC_ARENA_TEST"])
def test_the_memory_of_a_tensor_is_used_again_unless_the_user_has_set_something(
    python: Command, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    if setting:
        monkeypatch.setenv(setting, "8")
    shown = python(SET_UP + NEW_PAGES)
    assert (int(shown.out) > 0) is bool(setting), shown.err


def test_scipy_is_imported_by_whoever_uses_it_and_not_before(python: Command) -> None:
    later = "import scipy.signal; from scipy import signal; print(signal is scipy.signal, callable(signal.butter))"
    shown = python(f"{SET_UP} import sys; print('scipy.signal' in sys.modules); {later}")
    assert shown.out == "False\nTrue True\n", shown.err


def _optimizer(*options: str) -> Optimizer:
    command = FitCommand("fit", ["--config", str(configs.base()), *SMALL, *options])
    command.trainer = command.instantiate_trainer(logger=False, enable_checkpointing=False)
    command.trainer.strategy.connect(command.model)
    command.model.trainer = command.trainer
    command.datamodule.setup("fit")
    command.model.adopt(command.datamodule.facts)
    found: Any = command.model.configure_optimizers()
    return found if isinstance(found, Optimizer) else found["optimizer"]


@pytest.mark.parametrize(
    ("options", "fused"),
    [
        ((), True),
        (("--optimizer=Adam",), True),
        (("--optimizer.fused=false",), False),
        (("--optimizer.foreach=true",), None),
        (("--optimizer=SGD", "--optimizer.lr=0.1"), None),
        (("--trainer.precision=bf16-mixed",), None),
        (("--trainer.precision=bf16-mixed", "--trainer.gradient_clip_val=null"), True),
    ],
    ids=str,
)
def test_adam_is_one_operation_where_that_can_be(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], fused: bool | None
) -> None:
    monkeypatch.setattr(process, "_cpu_has_bf16", lambda: True)
    assert _optimizer(*options).defaults["fused"] is fused


def test_mixed_precision_trains_with_clipping(command: Command) -> None:
    trained = command("fit", *SMALL, "--trainer.precision=bf16-mixed", "--trainer.gradient_clip_val=1.0")
    assert trained.code == 0, trained.err


@pytest.mark.parametrize(
    ("asked", "accelerator", "gpu", "instructions", "wanted"),
    [
        (None, "auto", False, True, None),
        (None, "auto", True, True, "bf16-mixed"),
        (None, "cpu", True, True, None),
        ("32-true", "auto", True, True, "32-true"),
        ("bf16-mixed", "auto", False, True, "bf16-mixed"),
        ("bf16-mixed", "auto", False, False, "32-true"),
        ("bf16-true", "cpu", True, False, "32-true"),
        ("bf16-mixed", "gpu", True, False, "bf16-mixed"),
        ("16-mixed", "gpu", True, False, "16-mixed"),
        ("16-mixed", "cpu", True, True, "bf16-mixed"),
        ("16-mixed", "auto", False, False, "32-true"),
    ],
)
def test_sixteen_bits_are_taken_where_the_hardware_is_made_for_them(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, accelerator: str, gpu: bool, instructions: bool, wanted: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    monkeypatch.setattr(process, "_cpu_has_bf16", lambda: instructions)
    assert process.fitting_precision(asked, accelerator) == wanted


def test_a_cpu_without_bf16_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_cpu_has_bf16", lambda: False)
    trained = command("fit", *SMALL, "--trainer.precision=bf16-mixed")
    assert trained.code == 0
    assert trained.err == (
        "This CPU has no instructions for bf16 and would emulate it, several times slower: 32 bits are taken\n"
    )


@pytest.mark.parametrize(
    ("is_terminal", "kind", "wanted"),
    [(True, "xterm-256color", True), (True, None, True), (True, "dumb", False), (False, "xterm-256color", False)],
)
def test_bars_are_for_terminals_that_can_draw_over_them(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: str | None, wanted: bool
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.delenv("TERM", raising=False)
    if kind is not None:
        monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr("sys.stdout", Stream())
    assert process.shows_bars() is wanted
