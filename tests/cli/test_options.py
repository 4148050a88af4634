"""Configs stack in any order, later flags win, and what nobody knows is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rnn_lightning.cli import configs
from rnn_lightning.cli.app import FitCommand
from tests.cli.helpers import one_mistake
from tests.conftest import SMALL, Command


@pytest.fixture
def parsed(command: Command) -> Any:
    """The whole config that `fit` would train with."""

    def run(*argv: str) -> dict[str, Any]:
        result = command("fit", *argv, "--print_config")
        assert result.code == 0, result.err
        content: dict[str, Any] = yaml.safe_load(result.out)
        return content

    return run


@pytest.mark.parametrize("architecture", ["lstm.yaml", "gru.yaml", "rnn.yaml", "bilstm.yaml", "stacked_lstm.yaml"])
def test_architecture_and_task_stack_in_either_order(parsed: Any, architecture: str) -> None:
    first = parsed("--config", architecture, "--config", "imdb.yaml")
    assert first == parsed("--config", "imdb.yaml", "--config", architecture)
    alone = parsed("--config", architecture)
    for name in ("cell", "hidden_size", "num_layers", "bidirectional"):
        assert first["model"]["init_args"][name] == alone["model"]["init_args"][name]


def test_the_lstm_config_on_reviews_is_the_review_config_alone(parsed: Any) -> None:
    assert parsed("--config", "lstm.yaml", "--config", "imdb.yaml") == parsed("--config", "imdb.yaml")


def test_the_review_config_means_reviews_on_an_lstm(parsed: Any) -> None:
    config = parsed("--config", "imdb.yaml")
    written = configs.read(configs.resolve("imdb.yaml"))
    model = config["model"]["init_args"]
    assert config["data"]["class_path"].rpartition(".")[2] == "IMDb"
    assert config["lr_scheduler"]["class_path"].rpartition(".")[2] == "OneCycle"
    assert (model["cell"], model["hidden_size"], model["num_layers"]) == ("lstm", 128, 1)
    for section in ("model", "data", "optimizer"):
        assert config[section]["init_args"].items() >= written[section]["init_args"].items()
    assert config["trainer"]["max_epochs"] == written["trainer"]["max_epochs"]
    assert config["trainer"]["gradient_clip_val"] == 1.0  # from the base, which lies under everything


def test_nothing_at_all_means_the_base_config(parsed: Any) -> None:
    assert parsed() == parsed("--config", "base.yaml") == parsed("--config", "lstm.yaml")


@pytest.mark.parametrize("name", ["gru", "gru.yaml", str(configs.resolve("gru.yaml"))])
def test_a_config_is_found_by_its_name_or_path(parsed: Any, name: str) -> None:
    assert parsed("-c", name)["model"]["init_args"]["cell"] == "gru"
    assert parsed(f"--config={name}")["model"]["init_args"]["cell"] == "gru"


def test_a_config_here_goes_before_a_shipped_one(parsed: Any) -> None:
    Path("gru.yaml").write_text("model:\n  init_args: {cell: rnn, hidden_size: 9}\n")
    assert parsed("--config", "gru.yaml")["model"]["init_args"]["cell"] == "rnn"
    assert parsed("--config", "gru.yaml")["model"]["init_args"]["hidden_size"] == 9


def test_what_lies_under_every_command_is_the_shipped_base(parsed: Any) -> None:
    before = parsed()
    Path("base.yaml").write_text("trainer: {max_epochs: 99}\n")
    assert parsed() == before
    assert parsed("--config", "base.yaml")["trainer"]["max_epochs"] == 99


def test_later_flags_win(parsed: Any) -> None:
    def size(*argv: str) -> int:
        found: int = parsed(*argv)["model"]["init_args"]["hidden_size"]
        return found

    Path("wide.yaml").write_text("model:\n  init_args: {hidden_size: 300}\n")
    assert size("--model.hidden_size=5", "--model.hidden_size=7") == 7
    assert size("--config", "wide.yaml") == 300
    assert size("--config", "wide.yaml", "--model.hidden_size=5") == 5
    assert size("--model.hidden_size=5", "--config", "wide.yaml") == 300
    assert size("--config", "lstm.yaml", "--config", "wide.yaml") == 300
    assert size("--config", "wide.yaml", "--config", "lstm.yaml") == 128


def test_a_flag_takes_its_value_with_or_without_an_equals_sign(parsed: Any) -> None:
    options = ("--model.hidden_size", "5", "--data.num_steps=7", "--optimizer.lr", "1e-2")
    config = parsed(*options)
    assert config["model"]["init_args"]["hidden_size"] == 5
    assert config["data"]["init_args"]["num_steps"] == 7
    assert config["optimizer"]["init_args"]["lr"] == 0.01


def test_a_class_with_its_options_is_chosen_on_the_command_line(parsed: Any) -> None:
    config = parsed("--data", "IMDb", "--data.max_length=50", "--optimizer", "SGD", "--optimizer.lr=0.1")
    assert config["data"]["class_path"].rpartition(".")[2] == "IMDb"
    assert config["data"]["init_args"]["max_length"] == 50
    assert config["optimizer"]["class_path"] == "torch.optim.SGD"
    assert config["optimizer"]["init_args"]["lr"] == 0.1
    assert "betas" not in config["optimizer"]["init_args"]


def test_printing_the_config_trains_nothing(parsed: Any) -> None:
    parsed(*SMALL)
    assert not Path("runs").exists()


def test_what_is_printed_can_be_given_back(parsed: Any) -> None:
    config = parsed("--config", "imdb.yaml", "--model.cell=gru", "--early_stopping=null", "--data.max_length=null")
    Path("whole.yaml").write_text(yaml.safe_dump(config))
    assert parsed("--config", "whole.yaml") == config
    assert config["early_stopping"] is None


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_an_unknown_flag_is_refused_wherever_it_stands(command: Command, place: int) -> None:
    words = ["--config=lstm.yaml", "--model.hidden_size=4", "--trainer.max_epochs=1"]
    words.insert(place, "--modle.cell=gru")
    one_mistake(command("fit", *words), "there is no option --modle.cell")
    assert not Path("runs").exists()


def test_a_word_that_belongs_to_no_option_is_refused(command: Command) -> None:
    one_mistake(command("fit", "lstm.yaml"), "'lstm.yaml' belongs to no option")
    one_mistake(command("fit", "--model.hidden_size", "4", "5"), "'5' belongs to no option")


def test_options_are_not_abbreviated(command: Command) -> None:
    one_mistake(command("fit", "--trainer.max_ep=3"), "there is no option --trainer.max_ep; did you mean")
    one_mistake(command("fit", "--conf=lstm.yaml"), "there is no option --conf; did you mean '--config'?")
    one_mistake(command("fit", "--seed=3"), "fit has no option --seed; it has --")


def test_parsing_downloads_and_reads_nothing(workplace: object) -> None:
    base = str(configs.base())
    found = FitCommand("fit", ["--config", base, "--config", str(configs.resolve("imdb.yaml"))])
    assert found.datamodule.corpus is None
    assert not Path("../cache").exists()
