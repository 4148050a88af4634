"""A small run of a language model, beside those that tests/conftest.py trains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import _train

SMALL_LANGUAGE = ("--config", "rnn.yaml", "--config", "next_word.yaml", "--model.hidden_size", "8")


@pytest.fixture(scope="session")
def _language_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _train(tmp_path_factory.mktemp("language"), *SMALL_LANGUAGE, "--trainer.max_epochs=10")


@pytest.fixture
def language_run(_language_runs: Path, workplace: Path) -> Path:
    """A run on the default sentence, in the runs/ of this test."""
    shutil.copytree(_language_runs, "runs", dirs_exist_ok=True)
    (run,) = _language_runs.glob("*/*")
    return Path("runs") / run.relative_to(_language_runs)
