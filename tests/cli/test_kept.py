"""`baseline --keep`: an NB-SVM as a run, alone and beside a recurrent network."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from rnn_lightning import BagOfNgrams, SequenceClassifier, TextFiles, load
from rnn_lightning.baselines.nbsvm import NBSVM
from tests.cli.helpers import files, measured, one_mistake, recorded
from tests.conftest import SMALL, Command

FILE = ("--data=TextFiles", "--data.path=texts.csv")
SMALL_MODEL = ("--model.hidden_size=4", "--model.embedding_size=4", "--trainer.max_epochs=2")
ASKED = ["The film was not good, at all.", "not bad: GOOD", "", "never heard", "film " * 50 + "not bad good"]


def _write(path: str, classes: int = 2, count: int = 120) -> None:
    """Texts whose class is told by which word stands behind `not`."""
    draw = random.Random(0)
    words = ["good", "bad", "odd"][:classes]
    lines = ["text,label"]
    for _ in range(count):
        label = draw.randrange(classes)
        rest = [word for word in words if word != words[label]] + ["film", "plot", "the", f"rare{draw.randrange(60)}"]
        draw.shuffle(rest)
        place = draw.randrange(len(rest) + 1)
        lines.append(f"{' '.join([*rest[:place], 'not', words[label], *rest[place:]])},{'nyx'[label]}")
    Path(path).write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def run(request: pytest.FixtureRequest, command: Command) -> Path:
    """A run of n-grams of a file in the working directory."""
    _write("texts.csv", request.param)
    result = command("baseline", *FILE, "--keep")
    assert (result.code, result.err) == (0, ""), result
    (run,) = Path("runs").glob("nbsvm-texts/*")
    assert f"Kept in {run}\n" in result.out
    return run


def _probabilities(model: SequenceClassifier, texts: list[str]) -> np.ndarray:
    batch = model.encoder.batch(texts)  # type: ignore[union-attr]  # it reads texts
    with torch.inference_mode():
        found: np.ndarray = model.probabilities(model(batch.inputs, batch.lengths)).numpy()
    return found


def test_a_run_is_whole_and_its_checkpoint_stands_by_itself(run: Path, tmp_path: Path) -> None:
    assert files(run) == ["checkpoints/best.ckpt", "config.yaml", "metrics.csv"]
    config = recorded(run)
    assert config["model"]["class_path"] == "rnn_lightning.BagOfNgrams"
    assert config["data"]["init_args"]["path"] == "texts.csv"
    data = TextFiles("texts.csv")
    data.setup("fit")
    machine = NBSVM(data.train.whole(), data.val.whole())
    assert config["model"]["init_args"]["C"] == machine.penalty
    alone = shutil.move(run / "checkpoints" / "best.ckpt", tmp_path / "model.ckpt")
    shutil.rmtree("runs")
    model = load(alone)
    assert isinstance(model, BagOfNgrams)
    part = data.test.whole()
    texts = [data.test.text(row) for row in range(len(data.test))]
    logits = machine.logits(part)
    logits = np.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(_probabilities(model, [str(text) for text in texts]), wanted, rtol=1e-4)


def test_the_verbs_take_it_as_any_other_run(run: Path, command: Command) -> None:
    scores = json.loads(command("baseline", *FILE, "--json").out)["baselines"][-1]
    tested = command("test")
    assert tested.code == 0, tested.err
    assert tested.out.startswith(f"Testing the best checkpoint of the newest run, {run}")
    assert measured(tested)["test_accuracy"] == pytest.approx(scores["test_accuracy"], abs=1e-4)
    validated = measured(command("validate"))
    assert validated["val_accuracy"] == pytest.approx(scores["val_accuracy"], abs=1e-4)
    listed = json.loads(command("list", "runs", "--json").out)[0]
    assert (listed["architecture"], listed["task"], listed["state"]) == ("nbsvm", "texts", "finished")
    assert listed["best"]["val_loss"] == pytest.approx(validated["val_loss"], abs=1e-4)
    predicted = command("predict", "--text", "the plot is not good").out.split()
    assert predicted[0] == "n"
    page = command("report")
    assert page.code == 0, page.err
    assert "nbsvm" in (run / "report.html").read_text("utf-8")


def test_it_is_exported(run: Path, command: Command) -> None:
    result = command("export", "--int8", "--output=model")
    assert result.code == 0, result.err
    assert "No file for single steps: an n-gram counts once in a text" in result.out
    model = load(run)
    assert isinstance(model, BagOfNgrams)
    batch = model.encoder.batch(ASKED)  # type: ignore[union-attr]  # it reads texts
    session = onnxruntime.InferenceSession("model/model.onnx")
    (found,) = session.run(None, {"inputs": batch.inputs.numpy(), "lengths": batch.lengths.numpy()})
    np.testing.assert_allclose(found, _probabilities(model, ASKED), atol=1e-6)


def test_beside_a_recurrent_network_it_is_one_model(run: Path, command: Command) -> None:
    # Words beyond these are unknown to the network, and texts are cut off.
    options = ("--data.vocab_size=12", "--data.max_length=8", f"--model.ngrams={run}")
    result = command("fit", "--config=lstm.yaml", *FILE, *SMALL_MODEL, *options)
    assert result.code == 0, result.err
    assert re.search(r"  mix +NgramMix \d+ -> \d .* \d+x\d \+ \d ", result.out)
    (wide,) = Path("runs").glob("lstm-texts/*")
    assert measured(command("test"))["test_accuracy"] == pytest.approx(
        measured(command("test", "--run", run))["test_accuracy"], abs=0.1
    )
    going_on = command("fit", f"--resume={wide}", "--trainer.max_epochs=3")
    assert going_on.code == 0, going_on.err

    fitted = load(run)
    shutil.rmtree(run)
    model = load(wide)
    assert isinstance(model, SequenceClassifier)
    assert isinstance(fitted, BagOfNgrams)
    assert (model.mix.scales != 0.5).all()
    batch = model.encoder.batch(ASKED)  # type: ignore[union-attr]  # it reads texts
    seen = [" ".join(tokens) for tokens in model.encoder.tokens(ASKED)]  # type: ignore[union-attr]  # as above
    known = set(model.encoder.words)  # type: ignore[union-attr]  # as above
    seen = [" ".join(word if word.lower() in known else "<>" for word in text.split()) for text in seen]
    whole = fitted.encoder.batch(seen)  # type: ignore[union-attr]  # it reads texts
    with torch.inference_mode():
        term = fitted.ngrams(whole.inputs, whole.lengths)
        found = model.mix.ngrams(batch.inputs, batch.lengths)
        torch.testing.assert_close(found, term)
        deep = model.answers(
            model.pooling(model.recurrent(model.embedding(batch.inputs), batch.lengths)[0], batch.lengths)
        )
        both = model(batch.inputs, batch.lengths)
        own, added = model.mix.scales
        torch.testing.assert_close(both, (own * deep.view_as(term) + added * term + model.mix.offset).view_as(deep))
    assert command("export", "--run", wide, "--output=model").code == 0
    session = onnxruntime.InferenceSession("model/model.onnx")
    (exported,) = session.run(None, {"inputs": batch.inputs.numpy(), "lengths": batch.lengths.numpy()})
    np.testing.assert_allclose(exported, _probabilities(model, ASKED), atol=1e-5)


def test_json_names_the_run(command: Command) -> None:
    _write("texts.csv")
    result = command("baseline", *FILE, "--keep", "--json", "--longest=3")
    found = json.loads(result.out)
    assert found["baselines"][-1]["method"] == "NB-SVM on words, pairs and triples"
    model = load(found["run"])
    assert isinstance(model, BagOfNgrams)
    assert model.hparams["longest"] == 3
    assert "run" not in json.loads(command("baseline", *FILE, "--json").out)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data.num_train=30"], "--keep keeps an NB-SVM, which tells classes of texts apart: synthetic has features"),
        (["--config=next_word.yaml"], "tells classes of texts apart: next_word has a target for each token"),
        ([*FILE, "--data.label=number", "--data.regression=true"], "texts has numbers to predict"),
        ([*FILE, "--longest=4"], "--longest is 4; it must be at most 3"),
        ([*FILE, "--longest=0"], "--longest wants a whole number, at least 1, not '0'"),
        ([*FILE, "--longest=two"], "--longest wants a whole number"),
        ([*FILE, "--longest"], "--longest wants a value"),
        ([*FILE, "--keep=yes"], "--keep takes no value"),
        ([*FILE, "--data.text=nothing"], "there is nothing to keep"),
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_told(command: Command, options: list[str], said: str) -> None:
    lines = [f"text {'yn'[i % 2]},{'yn'[i % 2]},{i},\n" for i in range(40)]
    Path("texts.csv").write_text("text,label,number,nothing\n" + "".join(lines), "utf-8")
    one_mistake(command("baseline", "--keep", *options), said)
    assert not Path("runs").exists()


def test_what_does_not_go_with_a_training_is_told(command: Command) -> None:
    _write("texts.csv")
    assert command("baseline", *FILE, "--keep").code == 0
    (run,) = Path("runs").glob("*/*")
    _write("three.csv", 3)
    Path("other.csv").write_text(
        "text,label\n" + "".join(f"电影 很 好 {i},{'ny'[i % 2]}\n" for i in range(60)), "utf-8"
    )
    assert command("fit", *SMALL, "--trainer.max_epochs=1").code == 0
    (lstm,) = Path("runs").glob("lstm-*/*")
    with_run = f"--model.ngrams={run}"
    for options, said in (
        ([*FILE, "--model.ngrams=nowhere"], "there is no checkpoint nowhere"),
        ([*FILE, f"--model.ngrams={lstm}"], f"from rnn-lightning baseline --keep; {lstm} holds a SequenceClassifier"),
        ([*FILE, f"--model.ngrams={Path('runs')}"], "there is no checkpoint runs/checkpoints/best.ckpt"),
        ([*FILE, "--model.ngram_sizes=[2, 3]"], "ngram_sizes are filled in from the run of n-grams"),
        ([*FILE, with_run, "--data.val_fraction=0.3"], "were fitted on other training texts than these"),
        ([*FILE, with_run, "--data.unit=character"], "are of the unit word, this data is of character"),
        (["--data=TextFiles", "--data.path=three.csv", with_run], "this data has the classes n, x, y"),
        (
            ["--data=TextFiles", "--data.path=other.csv", with_run],
            "do not fit this data: none of them is of known tokens",
        ),
        ([with_run], "tell n, y apart in texts; this data has features"),
        ([*FILE, "--model=BagOfNgrams"], "a BagOfNgrams is fitted, not trained: rnn-lightning baseline --keep"),
        ([*FILE, "--ckpt_path", run], "holds a BagOfNgrams, and this would train a SequenceClassifier"),
        (["--config=next_word.yaml", with_run], "LanguageModel has no option 'ngrams'"),
    ):
        one_mistake(command("fit", *options), said)
    one_mistake(command("fit", f"--resume={run}"), f"the run {run} cannot go on")
    assert sorted(path.parent.name for path in Path("runs").glob("*/*")) == ["lstm-synthetic", "nbsvm-texts"]


def test_a_damaged_run_is_told(command: Command) -> None:
    _write("texts.csv")
    assert command("baseline", *FILE, "--keep").code == 0
    (run,) = Path("runs").glob("*/*")
    file = run / "checkpoints" / "best.ckpt"
    file.write_bytes(file.read_bytes()[:-999])
    one_mistake(command("fit", *FILE, f"--model.ngrams={run}"), "damaged")
