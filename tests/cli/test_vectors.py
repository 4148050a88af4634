"""Word vectors by the command: from a file to a trained model that needs it no more."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning import LanguageModel, SequenceClassifier, load
from tests.cli.helpers import epochs, files, one_mistake, only_run, recorded
from tests.conftest import SMALL, SMALL_REVIEWS, Command, Result

FILE = "film 0.1 0.2 0.3\nwonderful 0.5 0.6 0.7\n. . . 4 4 4\nawful -1 -2 -3\nunheard 9 9 9\n"
COVERED = "vectors.txt: vectors of 3 numbers, known for 3 of the 40 words of the vocabulary (7.5 %)"


@pytest.fixture
def reviews(command: Command, archive: Path, workplace: Path) -> Any:
    """Trains on the small archive with a file of vectors."""
    Path("vectors.txt").write_text(FILE, "utf-8")

    def run(*argv: object) -> Result:
        options = (*SMALL_REVIEWS, f"--data.path={archive}", "--model.vectors=vectors.txt", "--trainer.max_epochs=1")
        return command("fit", *options, *argv)

    return run


def _embedding(path: Path) -> dict[str, list[float]]:
    """The vector of each word of a checkpoint."""
    model = load(path)
    assert isinstance(model, SequenceClassifier | LanguageModel)
    assert model.encoder is not None
    return dict(zip(model.encoder.words, model.embedding.vectors.weight[2:].tolist(), strict=True))


def test_reviews_begin_with_the_vectors_of_a_file(reviews: Any, command: Command) -> None:
    result = reviews("--model.embedding_size=77")
    assert result.code == 0, result.err
    assert result.err.splitlines()[-1] == COVERED
    # The width is that of the file, whatever the options say.
    assert "TokenEmbedding 42 -> 3" in result.out
    run = only_run()
    assert recorded(run)["model"]["init_args"]["vectors"] == "vectors.txt"
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["hyper_parameters"]["embedding_size"] == 3
    # Everything else works without the file.
    Path("vectors.txt").unlink()
    for verb, *options in (("test",), ("validate",), ("predict", "--text=An awful film")):
        done = command(verb, *options)
        assert done.code == 0, done.err
        assert "vectors" not in done.err


def test_a_compressed_file_is_the_same_training(reviews: Any) -> None:
    assert reviews().code == 0
    plain = epochs(only_run())
    shutil.rmtree("runs")
    Path("vectors.txt").write_bytes(gzip.compress(FILE.encode()))
    result = reviews()
    assert (result.code, result.err.splitlines()[-1]) == (0, COVERED)
    assert epochs(only_run()) == plain


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_vectors_do_not_change_and_others_do(reviews: Any, frozen: bool) -> None:
    assert reviews(f"--model.freeze_vectors={str(frozen).lower()}", "--trainer.max_epochs=3").code == 0
    found = _embedding(only_run() / "checkpoints" / "last.ckpt")
    begun = torch.tensor([0.1, 0.2, 0.3]).tolist(), [-1.0, -2.0, -3.0]
    assert ((found["film"], found["awful"]) == begun) is frozen


def test_a_training_goes_on_from_its_checkpoint_and_not_from_the_file(reviews: Any) -> None:
    # Nothing that is drawn by chance: what is drawn in the second epoch depends on the first.
    steady = [f"--model.{share}=0" for share in ("dropout", "embedding_dropout", "word_dropout")]
    steady.append("--lr_scheduler=null")
    whole = reviews(*steady, "--trainer.max_epochs=2")
    assert whole.code == 0, whole.err
    _, wanted = epochs(only_run())
    shutil.rmtree("runs")
    assert reviews(*steady).code == 0
    shutil.move(only_run(), "begun")
    # Another file of the same width: what was learnt counts.
    Path("vectors.txt").write_text("film 5 5 5\n")
    resumed = reviews(*steady, "--trainer.max_epochs=2", "--ckpt_path=begun/checkpoints/last.ckpt")
    assert resumed.code == 0, resumed.err
    (second,) = epochs(only_run())
    assert second == pytest.approx(wanted, rel=1e-5)


def test_a_language_model_takes_vectors_and_can_speak_in_them(command: Command) -> None:
    Path("chinese.txt").write_text("学习 1 2 3 4\n我 0 1 0 1\n喜欢 1 1 0 0\n", "utf-8")
    options = ("--model.vectors=chinese.txt", "--model.tie_embedding=true", "--model.freeze_vectors=true")
    result = command("fit", "--config=next_word.yaml", *options, "--trainer.max_epochs=10")
    assert result.code == 0, result.err
    assert result.err == "chinese.txt: vectors of 4 numbers, known for 3 of the 4 words of the vocabulary (75.0 %)\n"
    assert _embedding(only_run())["学习"] == [1, 2, 3, 4]
    Path("chinese.txt").unlink()
    assert command("generate", "--prompt=我", "--length=4").code == 0


def test_two_processes_begin_with_the_same_vectors_and_say_so_once(installed: Command, archive: Path) -> None:
    Path("vectors.txt").write_text(FILE, "utf-8")
    options = ("--model.vectors=vectors.txt", "--model.freeze_vectors=true", "--trainer.max_epochs=1")
    processes = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")
    result = installed("fit", *SMALL_REVIEWS, f"--data.path={archive}", *options, *processes, "--data.val_fraction=0.4")
    assert result.code == 0, result.err
    assert result.err.count("vectors of 3 numbers") == 1
    assert _embedding(only_run())["awful"] == [-1, -2, -3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SMALL, "this data has features, not words: the vectors of vectors.txt have no part in it"),
        ((*SMALL, "--model.freeze_vectors=true"), "this data has features, not words"),
        (("--config=next_word.yaml",), "vectors.txt has a vector for none of the 4 words of the vocabulary"),
    ],
    ids=["features", "features, frozen", "no word known"],
)
def test_vectors_that_do_not_suit_the_data_are_refused(command: Command, options: tuple[str, ...], said: str) -> None:
    Path("vectors.txt").write_text(FILE, "utf-8")
    one_mistake(command("fit", *options, "--model.vectors=vectors.txt"), said)
    assert files(Path()) == ["vectors.txt"]
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model.vectors=nowhere.txt",), "nowhere.txt cannot be read: No such file or directory"),
        (("--model.vectors=folder",), "folder cannot be read: Is a directory"),
        (("--model.vectors=empty.txt",), "empty.txt is empty: there are no vectors in it"),
        (("--model.vectors=text.txt",), "text.txt, line 1: 'was' is not a finite number"),
        (("--model.freeze_vectors=true",), "freeze_vectors is true, but no vectors are named"),
        (("--model.vectors",), "--model.vectors wants a value"),
        (("--model.vector=vectors.txt",), "SequenceClassifier has no option 'vector'; did you mean 'vectors'?"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_before_the_data_is_prepared(
    command: Command, archive: Path, options: tuple[str, ...], said: str
) -> None:
    Path("folder").mkdir()
    Path("empty.txt").touch()
    Path("text.txt").write_text("It was a dark night\n")
    result = command("fit", *SMALL_REVIEWS, f"--data.path={archive}", *options)
    one_mistake(result, said)
    assert "Reading" not in result.err
    assert (result.out, files(Path())) == ("", ["empty.txt", "text.txt"])
    assert not Path("../cache").exists()


def test_a_broken_line_is_told_and_leaves_no_run(reviews: Any) -> None:
    Path("vectors.txt").write_text(FILE.replace("-2", "minus two"))
    one_mistake(reviews(), "vectors.txt, line 4: 4 numbers, where the first line has 3")
    Path("vectors.txt").write_text(FILE.replace("-2", "nan"))
    one_mistake(reviews(), "vectors.txt, line 4: 'nan' is not a finite number")
    assert not Path("runs").exists()
