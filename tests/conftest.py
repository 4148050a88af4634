"""What the tests of tasks, callbacks and command share: the command itself, and small runs that it trained."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import forks
from tests.archives import members, pack

SMALL = (
    *("--model.hidden_size=8", "--data.num_train=300", "--data.num_val=100", "--data.num_test=90"),
    "--trainer.max_epochs=2",
)
"""Options of a training that takes a second."""
SMALL_REVIEWS = ("--config", "imdb.yaml", "--model.hidden_size=8", "--model.embedding_size=8", "--data.vocab_size=40")

_ENVIRONMENT = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "RNN_LIGHTNING_RUN", "RNN_LIGHTNING_DATA", "RNN_LIGHTNING_DEBUG")


_NOT_OURS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"`LightningModule.configure_optimizers` returned `None`",
    r"\s*By default only one JsonargparseDeprecationWarning",
    r"\s*``instantiate_classes`` was deprecated",
    r"\s*skip_none parameter was deprecated",
    r"Detected pickle protocol 4 in the checkpoint",
    r"Found \d+ module\(s\) in eval mode at the start of training",
)
"""Warnings of libraries, about themselves or about what a test does on purpose."""


def pytest_configure(config: pytest.Config) -> None:
    """Keeps what nobody here can mend out of the summary."""
    for message in _NOT_OURS:
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first: the cores then have their end together."""
    items.sort(key=lambda item: item.path.name not in ("test_readme.py", "test_docs.py"))


class Result(NamedTuple):
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with a cache folder of its own and nothing set in the environment."""
    _clean(monkeypatch, tmp_path / "cache")
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command inside this process, in the working directory of the test; warnings go to standard error."""
    from rnn_lightning.cli import main

    def run(*argv: object) -> Result:
        capsys.readouterr()
        own_log = logging.getLogger("rnn_lightning")
        own_log.handlers.clear()  # those of an earlier call write to where standard error was then
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("default")
            try:
                code = main([str(word) for word in argv])
            except SystemExit as stop:  # --help and --print_config end so
                code = int(stop.code or 0)
        own_log.handlers.clear()
        own_log.setLevel(logging.NOTSET)
        out, err = capsys.readouterr()
        shown = [w for w in seen if not issubclass(w.category, (DeprecationWarning, PendingDeprecationWarning))]
        return Result(code, out, err + "".join(warnings.formatwarning(*_where(w)) for w in shown))

    return run


@pytest.fixture(scope="session")
def program() -> str:
    """The installed command, beside the Python that runs the tests."""
    found = shutil.which("rnn-lightning", path=str(Path(sys.executable).parent))
    assert found is not None, "the package is not installed: pip install --editable ."
    return found


@pytest.fixture(scope="session")
def forked(program: str) -> Iterator[Path]:
    """The command without its start-up, for tests that are about what it does: see `tests.forks`."""
    with tempfile.TemporaryDirectory() as folder, forks.program(Path(folder), program) as client:
        yield client


@pytest.fixture
def installed(workplace: Path, forked: Path) -> Command:
    """Runs the command as a process of its own, in the working directory of the test."""

    def run(*argv: object, given: str | None = None, seconds: int = 300) -> Result:
        return _run([str(forked), *map(str, argv)], given, seconds)

    return run


