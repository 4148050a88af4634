"""The schema of configs takes what the command takes, and an editor underlines by it what the command would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from rnn_lightning import registry
from rnn_lightning.cli import configs, marked
from rnn_lightning.cli.schema import of_configs
from tests.cli.mutations import Mutation, mutations
from tests.conftest import Command


@pytest.fixture(scope="module")
def validator() -> Any:
    """Of the schema as it is without plugins."""
    schema = of_configs()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize("name", configs.shipped())
def test_a_shipped_config_is_valid(validator: Any, name: str) -> None:
    assert list(validator.iter_errors(configs.read(configs.folder() / name))) == []


def test_the_config_of_a_run_is_valid(validator: Any, feature_run: Path, review_run: Path) -> None:
    for run in (feature_run, review_run):
        assert list(validator.iter_errors(configs.read(run / "config.yaml"))) == []


VALID = {
    "a class by its name": "data: IMDb\nlr_scheduler: OneCycle\n",
    "a class by its path": "data: {class_path: rnn_lightning.IMDb, init_args: {max_length: null}}\n",
    "a class of one's own": "model: {class_path: my_package.MyTask, init_args: {anything: 3}}\n",
    "a class of one's own of the same name": "data: {class_path: my_package.IMDb, init_args: {anything: 3}}\n",
    "nothing of what is on by default": "early_stopping: null\ncheckpoint: null\nlr_scheduler: null\n",
    "a callback more": "trainer: {callbacks+: [{class_path: GradientProbe, init_args: {every_n_steps: 5}}]}\n",
    "a callback alone": "trainer: {callbacks: GradientProbe}\n",
    "a strategy as an object": "trainer: {strategy: {class_path: DDPStrategy}}\n",
    "numbers as people write them": "optimizer: {class_path: SGD, init_args: {lr: 1e-3, momentum: 0}}\n",
    "options of a cell": "model: {init_args: {cell: rnn, cell_options: {nonlinearity: relu}}}\n",
    "a time": "trainer: {max_time: '00:01:00:00', precision: bf16-mixed, devices: [0, 1]}\n",
}


@pytest.mark.parametrize("kind", VALID)
def test_what_the_command_takes_is_valid(validator: Any, kind: str) -> None:
    assert list(validator.iter_errors(yaml.load(VALID[kind], marked.Loader))) == []


INVALID = {
    "an option of another class": "data: {class_path: IMDb, init_args: {num_train: 3}}\n",
    "an option beside its class": "data: {class_path: IMDb, batch_size: 3}\n",
    "a data set in place of a model": "model: IMDb\n",
    "an option of no cell": "model: {init_args: {cell_options: {forget_bia: 1.0}}}\n",
    "an option of no class": "model: {init_args: {hiden_size: 3}}\n",
    "two numbers that are one": "optimizer: {class_path: AdamW, init_args: {betas: [0.9]}}\n",
    "a name that is none of a few": "model: {init_args: {pooling: lsat}}\n",
    "a mistyped option of a callback": "trainer: {callbacks: [{class_path: GradientProbe, init_args: {evry: 5}}]}\n",
}


@pytest.mark.parametrize("kind", INVALID)
def test_what_the_command_refuses_is_not_valid(validator: Any, kind: str) -> None:
    assert list(validator.iter_errors(yaml.load(INVALID[kind], marked.Loader))) != []


@pytest.mark.parametrize("name", configs.shipped())
def test_a_slip_of_the_finger_is_underlined(validator: Any, name: str) -> None:
    def is_valid(mutation: Mutation) -> bool:
        return not list(validator.iter_errors(yaml.load(mutation.text, marked.Loader)))

    assert [str(mutation) for mutation in mutations(name)[::3] if is_valid(mutation)] == []


def test_every_option_has_its_meaning_and_default(validator: Any) -> None:
    sections = validator.schema["properties"]
    cases = [case["then"]["properties"]["init_args"] for case in sections["model"]["anyOf"][1]["allOf"]]
    options = [case["properties"] for case in cases]
    assert options[registry.names("tasks").index("SequenceClassifier")]["hidden_size"] == {
        "description": "features of each recurrent layer in each direction.",
        "type": "integer",
        "default": 128,
    }
    assert all("description" in option for case in options[:-1] for option in case.values())
    assert sections["trainer"]["properties"]["max_epochs"]["description"].startswith("Stop training once this number")


def test_the_verb_prints_the_schema_with_installed_packages(command: Command, plugin: Path) -> None:
    result = command("schema")
    assert result.code == 0
    content = json.loads(result.out)
    validator = Draft7Validator(content)
    mine = {"model": {"class_path": "MeanOfSteps", "init_args": {"bias": True}}, "data": "LongSequences"}
    assert list(validator.iter_errors(mine)) == []
    mine["model"]["init_args"]["bais"] = True  # type: ignore[index]
    assert list(validator.iter_errors(mine)) != []
    assert list(validator.iter_errors({"model": {"init_args": {"cell": "leaky", "cell_options": {"keep": 0.1}}}})) == []
