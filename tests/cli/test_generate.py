"""A language model by the command: five words learnt by heart, a book of one's own, and what is written on from it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.helpers import epochs, measured, one_mistake, only_run, recorded
from tests.conftest import Command, _train

SENTENCE = "我 喜欢 学习 深度 学习"
GENERATED = ("generate", "--prompt=我", "--length=4", "--temperature=0")
TOY = ("--config", "rnn.yaml", "--config", "next_word.yaml", "--model.hidden_size", "32")


@pytest.fixture(scope="session")
def _toy_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _train(tmp_path_factory.mktemp("toy"), *TOY)


@pytest.fixture
def toy_run(_toy_runs: Path, workplace: Path) -> Path:
    """A run on the default sentence, in the runs/ of this test."""
    shutil.copytree(_toy_runs, "runs")
    return only_run()


def test_the_installed_command_learns_five_words_and_goes_on_with_them(installed: Command) -> None:
    fitted = installed("fit", "--config", "next_word.yaml")
    assert (fitted.code, fitted.err) == (0, "")
    written = installed(*GENERATED)
    assert (written.code, written.out) == (0, f"{SENTENCE}\n")
    assert written.err == f"Writing with the best checkpoint of the newest run, {only_run()} (epoch 100)\n"


def test_each_verb_takes_a_language_model(command: Command, toy_run: Path) -> None:
    assert toy_run.parent.name == "rnn-next_word"
    tested = command("test")
    assert (tested.code, tested.err) == (0, "")
    assert set(measured(tested)) == {"test_loss", "test_perplexity", "test_unknown"}
    assert json.loads((toy_run / "test" / "metrics.json").read_text())["test_perplexity"] < 1.0015
    assert set(measured(command("validate"))) == {"val_loss", "val_perplexity", "val_unknown"}
    predicted = command("predict", "--text=我", "--text=我 喜欢 学习 深度", "--output=out.jsonl")
    assert predicted.code == 0, predicted.err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [(row["text"], row["tokens"][0]) for row in rows] == [("我", "喜欢"), ("我 喜欢 学习 深度", "学习")]
    assert re.fullmatch(r"'喜欢' (0\.99|1\.00)\d\d  .*  after  我\n", command("predict", "--text=我").out)
    assert command(*GENERATED).out == f"{SENTENCE}\n"


@pytest.mark.parametrize(
    ("options", "seeds"), [(TOY, range(3)), (("--config", "next_word.yaml"), range(10))], ids=["rnn 32", "as shipped"]
)
def test_the_sentence_is_learnt_by_heart_whatever_the_seed(
    command: Command, options: tuple[str, ...], seeds: range
) -> None:
    to_epoch_91 = ("--trainer.max_epochs=91", "--trainer.check_val_every_n_epoch=91", "--checkpoint=null")
    for seed in seeds:
        fitted = command("fit", *options, *to_epoch_91, f"--seed_everything={seed}")
        assert fitted.code == 0, fitted.err
        assert epochs(only_run())[-1]["epoch"] == 90
        losses = {name: value for name, value in measured(fitted).items() if name.endswith("_loss")}
        assert losses.keys() == {"train_loss", "val_loss"}
        assert max(losses.values()) < 0.0015, (seed, losses)
        shutil.rmtree("runs")


def _meaning(run: Path) -> dict[str, Any]:
    return {name: part for name, part in recorded(run).items() if name != "config"}


def test_the_order_of_the_configs_has_no_meaning(command: Command) -> None:
    meanings = []
    for configs in (["gru.yaml", "next_word.yaml"], ["next_word.yaml", "gru.yaml"]):
        words = [word for config in configs for word in ("--config", config)]
        assert command("fit", *words, "--trainer.max_epochs=1").code == 0
        assert only_run().parent.name == "gru-next_word"
        meanings.append(_meaning(only_run()))
        shutil.rmtree("runs")
    assert meanings[0] == meanings[1]
    model = meanings[0]["model"]
    assert model["class_path"].endswith("LanguageModel")
    assert (model["init_args"]["cell"], model["init_args"]["hidden_size"]) == ("gru", 128)


@pytest.mark.parametrize(
    "configs", [("bilstm.yaml", "next_word.yaml"), ("next_word.yaml", "bilstm.yaml")], ids=" ".join
)
def test_both_directions_are_refused(command: Command, configs: tuple[str, str]) -> None:
    result = command("fit", *(word for config in configs for word in ("--config", config)))
    one_mistake(result, "a language model cannot be bidirectional")
    assert len(result.err.splitlines()) == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--model.num_layers=2", "--model.residual=true")], ids=["one", "stacked"])
def test_a_tied_model_is_trained_and_kept(command: Command, options: tuple[str, ...]) -> None:
    assert command("fit", *TOY, "--model.tie_embedding=true", *options).code == 0
    assert command(*GENERATED).out == f"{SENTENCE}\n"


def test_it_takes_the_newest_language_model_whatever_is_newer(
    command: Command, toy_run: Path, feature_run: Path
) -> None:
    wanted = toy_run.with_name("2090-01-01_00-00-00")
    toy_run.rename(toy_run.with_name("2020-01-01_00-00-00"))
    shutil.copytree(toy_run.with_name("2020-01-01_00-00-00"), wanted)
    feature_run.rename(feature_run.with_name("2099-01-01_00-00-00"))
    stray = Path("runs/stray-next_word/2099-01-01_00-00-00/checkpoints/best.ckpt")
    stray.parent.mkdir(parents=True)
    stray.touch()
    result = command(*GENERATED)
    assert (result.code, result.out) == (0, f"{SENTENCE}\n")
    assert f"the newest run, {wanted} " in result.err


def test_a_run_may_be_named(command: Command, toy_run: Path) -> None:
    assert f"the run {toy_run.name} " in command(*GENERATED, "--run", toy_run.name).err.replace(
        f"{toy_run.parent}/", ""
    )
    last = command(*GENERATED, "--ckpt_path", toy_run / "checkpoints" / "last.ckpt")
    assert (last.code, last.out) == (0, f"{SENTENCE}\n")


def test_a_classifier_does_not_write(command: Command, feature_run: Path) -> None:
    one_mistake(command(*GENERATED, "--run", feature_run), "generate wants a LanguageModel", "SequenceClassifier")
    one_mistake(command(*GENERATED), "no run under runs/ to generate", "fit --config next_word.yaml")


def test_without_a_run_it_says_how_to_get_one(command: Command) -> None:
    one_mistake(command(*GENERATED), "no run under runs/ to generate", "(rnn-lightning fit --config next_word.yaml)")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), 'generate wants a text to go on from: --prompt "..."'),
        (("--prompt",), "--prompt wants a value"),
        (("--prompt=我", "--length"), "--length wants a value"),
        (("--prompt=我", "--length=1.5"), "--length wants a whole number, not '1.5'"),
        (("--prompt=我", "--temperature=hot"), "--temperature wants a number, not 'hot'"),
        (("--prompt=我", "--temperature=nan"), "temperature is nan; it must be at least 0, and finite"),
        (("--prompt=我", "--length=-1"), "length is -1; it must be at least 0"),
        (("--prompt=我", "--top_k=0"), "top_k is 0; it must be at least 1"),
        (("--prompt=我", "--top_k=2.5"), "--top_k wants a whole number, not '2.5'"),
        (("--prompt=我", "--top_p=1.01"), "top_p is 1.01; it must be above 0 and at most 1"),
        (("--prompt=我", "--top_p=most"), "--top_p wants a number, not 'most'"),
        (("--prompt=我", "--topp=0.5"), "did you mean '--top_p'?"),
        (("--prompt=我", f"--seed={10**30}"), f"seed is {10**30}; it must be at least 0"),
        (("--prompt=",), "the prompt is empty: there is nothing to go on from"),
        (("--promt=我",), "generate has no option --promt; it has --prompt, "),
        (("--promt=我",), "did you mean '--prompt'?"),
        (("--prompt=我", "--text=x"), "generate has no option --text"),
        (("--prompt=我", "word"), "'word' belongs to no option of generate"),
        (("--prompt=我", "--trainer.devices=2"), "generate does not take --trainer.devices"),
        (("--prompt=我", "--model.hidden_size=3"), "generate does not take --model.hidden_size"),
    ],
    ids=str,
)
def test_a_mistake_is_told_and_nothing_written(
    command: Command, toy_run: Path, words: tuple[str, ...], said: str
) -> None:
    result = command("generate", *words)
    one_mistake(result, said)
    assert result.out == ""


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_needs_no_run(command: Command, flag: str) -> None:
    result = command("generate", flag)
    assert (result.code, result.err) == (0, "")
    for option in ("--prompt", "--length", "--temperature", "--top_k", "--top_p", "--seed", "--run", "--ckpt_path"):
        assert f"\n  {option} " in result.out


def test_a_seed_makes_what_is_written_repeatable(command: Command, toy_run: Path) -> None:
    texts = [command("generate", "--prompt=学习", "--temperature=9", f"--seed={seed}").out for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0].split()) == 101


@pytest.mark.parametrize("option", ["--top_k=1", "--top_p=0.01"])
def test_with_the_most_probable_token_alone_nothing_is_left_to_chance(
    command: Command, toy_run: Path, option: str
) -> None:
    daring = ("generate", "--prompt=我", "--length=4", "--temperature=5", option)
    assert [command(*daring, f"--seed={seed}").out for seed in (1, 2)] == [f"{SENTENCE}\n"] * 2


def _numbers(lines: list[str]) -> list[int]:
    return [int(line.split()[1].partition("/")[0]) for line in lines if line.startswith("epoch ")]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (("--trainer.max_epochs=20",), [10, 20]),
        (("--trainer.max_epochs=13",), [10, 13]),
        (("--trainer.max_epochs=3",), [3]),
        (("--trainer.max_epochs=5", "--trainer.check_val_every_n_epoch=2"), [2, 4, 5]),
        (("--trainer.max_epochs=2", "--trainer.check_val_every_n_epoch=1"), [1, 2]),
        (("--trainer.max_steps=12",), [10, 12]),
    ],
    ids=str,
)
def test_an_epoch_has_a_line_where_it_was_validated_and_the_last_one_has(
    command: Command, options: tuple[str, ...], numbers: list[int]
) -> None:
    lines = command("fit", *TOY, *options).out.splitlines()
    every = next((int(word.rpartition("=")[2]) for word in options if "check_val" in word), 10)
    assert _numbers(lines) == numbers
    for number, line in zip(numbers, (line for line in lines if line.startswith("epoch ")), strict=True):
        assert "train_loss" in line
        assert ("val_loss" in line) == (number % every == 0)


def test_the_best_epoch_is_named_by_its_own_number(command: Command) -> None:
    options = ("--trainer.max_epochs=23", "--trainer.check_val_every_n_epoch=5", "--optimizer.lr=0.3")
    lines = command("fit", *TOY, *options).out.splitlines()
    losses = {}
    for line in lines:
        if match := re.match(r"epoch (\d+)/23 .* val_loss (\S+)", line):
            losses[int(match[1])] = float(match[2])
    assert list(losses) == [5, 10, 15, 20]
    (number,) = (int(match[1]) for line in lines if (match := re.match(r"Best: epoch (\d+), val_loss ", line)))
    assert losses[number] == min(losses.values())
    assert torch.load(only_run() / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] + 1 == number


def test_early_stopping_says_for_how_many_epochs_it_waited(command: Command) -> None:
    stopping = ("--early_stopping.patience=2", "--early_stopping.min_delta=100", "--early_stopping.monitor=val_loss")
    lines = command("fit", *TOY, *stopping).out.splitlines()
    assert _numbers(lines) == [10, 20, 30]
    assert "Stopped early after epoch 30: val_loss has not improved for 20 epochs." in lines


def test_a_book_is_learnt_by_its_characters(command: Command) -> None:
    line = "Ab cd.\n"
    Path("book.txt").write_text(line * 40, "utf-8")
    sizes = ("--data.num_steps=14", "--data.batch_size=4", "--trainer.max_epochs=30")
    fitted = command("fit", *TOY, "--data.path", "book.txt", "--data.unit", "character", *sizes)
    assert (fitted.code, fitted.err) == (0, "")
    assert "  224 train / 28 validation / 28 test characters, vocabulary 7 characters" in fitted.out.splitlines()
    assert measured(command("test"))["test_loss"] < 0.2
    assert command("generate", "--prompt=Ab", "--length=11", "--temperature=0").out == f"{line}{line}"
    one_mistake(command("test", "--data.path=none.txt"), "none.txt cannot be read")


def test_a_text_that_is_missing_leaves_no_run(command: Command) -> None:
    one_mistake(command("fit", *TOY, "--data.path=none.txt"), "none.txt cannot be read: No such file or directory")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("data", ["SyntheticSequences", "NextWord"])
def test_a_task_and_data_that_do_not_fit_are_refused(command: Command, data: str) -> None:
    task = {"SyntheticSequences": "LanguageModel", "NextWord": "SequenceClassifier"}[data]
    result = command("fit", f"--model={task}", f"--data={data}")
    one_mistake(result, "one target for each sequence" if task == "LanguageModel" else "LanguageModel learns it")


def test_the_last_checkpoint_is_that_of_the_last_epoch_validated_or_not(command: Command) -> None:
    assert command("fit", "--config=next_word.yaml", "--trainer.max_epochs=13").code == 0
    (folder,) = Path("runs").glob("*/*/checkpoints")
    epochs = {name: torch.load(folder / f"{name}.ckpt", weights_only=True)["epoch"] + 1 for name in ("best", "last")}
    assert epochs == {"best": 10, "last": 13}
