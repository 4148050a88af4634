"""Texts longer than the memory: under a limit that reading them whole would break."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.helpers import one_mistake
from tests.conftest import Command

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is one of Linux")

MIB = 1 << 20
LINES = "lines"
ONE_LINE = "one line"
NO_SPACES = "no spaces"
CHINESE = "Chinese without spaces"
NEW_WORDS = "always new words"

IN_A_PROCESS = """
import resource, sys
from pathlib import Path
from rnn_lightning import NextWord
data = NextWord(sys.argv[1], unit=sys.argv[2], num_steps=16)
status = Path("/proc/self/status").read_text()
limit = int(status.split("VmData:")[1].split()[0]) * 1024 + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
data.prepare_data()
data.setup("fit")
for data.streams in (False, True):
    for loader in (data.train_dataloader(), data.val_dataloader()):
        batch = next(iter(loader))
print(data.summary())
"""


def _write(path: Path, kind: str, size: int) -> None:
    """A text of about this many bytes: some words often, many seldom."""
    if kind == NEW_WORDS:
        path.write_text(" ".join(f"w{number * 2654435761 % 2**32:x}" for number in range(size // 10)))
        return
    random = np.random.default_rng(0)
    letters = "".join(map(chr, range(0x4E00, 0x5E00))) if kind == CHINESE else "etaoinshrdlcumwfgypbvk"
    alphabet = np.array(list(letters))
    shortest, longest = (1, 3) if kind == CHINESE else (2, 10)
    words = ["".join(random.choice(alphabet, random.integers(shortest, longest))) for _ in range(20_000)]
    between = {LINES: " ", ONE_LINE: " ", NO_SPACES: "", CHINESE: ""}[kind]
    ends = {LINES: ".\n", ONE_LINE: ". ", NO_SPACES: ".", CHINESE: "。"}[kind]
    often = 1 / np.arange(1, len(words) + 1)
    block = "".join(
        words[word] + (between if number % 12 else ends)
        for number, word in enumerate(random.choice(len(words), 400_000, p=often / often.sum()))
    ).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)


@pytest.fixture
def text(tmp_path: Path) -> Iterator[Path]:
    """Where a text goes, which is gone after the test: pytest keeps folders of some runs."""
    path = tmp_path / "long.txt"
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("kind", "unit", "size", "limit"),
    [
        (LINES, "character", 64 * MIB, 40 * MIB),
        (CHINESE, "character", 64 * MIB, 40 * MIB),
        (LINES, "word", 32 * MIB, 80 * MIB),
        (NO_SPACES, "word", 32 * MIB, 80 * MIB),
    ],
)
def test_a_text_takes_less_memory_than_splitting_it_as_a_whole(
    text: Path, kind: str, unit: str, size: int, limit: int
) -> None:
    _write(text, kind, size)
    assert _count(text, unit, limit) > size // 50  # where tokens are longest


def test_a_different_word_takes_some_two_hundred_bytes(text: Path) -> None:
    _write(text, NEW_WORDS, 8 * MIB)
    assert _count(text, "word", 60 * MIB + 200 * (8 * MIB // 10)) == 8 * MIB // 10


def _count(text: Path, unit: str, limit: int) -> int:
    """The tokens of a text that a process prepares and makes batches of, with so much more memory than at first."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, str(text), unit, str(limit)],
        env={**os.environ, "RAYON_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:train|valid|test)", done.stdout))


FEW_STEPS = (
    *("--trainer.max_epochs=1", "--trainer.limit_train_batches=20", "--trainer.limit_val_batches=5"),
    "--trainer.check_val_every_n_epoch=1",
)


def test_a_text_that_is_kept_on_disk_is_trained_on_tested_and_generated_from(
    text: Path, command: Command, cache: Path
) -> None:
    _write(text, LINES, 5 * MIB)
    small = ("--model.hidden_size=8", "--model.embedding_size=8", "--data.vocab_size=50")
    trained = command("fit", "--config=next_word.yaml", f"--data.path={text}", *small, *FEW_STEPS)
    assert trained.code == 0, trained.err
    assert "Reading long.txt and splitting it into tokens (once)" in trained.err
    tested = command("test")
    assert "test_perplexity" in tested.out
    assert "Reading" not in tested.err
    shutil.rmtree(cache)  # the checkpoint needs neither text nor cache
    assert command("generate", "--prompt=?", "--length=5").code == 0


def test_a_cache_folder_that_cannot_be_written_is_told_in_a_line(text: Path, command: Command, cache: Path) -> None:
    _write(text, LINES, 5 * MIB)
    cache.parent.touch()  # a file where the folder would be: nothing can be written there
    one_mistake(
        command("fit", "--config=next_word.yaml", f"--data.path={text}"), "cannot write the cache folder", "XDG"
    )
    assert not list(Path().iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "unit"),
    [(LINES, "word"), (ONE_LINE, "word"), (CHINESE, "word")],
)
def test_two_gibibytes_train_under_a_limit_of_one(
    text: Path, kind: str, unit: str, program: str, workplace: Path, cache: Path
) -> None:
    """The limit is on the whole process, of which torch and the model take a part."""
    _write(text, kind, 2048 * MIB)

    def fit() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "fit", "--config=next_word.yaml", f"--data.path={text}", f"--data.unit={unit}", *FEW_STEPS],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (1024 * MIB, 1024 * MIB)),
            capture_output=True,
            text=True,
            check=False,
            timeout=7200,
        )

    first, second = fit(), fit()
    shutil.rmtree(cache)
    for done in (first, second):
        assert done.returncode == 0, done.stderr
        assert "val_loss" in done.stdout
    assert "Reading long.txt" in first.stderr
    assert "Reading long.txt" not in second.stderr
