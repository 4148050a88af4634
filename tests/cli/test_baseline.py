"""`rnn-lightning baseline`: what methods without a network reach, on any data, with nothing left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.helpers import one_mistake
from tests.conftest import Command, Result

SMALL_DATA = ("--data.num_train=300", "--data.num_val=80", "--data.num_test=50")
SCORE = r"\d+\.\d{4}( \[\d+\.\d{4}, \d+\.\d{4}\])?"


def _methods(result: Result) -> dict[str, dict[str, float]]:
    """The scores of each method that a command printed; the two lines before them say what the data is."""
    assert (result.code, result.err) == (0, ""), result
    found = {}
    for line in result.out.splitlines()[2:]:
        name, _, scores = line.strip().partition(":  ")
        assert re.fullmatch(rf"(\w+ {SCORE}(  )?)+", scores), line
        found[name] = {score: float(value) for score, value in re.findall(r"(\w+) (\d+\.\d+)", scores)}
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left(workplace: Path) -> Iterator[None]:
    """Neither a run nor anything else is written; the tests' own files are all there is."""
    yield
    assert {path.name for path in Path().iterdir()} <= {"mine.yaml", "book.txt"}


def test_sequences_of_features(command: Command) -> None:
    result = command("baseline", *SMALL_DATA)
    assert result.out.splitlines()[:2] == [
        "Baselines on synthetic",
        "  300 train / 80 validation / 50 test sequences",
    ]
    constant, logistic, all_steps = _methods(result).items()
    assert constant[0].startswith("always ")
    assert logistic[0] == "logistic regression on mean features"
    assert list(constant[1]) == list(logistic[1]) == ["val_accuracy", "test_accuracy"]
    assert constant[1]["test_accuracy"] < logistic[1]["test_accuracy"] < 1
    # The label is linear in the first and the last step; how far apart they are is nothing to this model.
    assert all_steps[0] == "logistic regression on all steps"
    assert all_steps[1]["val_accuracy"] > 0.95


def test_several_classes(command: Command) -> None:
    options = ("--data.num_classes=5", "--data.num_train=3000", "--data.num_val=1000", "--data.num_test=50")
    constant, logistic, _ = _methods(command("baseline", *options)).values()
    assert constant["val_accuracy"] + 0.05 < logistic["val_accuracy"] < 1


def test_numbers(command: Command) -> None:
    methods = _methods(command("baseline", *SMALL_DATA, "--data.num_classes=0", "--data.min_steps=1"))
    assert list(methods) == ["always the mean", "linear regression on mean features"]
    assert all(list(scores) == ["val_mse", "val_mae", "test_mse", "test_mae"] for scores in methods.values())


def test_reviews(command: Command, archive: Path) -> None:
    result = command("baseline", "--config", "imdb.yaml", "--data.path", archive)
    assert result.code == 0, result.err
    assert result.err == f"Reading {archive.name} and splitting its reviews into words (once)\n"
    assert result.out.startswith("Baselines on imdb\n  20 reviews, vocabulary ")
    again = command("baseline", "--config", "lstm.yaml", "--config", "imdb.yaml", f"--data.path={archive}")
    assert again.out == result.out
    constant, machine = _methods(again)
    assert constant in ("always negative", "always positive")
    assert machine == "NB-SVM on words and pairs"


def test_the_next_word_of_the_default_sentence(command: Command) -> None:
    methods = _methods(command("baseline", "--config", "next_word.yaml"))
    assert list(methods) == ["unigram", "interpolated trigram"]
    assert methods["interpolated trigram"]["test_perplexity"] < methods["unigram"]["test_perplexity"] < 4
    # One window: there is nothing to resample, so nothing is claimed.
    assert "[" not in command("baseline", "--config", "next_word.yaml").out


def test_the_next_character_of_a_book(command: Command) -> None:
    Path("book.txt").write_text("the quick brown fox jumps over the lazy dog. " * 40)
    options = ("--data=NextWord", "--data.path=book.txt", "--data.unit=character")
    methods = _methods(command("baseline", *options))
    assert 1 < methods["interpolated trigram"]["test_perplexity"] < 1.5 < methods["unigram"]["test_perplexity"]
    assert command("baseline", *options).out.count("[") == 4