@pytest.fixture
def python(workplace: Path) -> Command:
    """Runs lines of Python in a fresh process, in the working directory of the test."""

    def run(code: str, *argv: object) -> Result:
        # To go through all that torch is made of, in search of garbage, takes a third of such a process.
        return _run([sys.executable, "-c", f"import gc; gc.disable()\n{code}", *map(str, argv)])

    return run


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty film reviews, packed as the original."""
    return pack(tmp_path_factory.mktemp("archive") / "small.tar.gz", members())


@pytest.fixture(scope="session")
def _feature_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _train(tmp_path_factory.mktemp("features"), *SMALL)


@pytest.fixture(scope="session")
def _review_runs(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    return _train(tmp_path_factory.mktemp("reviews"), *SMALL_REVIEWS, f"--data.path={archive}")


@pytest.fixture
def feature_run(_feature_runs: Path, workplace: Path) -> Path:
    """A run on synthetic sequences, in the runs/ of this test."""
    return _copied(_feature_runs)


@pytest.fixture
def review_run(_review_runs: Path, workplace: Path) -> Path:
    """A run on film reviews, in the runs/ of this test."""
    return _copied(_review_runs)


def _where(warning: warnings.WarningMessage) -> tuple[Any, ...]:
    return warning.message, warning.category, warning.filename, warning.lineno


def _run(words: list[str], given: str | None = None, seconds: int = 300) -> Result:
    done = subprocess.run(
        words, check=False, input=given, capture_output=True, text=True, encoding="utf-8", timeout=seconds
    )
    return Result(done.returncode, done.stdout, done.stderr)


PLUGIN = '''
import torch
from rnn_lightning import RecurrentLayer, SequenceClassifier, SequenceTask, SyntheticSequences

class Leaky(RecurrentLayer):
    def __init__(self, input_size, hidden_size, keep=0.5):
        super().__init__(input_size, hidden_size)
        self.keep = keep
        self.weight = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x_t, state=None):
        (h,) = self.begin(x_t, state)
        h = self.keep * h + torch.tanh(self.weight(torch.cat((x_t, h), 1)))
        return h, (h,)

class LongSequences(SyntheticSequences):
    name = "long"

class SlowClassifier(SequenceClassifier):
    pass

class MeanOfSteps(SequenceTask):
    """A task with no recurrent layer, and hyper-parameters of its own."""

    def __init__(self, bias: bool = True, input_size: int | None = None):
        super().__init__()
        self.save_hyperparameters(logger=False)
        if input_size is not None:
            self.build()

    def sizes(self, facts):
        return {"input_size": facts.input_size}

    def build(self):
        self.head = torch.nn.Linear(self.hparams["input_size"], 1, bias=self.hparams["bias"])

    def forward(self, inputs, lengths=None):
        return self.head(inputs.mean(1)).squeeze(1)

    def predict_text(self, texts):
        raise ValueError("this model reads no text")

    def _score(self, name, batch):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self(batch.inputs), batch.targets.float())
        self.log(name, loss, on_epoch=True, on_step=False, batch_size=len(batch.targets))
        return loss

    def training_step(self, batch, batch_idx):
        return self._score("train_loss", batch)

    def validation_step(self, batch, batch_idx):
        self._score("val_loss", batch)

    def test_step(self, batch, batch_idx):
        self._score("test_loss", batch)
'''
_ENTRY_POINTS = """
[rnn_lightning.layers]
leaky = leaky_rnn:Leaky
lstm = leaky_rnn:Leaky
[rnn_lightning.data]
LongSequences = leaky_rnn:LongSequences
[rnn_lightning.tasks]
SlowClassifier = leaky_rnn:SlowClassifier
MeanOfSteps = leaky_rnn:MeanOfSteps
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package, leaky-rnn, with a layer, a task and a data set: its folder, on sys.path."""
    site = tmp_path / "site"
    metadata = site / "leaky_rnn-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "leaky_rnn.py").write_text(PLUGIN, "utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky-rnn\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(_ENTRY_POINTS, "utf-8")
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("leaky_rnn", None)


def _train(folder: Path, *options: str) -> Path:
    from rnn_lightning.cli import main

    with pytest.MonkeyPatch.context() as patch:
        _clean(patch, folder / "cache")
        patch.chdir(folder)
        assert main(["fit", *options]) == 0
    return folder / "runs"


def _copied(runs: Path) -> Path:
    shutil.copytree(runs, "runs", dirs_exist_ok=True)
    (run,) = runs.glob("*/*")
    return Path("runs") / run.relative_to(runs)


def _clean(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """Nothing of the user's settings; what the command sets is gone after the patch is undone."""
    for name in _ENVIRONMENT:
        patch.setenv(name, "")  # so that the patch takes away at its end what the command sets
        patch.delenv(name)
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.setenv("OMP_NUM_THREADS", "1")  # for the processes that a test starts
