"""Models that begin with others: what they take over, at which rate it is trained, and that they stand alone then."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from rnn_lightning import Facts, LanguageModel, SequenceClassifier, SequenceTagger, SequenceTask, TextEncoder, load
from rnn_lightning.batch import UNKNOWN, Batch
from rnn_lightning.tasks.schedule import OneCycle
from rnn_lightning.tasks.transfer import made_with_shares
from tests.conftest import Command
from tests.tasks.helpers import LETTER_FACTS, LETTERS, TWO, Batches, language_model, saved, silent_trainer

OTHERS = TextEncoder("xhgba", unit="spaced_word")
"""Letters in another order; x is new, and c to f are missing."""
OTHER_FACTS = Facts(None, TWO, OTHERS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The checkpoint of a language model."""
    return saved(language_model(), tmp_path / "forward.ckpt")


def _classifier(*paths: Path, facts: Facts = OTHER_FACTS, **options: Any) -> SequenceClassifier:
    torch.manual_seed(1)
    model = SequenceClassifier(
        **{"hidden_size": 6, "embedding_size": 5, "init_from": [str(path) for path in paths], **options}
    )
    model.adopt(facts)
    model.on_fit_start()
    return model


def _state(model: SequenceTask) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_each_word_keeps_its_vector_and_a_new_one_gets_that_of_the_unknown(source: Path) -> None:
    model, before = _classifier(source), load(source)
    own, theirs = model.embedding.vectors.weight, before.get_parameter("embedding.vectors.weight")
    for row, letter in enumerate(OTHERS.words, 2):
        known = LETTERS.words.index(letter) + 2 if letter in LETTERS.words else UNKNOWN
        assert torch.equal(own[row], theirs[known])
    assert torch.equal(own[UNKNOWN], theirs[UNKNOWN])
    assert not own[0].any()


def test_what_goes_through_the_layers_is_what_went_through_the_others(source: Path) -> None:
    model, before = _classifier(source).eval(), load(source)
    text = ["a b g h h"]
    ours, theirs = OTHERS.batch(text), LETTERS.batch(text)
    output, _ = model.recurrent(model.embedding(ours.inputs), ours.lengths)
    recurrent, embedding = before.get_submodule("recurrent"), before.get_submodule("embedding")
    assert torch.equal(output, recurrent(embedding(theirs.inputs), theirs.lengths)[0])


def test_the_head_begins_as_ever(source: Path) -> None:
    begun, alone = _classifier(source), _classifier()
    assert torch.equal(begun.head[0].weight, alone.head[0].weight)