def test_configs_give_their_data_and_flags_go_over_it(command: Command) -> None:
    Path("mine.yaml").write_text(
        "data: {class_path: SyntheticSequences, init_args: {num_train: 70, num_val: 60, num_test: 50}}\n"
        "model: {init_args: {cell: gru}}\ntrainer: {max_epochs: 7}\nseed_everything: 3\n"
    )
    assert "70 train / 60 validation / 50 test" in command("baseline", "--config", "mine.yaml").out
    assert "70 train / 60 validation / 9 test" in command("baseline", "-c", "mine.yaml", "--data.num_test", "9").out


def test_the_seed_of_training_has_no_part_in_it(command: Command) -> None:
    first = command("baseline", *SMALL_DATA)
    assert first.out == command("baseline", *SMALL_DATA, "--seed_everything=99").out
    assert first.out != command("baseline", *SMALL_DATA, "--data.data_seed=99").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model.cell=rnn"], "baseline does not take --model.cell: it wants data, and trains no network"),
        (["--model", "LanguageModel"], "baseline does not take --model:"),
        (["--optimizer+=3"], "baseline does not take --optimizer+:"),
        (["--trainer.max_epochs", "3"], "baseline does not take --trainer.max_epochs:"),
        (["--optimizer.lr=1"], "baseline does not take --optimizer.lr:"),
        (["--ckpt_path=best"], "baseline does not take --ckpt_path:"),
        (["--run=runs/x"], "there is no option --run"),
        (["--daat.num_train=3"], "there is no option --daat.num_train; did you mean"),
        (["--data.num_tain=3"], "SyntheticSequences has no option 'num_tain'; did you mean 'num_train'?"),
        (["--num_train=3"], "there is no option --num_train; did you mean '--data.num_train'?"),
        (["--data=IMDB"], "data: there is no 'IMDB'; did you mean 'IMDb'?"),
        (["--data"], "--data wants a value"),
        (["--data.num_train=0"], "num_train is 0; it must be at least 1"),
        (["--config=imdbb.yaml"], "no config 'imdbb.yaml' here or among the shipped ones"),
        (["--config"], "--config wants the name of a config"),
        (["imdb.yaml"], "'imdb.yaml' belongs to no option"),
        (["--data=NextWord", "--data.path=nowhere.txt"], "nowhere.txt cannot be read: No such file or directory"),
        (["--config=imdb.yaml", "--data.path=nowhere.tar.gz"], "nowhere.tar.gz does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told(command: Command, options: list[str], said: str) -> None:
    result = command("baseline", *options)
    one_mistake(result, said)
    assert result.out == ""


def test_a_mistake_in_a_config_is_told(command: Command) -> None:
    Path("mine.yaml").write_text("data:\n  class_path: SyntheticSequences\n  init_args: {num_tset: 50}\n")
    one_mistake(command("baseline", "--config=mine.yaml"), "SyntheticSequences has no option 'num_tset'; did you mean")


def test_the_help_names_what_it_takes_and_nothing_else(command: Command) -> None:
    result = command("baseline", "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("usage: rnn-lightning baseline ")
    for option in ("--config", "--data"):
        assert option in result.out
    for option in ("--model", "--trainer", "--optimizer", "--run"):
        assert option not in result.out
    assert re.search(
        r"^  baseline +what methods without a network reach on the same", command("--help").out, re.MULTILINE
    )


WITHOUT_EXTRA = """
import sys
sys.modules["sklearn"] = None  # as if it were not installed
from rnn_lightning.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_scikit_learn_the_constant_is_left_and_the_extra_is_named(python: Command) -> None:
    result = python(WITHOUT_EXTRA, "baseline", *SMALL_DATA)
    assert (result.code, result.err) == (0, "")
    _, _, constant, extra = result.out.splitlines()
    assert constant.startswith("  always ")
    assert extra == "  Linear models need scikit-learn: pip install 'rnn-lightning[baseline]'"


def test_language_models_are_counted_without_scikit_learn(python: Command) -> None:
    result = python(WITHOUT_EXTRA, "baseline", "--config=next_word.yaml")
    assert list(_methods(result)) == ["unigram", "interpolated trigram"]


def test_the_installed_command_has_the_verb(installed: Command) -> None:
    methods = _methods(installed("baseline", *SMALL_DATA))
    assert "logistic regression on mean features" in methods


def test_data_of_a_package_of_ones_own(command: Command, plugin: Path) -> None:
    result = command("baseline", "--data=LongSequences", *SMALL_DATA)
    assert result.out.startswith("Baselines on long\n")
    assert len(_methods(result)) == 3
