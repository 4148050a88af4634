"""A config, an option or the record of a run has nothing imported that does not belong there: importing is running."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.helpers import one_mistake, only_run, recorded
from tests.conftest import SMALL, Command

ARMED = """\
from pathlib import Path
from lightning.pytorch import Callback

Path("was_run").touch()


class Thing(Callback):
    def on_train_start(self, trainer, pl_module):
        Path("thing_was_made").touch()


def function(*args):
    return 1.0
"""
THING = "armed_module.Thing"


@pytest.fixture(autouse=True)
def _armed(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that could be imported from here, and leaves a file when it is."""
    Path("armed_module.py").write_text(ARMED, "utf-8")
    monkeypatch.syspath_prepend(str(workplace))
    yield
    sys.modules.pop("armed_module", None)


SECTIONS: dict[str, Any] = {
    "model": {"model": {"class_path": THING}},
    "data": {"data": THING},
    "optimizer": {"optimizer": {"class_path": THING, "init_args": {"lr": 1.0}}},
    "lr_scheduler": {"lr_scheduler": THING},
    "checkpoint": {"checkpoint": {"class_path": THING}},
    "early_stopping": {"early_stopping": {"class_path": THING}},
    "callback": {"trainer": {"callbacks": [{"class_path": "DeviceStatsMonitor"}, {"class_path": THING}]}},
    "further callback": {"trainer": {"callbacks+": {"class_path": THING}}},
    "logger": {"trainer": {"logger": {"class_path": THING}}},
    "profiler": {"trainer": {"profiler": {"class_path": THING}}},
    "strategy": {"trainer": {"strategy": {"class_path": THING}}},
    "accelerator": {"trainer": {"accelerator": {"class_path": THING}}},
    "plugin": {"trainer": {"plugins": [{"class_path": THING}]}},
    "function of a schedule": {
        "lr_scheduler": {"class_path": "LambdaLR", "init_args": {"lr_lambda": "armed_module.function"}}
    },
    "function of a callback": {
        "trainer": {"callbacks": {"class_path": "LambdaCallback", "init_args": {"on_fit_start": "os.system"}}}
    },
    "function by way of a module that is allowed": {
        "trainer": {
            "callbacks": {
                "class_path": "LambdaCallback",
                "init_args": {"on_fit_start": "lightning.pytorch.loggers.csv_logs.os.system"},
            }
        }
    },
    "class in the options of a class": {
        "trainer": {
            "logger": {"class_path": "TensorBoardLogger", "init_args": {"save_dir": "x"}},
            "strategy": {"class_path": "DDPStrategy", "init_args": {"checkpoint_io": {"class_path": THING}}},
        }
    },
    "all of torch": {"optimizer": {"class_path": "torch.hub.load", "init_args": {"repo_or_dir": "x"}}},
    "our own command": {"data": "rnn_lightning.cli.app.Command"},
    "our own program": {"data": "rnn_lightning.__main__.main"},
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_config_names_no_code_of_others(name: str, command: Command) -> None:
    Path("theirs.yaml").write_text(yaml.safe_dump(SECTIONS[name]), "utf-8")
    said = one_mistake(command("fit", "--config=theirs.yaml"), "is not imported", "--allow-imports")
    assert "by way" in name or "theirs.yaml, line " in said
    assert not Path("was_run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("fit", f"--model={THING}"),
        ("fit", f"--model.class_path={THING}"),
        ("fit", f"--trainer.callbacks+={THING}"),
        ("fit", f"--model.help={THING}"),
        ("fit", "--lr_scheduler=LambdaLR", "--lr_scheduler.lr_lambda=armed_module.function"),
        ("baseline", f"--data={THING}"),
        # An error that stands elsewhere has nothing imported either, when it is explained.
        ("fit", "--config=theirs.yaml", "--data=Parity", "--optimizer.lrr=1"),
        ("fit", "--config=theirs.yaml", "--data=Parity", "--data.length=null"),
    ],
    ids=" ".join,
)
def test_nor_does_an_option(words: tuple[str, ...], command: Command) -> None:
    Path("theirs.yaml").write_text(f"data: {THING}\n", "utf-8")
    one_mistake(command(*words))
    assert not Path("was_run").exists()


def test_nor_does_the_record_of_a_run(command: Command, feature_run: Path) -> None:
    config = recorded(feature_run)
    (feature_run / "config.yaml").write_text(yaml.safe_dump({**config, "data": {"class_path": THING}}), "utf-8")
    for words in (("test",), ("validate",), ("predict",), ("fit", "--resume"), ("report",), ("list", "runs")):
        result = command(*words)
        assert "Traceback" not in result.err
        assert not Path("was_run").exists()
    said = one_mistake(command("test"), f"'{THING}' is not imported")
    assert f"{feature_run / 'config.yaml'}, line " in said


def test_a_config_is_not_fetched_from_an_address(command: Command) -> None:
    one_mistake(command("fit", "--data=http://localhost:9/data.yaml"), "data wants a class")
    one_mistake(command("fit", "--config=http://localhost:9/data.yaml"), "no config 'http://localhost:9/data.yaml'")
    one_mistake(command("fit", "--data=memory://data.yaml"), "data wants a class")


def test_only_the_command_line_lifts_it_and_says_what_is_run(command: Command) -> None:
    callback = f"--trainer.callbacks={THING}"
    result = command("fit", "--allow-imports", callback, *SMALL)
    assert result.code == 0, result.err
    said = f"rnn-lightning: --allow-imports: importing {THING}, which runs the code of its module"
    assert result.err.splitlines().count(said) == 1
    assert Path("thing_was_made").exists()
    assert "Next: rnn-lightning test --allow-imports" in result.out
    assert THING in (only_run() / "config.yaml").read_text("utf-8")
    assert command("test").code == 0, "a test takes no callbacks from a run"
    one_mistake(command("fit", callback), f"trainer.callbacks: '{THING}' is not imported")
    Path("theirs.yaml").write_text("allow_imports: true\n", "utf-8")
    one_mistake(command("fit", "--config=theirs.yaml"), "there is no section 'allow_imports'")
    one_mistake(command("fit", "--allow-imports=true"), "--allow-imports takes no value, not even 'true'")


def test_what_belongs_there_is_taken_by_its_whole_name(command: Command) -> None:
    content = {
        "model": {"class_path": "rnn_lightning.SequenceClassifier"},
        "data": {"class_path": "rnn_lightning.data.parity.Parity"},
        "optimizer": {"class_path": "torch.optim.adamw.AdamW"},
        "lr_scheduler": {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 3}},
        "trainer": {
            "callbacks": [
                {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"},
                {"class_path": "rnn_lightning.callbacks.GradientProbe"},
            ],
            "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "logs"}},
            "profiler": {"class_path": "lightning.pytorch.profilers.SimpleProfiler"},
            "strategy": {"class_path": "lightning.pytorch.strategies.SingleDeviceStrategy"},
            "plugins": [{"class_path": "lightning.pytorch.plugins.environments.LightningEnvironment"}],
        },
    }
    Path("mine.yaml").write_text(yaml.safe_dump(content), "utf-8")
    result = command("fit", "--config=mine.yaml", "--print_config")
    assert result.code == 0, result.err
    assert "SimpleProfiler" in result.out
