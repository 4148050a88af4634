"""The shipped configs: each opens with what it is, and says nothing that is another's to say."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnn_lightning.cli import configs, sweep_space
from rnn_lightning.cli.app import FitCommand

SHAPE = {"cell", "hidden_size", "num_layers", "bidirectional", "residual", "prenorm", "projection_size", "cell_options"}
"""What an architecture decides, and no task."""


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((configs.folder() / name).read_text("utf-8"))
    return content


TASKS = [name for name in configs.shipped() if name != "base.yaml" and "data" in _read(name)]
SWEEPS = [name for name in configs.shipped() if "sweep" in _read(name)]
ARCHITECTURES = [name for name in configs.shipped() if name not in ("base.yaml", *TASKS, *SWEEPS) and "/" not in name]
"""Those in folders, presets/ for one, are neither."""

LOGGERS = {f"presets/{name}.yaml": name for name in ("tensorboard", "wandb", "mlflow")}
"""Presets that need a package, and its name."""

KINDS = [f"{name}.yaml" for name in ("adding", "copy_memory", "digits", "parity", "selective_copy", "temporal_order")]
"""Tasks for any architecture, in one direction or both."""


def test_the_shipped_configs_are_found() -> None:
    names = (
        *(
            "rnn",
            "lstm",
            "gru",
            "rnn_ln",
            "lstm_ln",
            "gru_ln",
            "mingru",
            "minlstm",
            "qrnn",
            "sru",
            "slstm",
            "transformer",
        ),
        *("bilstm", "sru", "stacked_lstm", "stacked_mingru"),
    )
    assert {f"{name}.yaml" for name in names} <= set(ARCHITECTURES)
    assert set(TASKS) >= {"imdb.yaml", *KINDS}


@pytest.mark.parametrize("name", configs.shipped())
def test_a_config_opens_with_a_comment(name: str) -> None:
    first = (configs.folder() / name).read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 10
    assert len(first) <= 120


@pytest.mark.parametrize("name", configs.shipped())
def test_a_config_holds_known_sections_only(name: str) -> None:
    assert set(_read(name)) <= set(configs.SECTIONS)
    assert configs.read(configs.folder() / name) == _read(name)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_says_cell_sizes_and_direction_and_nothing_else(name: str) -> None:
    assert set(_read(name)) == {"model"}
    assert set(_read(name)["model"]) == {"init_args"}
    options = _read(name)["model"]["init_args"]
    assert {"cell", "hidden_size"} <= set(options) <= SHAPE
    assert "cell" in options


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_nothing_of_the_layers(name: str) -> None:
    content = _read(name)
    assert {"model", "data"} <= set(content)
    assert set(content["model"]) == {"class_path", "init_args"}
    assert not set(content["model"]["init_args"]) & SHAPE
    assert set(content["data"]) <= {"class_path", "init_args"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["imdb.yaml", *KINDS])
def test_architecture_and_task_mean_the_same_in_either_order(architecture: str, task: str, workplace: Path) -> None:
    def parsed(*names: str) -> dict[str, Any]:
        words = [word for name in ("base.yaml", *names) for word in ("--config", str(configs.resolve(name)))]
        content: dict[str, Any] = FitCommand("fit", words).config.as_dict()
        return {section: value for section, value in content.items() if section != "config"}

    config = parsed(architecture, task)
    assert config == parsed(task, architecture)
    for section, name in (("model", architecture), ("model", task), ("data", task)):
        for option, value in _read(name)[section]["init_args"].items():
            assert config[section]["init_args"][option] == value


def test_the_base_lies_under_everything() -> None:
    content = _read("base.yaml")
    assert content["model"] == {"class_path": "SequenceClassifier", "init_args": {"cell": "lstm", "hidden_size": 128}}
    assert content["data"] == {"class_path": "SyntheticSequences"}
    assert content["seed_everything"] == 1234


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_says_what_is_searched_and_nothing_of_the_training(name: str, workplace: Path) -> None:
    assert set(_read(name)) == {"sweep"}
    words = [f"--config={configs.resolve(name)}"]
    section = sweep_space.read(words)
    command = sweep_space.check(section, sweep_space.without_section(words))
    assert command.config.model.init_args.hidden_size == section.space["model.hidden_size"][0]


@pytest.mark.parametrize("name", [name for name in configs.shipped() if name not in SWEEPS])
def test_a_config_is_understood_by_the_command(name: str, workplace: Path) -> None:
    if name in LOGGERS and find_spec(LOGGERS[name]) is None:
        pytest.skip(f"{LOGGERS[name]} is not installed")
    words = ["--config", str(configs.base()), "--config", str(configs.resolve(name))]
    command = FitCommand("fit", words)
    given = _read(name)
    for section in ("model", "data", "optimizer", "lr_scheduler"):
        if isinstance(given.get(section), str):  # a class as it comes
            assert command.config[section].class_path.rpartition(".")[2] == given.pop(section)
        if section in given and given[section] is None:
            assert command.config[section] is None
            given.pop(section)
        for option, value in (given.get(section, {}).get("init_args") or {}).items():
            parsed = command.config[section].init_args[option]
            assert (list(parsed) if isinstance(parsed, tuple) else parsed) == value, option
    for option, value in given.get("trainer", {}).items():
        if option.endswith("+"):
            added = command.config.trainer[option.removesuffix("+")]
            assert [thing.class_path.rpartition(".")[2] for thing in added] == [thing["class_path"] for thing in value]
        else:
            assert command.config.trainer[option] == value
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "architecture"),
    [(name, name.removesuffix(".yaml")) for name in ARCHITECTURES],
)
def test_an_architecture_is_called_as_its_config(name: str, architecture: str) -> None:
    from rnn_lightning.cli.runs import architecture as called

    assert called(_read(name)["model"]) == architecture


@pytest.mark.parametrize("name", ["lstm", "presets/gradients"])
@pytest.mark.parametrize("end", ["", ".yaml"])
def test_a_name_is_looked_up_among_the_shipped_ones(name: str, end: str, workplace: Path) -> None:
    assert configs.resolve(f"{name}{end}") == configs.folder() / f"{name}.yaml"


PRESETS = [name for name in configs.shipped() if name.startswith("presets/")]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_nothing_of_model_or_data_and_adds_to_what_others_say(name: str) -> None:
    assert not {"model", "data"} & set(_read(name))
    assert not {"callbacks", "logger"} & set(_read(name).get("trainer", {}))


def _parsed(*names: str) -> dict[str, Any]:
    words = [word for name in names for word in ("--config", name)]
    command = FitCommand("fit", ["--config", str(configs.base()), *configs.expand(words)])
    content: dict[str, Any] = command.config.as_dict()
    return {section: value for section, value in content.items() if section != "config"}


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in LOGGERS])
def test_a_preset_lies_over_architecture_and_task_in_any_order(preset: str, workplace: Path) -> None:
    words = [f"--config={name}" for name in ("gru.yaml", "adding.yaml", preset)]
    assert {configs.expand(list(order))[-1] for order in permutations(words)} == {configs.expand(words)[-1]}
    config = _parsed("gru.yaml", "adding.yaml", preset)
    assert _parsed(preset, "adding.yaml", "gru.yaml") == config
    for option, value in _read(preset).get("trainer", {}).items():
        if not option.endswith("+"):
            assert config["trainer"][option] == value
    assert config["model"]["init_args"]["cell"] == "gru"


def test_presets_that_watch_are_there_together(workplace: Path) -> None:
    names = ("presets/gradients.yaml", "presets/profile.yaml", "presets/limit.yaml")
    for order in (names, names[::-1]):
        trainer = _parsed("lstm.yaml", *order)["trainer"]
        watching = {callback["class_path"].rpartition(".")[2] for callback in trainer["callbacks"]}
        assert watching == {"GradientProbe", "TimeProfile"}
        assert (trainer["max_epochs"], trainer["limit_train_batches"]) == (2, 4)


def test_an_option_behind_a_preset_holds_against_it_wherever_a_task_is_named(workplace: Path) -> None:
    words = ["--config=presets/limit.yaml", "--trainer.max_epochs=7", "--config=adding.yaml", "--config", "gru.yaml"]
    expanded = configs.expand(words)
    assert [Path(word.partition("=")[2]).name for word in expanded] == ["adding.yaml", "gru.yaml", "limit.yaml", "7"]