def test_two_models_give_the_two_directions(source: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    backward = language_model()
    for parameter in backward.parameters():
        parameter.data.mul_(-0.5)
    other = saved(backward, tmp_path / "backward.ckpt")
    model = _classifier(source, other, bidirectional=True)
    layer = model.recurrent.layers[0]
    for direction, path in (("forward_layer", source), ("backward_layer", other)):
        theirs = load(path).get_submodule("recurrent.layers.0").state_dict()
        ours = layer.get_submodule(direction).state_dict()
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_one_model_of_both_directions_is_taken_as_it_is(tmp_path: Path) -> None:
    tagger = SequenceTagger(hidden_size=3, embedding_size=5, bidirectional=True, num_layers=2)
    facts = Facts(None, TWO, LETTERS, per_step=True)
    tagger.adopt(facts)
    path = saved(tagger, tmp_path / "tagger.ckpt")
    model = _classifier(path, hidden_size=3, bidirectional=True, num_layers=2)
    theirs = load(path).get_submodule("recurrent").state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.recurrent.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 7}, "its recurrent layers are 1 x lstm 6 on 5 features, here they are 1 x lstm 7 on 5"),
        ({"hidden_size": 7}, "give --model.cell lstm --model.hidden_size 6 --model.num_layers 1, and"),
        ({"cell": "gru"}, "here they are 1 x gru 6 on 5 features"),
        ({"embedding_size": 9}, "its tokens have 5 features, here they have 9: give --model.embedding_size 5"),
        ({"facts": Facts(5, TWO)}, "it was trained on text by the spaced_word, this is to be on features"),
        (
            {"facts": Facts(None, TWO, TextEncoder("ab", unit="character"))},
            "it was trained on text by the spaced_word, this is to be on text by the character",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused(source: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^init_from .*forward\.ckpt: ") as error:
        _classifier(source, **options)
    assert message in str(error.value)


def test_more_models_than_directions_are_refused(source: Path) -> None:
    with pytest.raises(ValueError, match="init_from names 2 models: this one begins with one for each direction"):
        _classifier(source, source)
    with pytest.raises(ValueError, match="a bidirectional one two, the forward and the backward one"):
        _classifier(source, source, source, bidirectional=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_lr": 0.5}, "init_lr is 0.5, but the model begins with nothing trained: give init_from"),
        ({"gradual_unfreezing": True}, "gradual_unfreezing is True, but the model begins with nothing trained"),
        ({"init_lr": 0.0, "init_from": "a"}, "init_lr is 0.0; it must be above 0"),
        ({"vectors": "a", "init_from": "a"}, "vectors and init_from both say what the embedding begins with"),
    ],
)
@pytest.mark.parametrize("task", [SequenceClassifier, SequenceTagger, LanguageModel])
def test_options_without_their_model(task: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        task(**options)


def test_what_was_begun_with_has_its_share_of_the_rate_through_a_schedule(source: Path) -> None:
    model = _classifier(source, init_lr=0.25)
    optimizer = made_with_shares(model, lambda groups: torch.optim.SGD(groups, lr=0.4))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(0.1 if name.startswith(("embedding", "recurrent")) else 0.4)
    schedule = OneCycle(optimizer, warmup=0.5)
    schedule.total_steps = 10
    for _ in range(10):
        rest, begun = (group["lr"] for group in optimizer.param_groups)
        assert begun == pytest.approx(rest / 4)
        optimizer.step()
        schedule.step()


def test_a_tied_output_layer_is_not_trained_twice(source: Path) -> None:
    torch.manual_seed(0)
    model = LanguageModel(hidden_size=6, embedding_size=5, tie_embedding=True, init_from=str(source), init_lr=0.5)
    model.adopt(LETTER_FACTS)
    optimizer = made_with_shares(model, lambda groups: torch.optim.SGD(groups, lr=1.0))
    listed = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


class _Kept(Callback):
    """Keeps the weights after each epoch."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.states.append(_state(pl_module))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.states.append(_state(pl_module))


BATCH = Batch(torch.tensor([[2, 3, 4], [5, 6, 1]]), torch.tensor([3, 3]), torch.tensor([0, 1]))


def test_gradual_unfreezing_goes_from_the_head_down_to_the_embedding(tmp_path: Path) -> None:
    path = saved(language_model(num_layers=2), tmp_path / "two.ckpt")
    model, kept = _classifier(path, num_layers=2, gradual_unfreezing=True), _Kept()
    silent_trainer(max_epochs=4, callbacks=[kept]).fit(model, datamodule=Batches(OTHER_FACTS, [BATCH]))
    changed = [
        {name.rpartition(".")[0] for name in one if not torch.equal(one[name], other[name])}
        for one, other in pairwise(kept.states)
    ]
    head, upper, lower, words = "head.0", "recurrent.layers.1", "recurrent.layers.0", "embedding.vectors"
    assert changed == [{head}, {head, upper}, {head, upper, lower}, {head, upper, lower, words}]


def test_the_checkpoint_of_such_a_model_stands_alone(source: Path, tmp_path: Path) -> None:
    path = saved(_classifier(source), tmp_path / "own.ckpt")
    before = load(path).predict_text(["a b x", ""])
    source.unlink()
    assert load(path).predict_text(["a b x", ""]) == before


@pytest.fixture
def pretrained(command: Command, workplace: Path) -> Path:
    """The run of a language model on own texts."""
    rows = [f"good word{n},pos\nbad word{n},neg" for n in range(10)]
    Path("own.csv").write_text("\n".join(["text,label", *rows]) + "\n", "utf-8")
    language = ("--model=LanguageModel", "--data.targets=next_token", "--data.num_steps=4")
    assert command("fit", *OWN, *language).code == 0
    (run,) = Path("runs/lstm-own_text").iterdir()
    return run


OWN = (
    *("--data=TextFiles", "--data.path=own.csv", "--data.batch_size=4", "--trainer.max_epochs=2"),
    *("--model.hidden_size=6", "--model.embedding_size=5"),
)


def test_the_command_begins_with_a_run_by_its_name_and_goes_on_without_it(command: Command, pretrained: Path) -> None:
    result = command("fit", *OWN, f"--model.init_from={pretrained.name}", "--model.init_lr=0.4")
    assert result.code == 0, result.err
    assert "it knows 12 of the 12 words of the vocabulary (100.0 %)" in result.err
    shutil.rmtree(pretrained)
    assert command("test").code == 0
    resumed = command("fit", "--resume", "--trainer.max_epochs=3")
    assert resumed.code == 0, resumed.err
    assert "epoch 3/3" in resumed.out


def test_both_directions_by_the_command(command: Command, pretrained: Path) -> None:
    backward = ("--model=LanguageModel", "--data.targets=previous_token", "--data.num_steps=4")
    begun = command("fit", *OWN, *backward, f"--model.init_from={pretrained}", "--model.freeze_vectors=true")
    assert begun.code == 0, begun.err
    (other,) = Path("runs/lstm-own_text_backward").iterdir()
    both = f"--model.init_from=[{pretrained},{other}]"
    assert command("fit", *OWN, both, "--model.bidirectional=true").code == 0
    # Where the vectors stay as they are, both directions know the same ones.
    vectors = [load(run).get_parameter("embedding.vectors.weight") for run in (pretrained, other)]
    assert torch.equal(*vectors)


def test_wrong_beginnings_by_the_command(command: Command, pretrained: Path) -> None:
    for words, message in (
        (["--model.init_from=lstm-own_txt"], "there is no run 'lstm-own_txt' under runs/"),
        (["--model.init_from=own.csv"], "own.csv is not a checkpoint, or is damaged"),
        ([f"--model.init_from={pretrained}", "--model.cell=gru"], "here they are 1 x gru 6 on 5 features"),
        (["--model.init_lr=0.5"], "init_lr is 0.5, but the model begins with nothing trained"),
    ):
        result = command("fit", *OWN, *words)
        assert (result.code, message in result.err) == (2, True), result.err
