"""`validate` and `test`: the numbers of the training itself, from the checkpoint alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rnn_lightning import IMDb, SyntheticSequences, load
from rnn_lightning.cli import configs, files
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.resume import written_out
from tests.cli.helpers import epochs, measured, one_mistake, only_run, recorded
from tests.conftest import SMALL, SMALL_REVIEWS, Command

BEST = Path("checkpoints") / "best.ckpt"


def _kept(run: Path, verb: str = "test") -> dict[str, float]:
    """What was measured; the intervals around it lie where they should."""
    content = json.loads((run / verb / "metrics.json").read_text("utf-8"))
    assert content.pop("checkpoint") == str(run / BEST)
    assert content.pop("chance_level") == {}
    assert content.pop("parameters") > 0
    for name, (low, high) in content.pop("intervals", {}).items():
        assert low <= content[name] <= high
    return content


def test_the_command_gives_exactly_what_the_training_process_gives(command: Command) -> None:
    """The best weights are scored where they were trained, and by the command from the run folder."""
    fit = FitCommand("fit", ["--config", str(configs.base()), *SMALL])
    run = Path("runs/lstm-synthetic/2026-01-01_10-00-00")
    trainer = fit.instantiate_trainer(callbacks=[fit.config_init.checkpoint], logger=False, default_root_dir=str(run))
    trainer.fit(fit.model, datamodule=fit.datamodule)
    (run / "config.yaml").write_text(written_out(fit), "utf-8")
    for verb in ("validate", "test"):
        options = {"datamodule": fit.datamodule, "ckpt_path": "best", "weights_only": True, "verbose": False}
        (right_after,) = getattr(trainer, verb)(fit.model, **options)
        assert command(verb).code == 0
        assert _kept(run, verb) == right_after


def test_the_kept_numbers_are_those_of_the_test_sequences(command: Command, feature_run: Path) -> None:
    result = command("test")
    data = SyntheticSequences(num_train=300, num_val=100, num_test=90)
    data.setup("test")
    batch = data.test.__getitems__(list(range(90)))
    with torch.no_grad():
        logits = load(feature_run)(batch.inputs, batch.lengths)
    predicted = (logits > 0).long()
    kept = _kept(feature_run)
    assert kept["test_accuracy"] == pytest.approx((predicted == batch.targets).double().mean().item(), abs=1e-6)
    losses = np.logaddexp(0, np.where(batch.targets == 1, -1, 1) * logits.double().numpy())
    assert kept["test_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert measured(result) == pytest.approx(kept, abs=6e-5)
    assert result.out.splitlines()[-1].endswith("  (90 sequences)")


@pytest.mark.parametrize("run", ["feature_run", "review_run"])
def test_validating_gives_the_best_row_of_the_metrics(
    command: Command, run: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(run)
    result = command("validate")
    assert result.code == 0, result.err
    best = min(epochs(folder), key=lambda row: row["val_loss"])
    wanted = {name: value for name, value in best.items() if name.startswith("val_")}
    assert _kept(folder, "validate") == pytest.approx(wanted, abs=1e-6)
    assert measured(result) == pytest.approx(wanted, abs=6e-5)


def test_the_same_test_twice_is_the_same_number(command: Command, feature_run: Path) -> None:
    assert command("test").out == command("test").out
    first = _kept(feature_run)
    assert command("test", "--seed_everything=99").code == 0
    assert _kept(feature_run) == first


def test_it_says_which_checkpoint_it_took(command: Command, feature_run: Path) -> None:
    epoch = torch.load(feature_run / BEST, weights_only=True)["epoch"] + 1
    which = f"the best checkpoint of the newest run, {feature_run} (epoch {epoch})"
    assert command("test").out.splitlines()[0] == f"Testing {which}"
    assert command("validate").out.splitlines()[0] == f"Validating {which}"


def test_scoring_leaves_nothing_but_its_numbers(command: Command, feature_run: Path) -> None:
    before = {path for path in Path().rglob("*") if path.is_file()}
    for verb in ("test", "validate"):
        assert command(verb).code == 0
    after = {path for path in Path().rglob("*") if path.is_file()}
    names = ("test/metrics.json", "test/predictions.jsonl", "validate/metrics.json")
    assert after - before == {feature_run / name for name in names}


@pytest.mark.parametrize("which", ["metrics.json", "predictions.jsonl"])
def test_numbers_that_cannot_be_written_whole_leave_the_old_ones(
    command: Command, feature_run: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    assert command("test").code == 0
    before = {path: path.read_bytes() for path in (feature_run / "test").iterdir()}
    assert len(before) == 2
    write = files.write_synced

    def full(path: Path, content: bytes) -> None:
        if path.name.startswith(which):
            write(path, content[:1])
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(files, "write_synced", full)
    one_mistake(command("test", "--data.num_test=10"), f"{which} cannot be written: No space left on device")
    assert {path: path.read_bytes() for path in (feature_run / "test").iterdir()} == before


def test_the_recorded_data_is_used_unless_a_flag_changes_it(command: Command, feature_run: Path) -> None:
    assert recorded(feature_run)["data"]["init_args"]["num_test"] == 90
    assert "(90 sequences)" in command("test").out
    assert "(40 sequences)" in command("test", "--data.num_test=40").out
    assert "(100 sequences)" in command("validate", "--data.batch_size=7").out


def test_the_batch_size_does_not_change_the_numbers(command: Command, feature_run: Path) -> None:
    assert command("test", "--data.batch_size=90").code == 0
    whole = _kept(feature_run)
    for size in (1, 7):
        assert command("test", f"--data.batch_size={size}").code == 0
        assert _kept(feature_run) == pytest.approx(whole, rel=1e-5)


def test_reviews_are_encoded_with_the_vocabulary_of_the_checkpoint(command: Command, review_run: Path) -> None:
    """Not with one that is made from the data at hand, whatever its options say."""
    assert command("test").code == 0
    wanted = _kept(review_run)
    options = ("--data.vocab_size=5", "--data.max_length=3", "--data.truncate=head", "--data.split_seed=9")
    result = command("test", *options)
    assert result.code == 0, result.err
    assert _kept(review_run) == wanted
    # The options would have made another vocabulary.
    data = IMDb(recorded(review_run)["data"]["init_args"]["path"], vocab_size=5, max_length=3)
    data.setup("test")
    assert data.facts.encoder != load(review_run).encoder


def test_reviews_are_scored_as_raw_texts_are_predicted(command: Command, review_run: Path, archive: Path) -> None:
    from rnn_lightning.data.reviews import read

    assert command("test").code == 0
    reviews = read(archive)
    rows = np.flatnonzero(reviews.splits == 1)
    predictions = load(review_run).predict_text([reviews.texts[row] for row in rows])
    wanted = [("negative", "positive")[label] for label in reviews.labels[rows]]
    right = [prediction.label == label for prediction, label in zip(predictions, wanted, strict=True)]
    assert _kept(review_run)["test_accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_data_of_another_kind_is_refused_with_both_kinds(command: Command, review_run: Path, verb: str) -> None:
    said = one_mistake(command(verb, "--data=SyntheticSequences"), "the model was trained on text")
    assert "the data has sequences of 3 features and the classes 0, 1" in said
    assert not (review_run / verb).exists()


def test_a_checkpoint_outside_a_run_wants_data(command: Command, feature_run: Path) -> None:
    shutil.copy(feature_run / BEST, "alone.ckpt")
    shutil.rmtree("runs")
    for verb, what in (("test", "to test it on"), ("validate", "to validate it on"), ("predict", "to predict")):
        one_mistake(command(verb, "--ckpt_path", "alone.ckpt"), "alone.ckpt stands outside a run folder", what)
    result = command("test", "--ckpt_path=alone.ckpt", "--data=SyntheticSequences", "--data.num_test=90")
    assert result.code == 0, result.err
    assert result.out.startswith("Testing the checkpoint alone.ckpt (epoch ")
    assert "(90 sequences)" in result.out
    assert sorted(path.name for path in Path().iterdir()) == ["alone.ckpt"]


def test_a_checkpoint_in_a_project_with_a_config_of_its_own_is_outside_a_run(
    command: Command, feature_run: Path
) -> None:
    Path("models").mkdir()
    shutil.copy(feature_run / BEST, "models/mine.ckpt")
    Path("config.yaml").write_text("something: else\n")
    one_mistake(command("test", "--ckpt_path", "models/mine.ckpt"), "models/mine.ckpt stands outside a run folder")


def test_reviews_keep_their_scores_when_the_run_is_moved(command: Command, review_run: Path, archive: Path) -> None:
    assert command("test").code == 0
    wanted = _kept(review_run)
    shutil.move(review_run, "moved")
    result = command("test", "--ckpt_path", "moved")
    assert result.code == 0, result.err
    assert _kept(Path("moved")) == wanted


def test_a_model_of_reviews_is_the_same_from_either_order_of_configs(command: Command, archive: Path) -> None:
    small = (*SMALL_REVIEWS[2:], f"--data.path={archive}", "--trainer.max_epochs=1")
    numbers = []
    for order in (("lstm.yaml", "imdb.yaml"), ("imdb.yaml", "lstm.yaml"), ("imdb.yaml",)):
        options = [word for name in order for word in ("--config", name)]
        assert command("fit", *options, *small).code == 0
        numbers.append(epochs(only_run()))
        shutil.rmtree("runs")
    assert numbers[0] == numbers[1] == numbers[2]


def test_the_number_of_sequences_is_told_only_where_all_were_scored(command: Command, feature_run: Path) -> None:
    assert command("test").out.rstrip().endswith("(90 sequences)")
    assert "sequences" not in command("test", "--trainer.limit_test_batches=1").out.splitlines()[-1]
    assert command("test", "--data.num_test=1").out.rstrip().endswith("(1 sequence)")


@pytest.mark.parametrize(("verb", "part"), [("test", "test"), ("validate", "val")])
def test_nothing_to_score_is_a_mistake(command: Command, feature_run: Path, verb: str, part: str) -> None:
    one_mistake(command(verb, f"--trainer.limit_{part}_batches=0"), "nothing was scored", f"leave no batch to {verb}")
    assert not (feature_run / verb).exists()


def test_a_folder_that_cannot_be_made_is_told(command: Command, feature_run: Path) -> None:
    (feature_run / "test").write_text("in the way")
    one_mistake(command("test"), "test/metrics.json cannot be written")
    assert (feature_run / "test").read_text() == "in the way"
