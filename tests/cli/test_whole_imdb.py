"""The whole IMDb archive, trained and tested by the installed command: `make test-slow`."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Command

DATA = os.environ.get("RNN_LIGHTNING_DATA")
NAIVE = Path(__file__).parents[2] / "benchmarks" / "naive_recipe.py"
ARCHIVE = "aclImdb_v1.tar.gz"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        DATA is None or not (Path(DATA) / ARCHIVE).is_file(),
        reason=f"{ARCHIVE} is not in the folder that RNN_LIGHTNING_DATA names",
    ),
]


def test_lstm_on_all_of_imdb_is_right_on_88_percent_of_the_test_reviews_and_its_checkpoint_stands_alone(
    installed: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(DATA))
    trained = installed("fit", "--config", "lstm.yaml", "--config", "imdb.yaml", seconds=1800)
    assert trained.code == 0, trained.err
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    assert peak <= 2.0, f"training took {peak:.2f} GiB"

    assert installed("test", seconds=600).code == 0
    (run,) = Path("runs").glob("lstm-imdb/*")
    assert json.loads((run / "test/metrics.json").read_text())["test_accuracy"] >= 0.88

    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(run / "checkpoints/best.ckpt", alone / "model.ckpt")
    monkeypatch.chdir(alone)
    monkeypatch.delenv("RNN_LIGHTNING_DATA")
    predicted = installed(
        *("predict", "--ckpt_path", "model.ckpt"),
        *("--text", "The worst film of the year, dull and badly acted.", "--text", "Wonderful from beginning to end."),
    )
    assert re.findall(r"^(positive|negative)", predicted.out, re.MULTILINE) == ["negative", "positive"], predicted.err


def test_a_vanilla_rnn_learns_nothing_from_the_last_padded_step_and_much_by_what_is_default_here(
    installed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(DATA))
    naive = subprocess.run(
        [sys.executable, str(NAIVE)], check=True, capture_output=True, text=True, encoding="utf-8", timeout=1800
    )
    (accuracy,) = re.findall(r"test_accuracy ([\d.]+)", naive.stdout)
    assert float(accuracy) < 0.6

    options = ("--config", "rnn.yaml", "--config", "imdb.yaml", "--model.hidden_size=256")
    assert installed("fit", *options, seconds=1800).code == 0
    assert installed("test", seconds=600).code == 0
    (run,) = Path("runs").glob("rnn-imdb/*")
    assert json.loads((run / "test/metrics.json").read_text())["test_accuracy"] >= 0.78
