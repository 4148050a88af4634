"""`--plugins my_layer.py`: its classes train and are scored, and only the command line loads it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning import load, registry
from rnn_lightning.cli import plugins
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.cli.helpers import losses, one_mistake, only_run
from tests.conftest import SMALL, Command

FILE = """\
import torch
from rnn_lightning import RecurrentLayer, SequenceClassifier, SyntheticSequences


class _Base(RecurrentLayer):
    pass


class LeakyUnit(_Base):
    def __init__(self, input_size: int, hidden_size: int, keep: float = 0.5) -> None:
        super().__init__(input_size, hidden_size)
        if not 0 <= keep <= 1:
            raise ValueError(f"keep is {keep}; it must be from 0 to 1")
        self.keep = keep
        self.map = torch.nn.Linear(input_size, hidden_size)

    def step(self, x_t, state=None):
        (h,) = self.begin(x_t, state)
        h = self.keep * h + torch.tanh(self.map(x_t))
        return h, (h,)


class Murmurs(SyntheticSequences):
    name = "murmurs"


class Listener(SequenceClassifier):
    pass
"""
LEAKY = ("--model.cell", "leaky_unit")
PLUGIN = ("--plugins", "leaky_file.py")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test has loaded is not there for the next one."""
    yield
    plugins.load([])


@pytest.fixture
def file(workplace: Path) -> Path:
    Path("leaky_file.py").write_text(FILE, "utf-8")
    return Path("leaky_file.py")


def _without(command: Command, *words: str) -> str:
    """What the command says of a mistake, in words, that is not there with the plugin."""
    return one_mistake(command(*words)).partition("rnn-lightning: ")[2].strip()


def test_a_layer_of_a_file_trains_and_is_scored(command: Command, file: Path) -> None:
    result = command("fit", *PLUGIN, *LEAKY, "--model.cell_options", "{keep: 0.25}", *SMALL)
    assert result.code == 0, result.err
    run = only_run()
    assert run.parent.name == "leaky_unit-synthetic"
    assert "LeakyUnit 3 -> 8" in result.out
    assert "Next: rnn-lightning test --plugins=leaky_file.py  ·" in result.out
    assert losses(result)[-1] < losses(result)[0]
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint[CHECKPOINT_KEY]["plugins"] == ["leaky_file.py"]
    for verb in ("test", "predict", "report"):
        result = command(verb, *PLUGIN)
        assert result.code == 0, result.err
    assert command("report").code == 0
    needs = "the checkpoint needs the recurrent layer 'leaky_unit' from the file leaky_file.py"
    for words in (["test"], ["predict"], ["fit", "--resume"]):
        assert _without(command, *words) == f"{needs}: give --plugins leaky_file.py"
    with pytest.raises(ValueError, match=needs):
        load(run)


def test_task_and_data_of_a_file_are_found_by_their_names(command: Command, file: Path) -> None:
    result = command("fit", *PLUGIN, *LEAKY, "--model=Listener", "--data=Murmurs", *SMALL)
    assert result.code == 0, result.err
    run = only_run()
    assert run.parent.name == "leaky_unit-murmurs"
    assert "(90 sequences)" in command("test", *PLUGIN).out
    needs = "the checkpoint needs the task 'Listener' and the recurrent layer 'leaky_unit' from the file leaky_file.py"
    assert _without(command, "test") == f"{needs}: give --plugins leaky_file.py"
    assert command("fit", *PLUGIN, f"--config={run / 'config.yaml'}", "--trainer.max_epochs=1").code == 0


def test_data_of_a_file_that_is_not_given_is_told(command: Command) -> None:
    said = _without(command, "fit", "--data", "unheard_file.Murmurs")
    assert said.startswith("data: 'unheard_file.Murmurs' is not imported")
    assert "(if it is in a file of yours: --plugins unheard_file.py; " in said


def test_the_file_may_have_moved(command: Command, file: Path) -> None:
    assert command("fit", *PLUGIN, *LEAKY, *SMALL).code == 0
    Path("elsewhere").mkdir()
    file.rename("elsewhere/leaky_file.py")
    assert command("test", "--plugins=elsewhere/leaky_file.py").code == 0


def test_a_file_that_lost_the_layer_is_told_with_what_there_is(command: Command, file: Path) -> None:
    assert command("fit", *PLUGIN, *LEAKY, *SMALL).code == 0
    file.write_text(FILE.replace("LeakyUnit", "LeakierUnit"), "utf-8")
    one_mistake(command("test", *PLUGIN), "there is no recurrent layer 'leaky_unit'", "did you mean 'leakier_unit'?")


def test_neither_config_nor_checkpoint_loads_a_file(command: Command, file: Path) -> None:
    assert command("fit", *PLUGIN, *LEAKY, "--data=Murmurs", *SMALL).code == 0
    for name in ("leaky_file.py", "unread_file.py"):
        Path(name).write_text(f"{FILE}\nopen('was_read', 'w')\n", "utf-8")
    assert command("test").code == 2
    for config in ({"plugins": ["unread_file.py"]}, {"data": "unread_file.Murmurs"}):
        Path("own.yaml").write_text(yaml.safe_dump(config), "utf-8")
        assert command("fit", "--config=own.yaml").code == 2
    assert not Path("was_read").exists()
    assert command("test", *PLUGIN).code == 0
    assert Path("was_read").exists()


def test_a_comparison_passes_the_file_on(command: Command, file: Path) -> None:
    own = "own: rnn.yaml --model.cell leaky_unit"
    words = ("compare", *PLUGIN, "--rows", own, "--columns=synthetic: rnn.yaml", "--seeds=1", *SMALL)
    result = command(*words)
    assert result.code == 0, result.err
    assert "[1/1]" in result.out
    assert "[1/1]" not in command(*words).out


def test_a_changed_file_is_another_one_for_a_comparison(file: Path) -> None:
    plugins.load(["leaky_file.py"])
    before = plugins.fingerprints()
    assert before[0].startswith("--plugins=leaky_file.py ")
    file.write_text(f"{FILE}\n# changed\n", "utf-8")
    assert plugins.fingerprints() != before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = (1\n", "bad.py, line 1: '(' was never closed"),
        (
            "import os\nimport nothing_like_it\n",
            "bad.py, line 2: ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        (
            "def f():\n    return torhc\n\n\nf()\n",
            "bad.py, line 2: NameError: name 'torhc' is not defined\n    return torhc",
        ),
        (
            "import sys\nsys.exit(0)\n",
            "bad.py, line 2: it ends the program; what is not for others belongs under if __name__",
        ),
        ("x = 1\n", "bad.py defines no RecurrentLayer, SequenceTask or SequenceData"),
        ("from rnn_lightning import SequenceClassifier\n", "bad.py defines no RecurrentLayer"),
        ("x = '\0'\n", "bad.py cannot be read: source code string cannot contain null bytes"),
        ("from rnn_lightning import RecurrentLayer as R\nclass Unit(R):\n    pass\n", "bad.py: Unit lacks step"),
        (
            FILE.replace("LeakyUnit", "GRU"),
            "bad.py: there is a recurrent layer 'gru' already, from rnn-lightning: call the",
        ),
    ],
    ids=range(9),
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(
    command: Command, workplace: Path, content: str, said: str
) -> None:
    Path("bad.py").write_text(content, "utf-8")
    one_mistake(command("test", "--plugins", "bad.py"), said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plugins",), "--plugins wants a Python file, such as my_layer.py"),
        (("--plugins=",), "--plugins wants a Python file"),
        (("--plugins", "none.py"), "--plugins: there is no file none.py"),
        (("--plugins", "."), "--plugins: . is a folder"),
        (("--plugins", "leaky-file.py"), "leaky-file.py is not called as a Python module"),
        (("--plugins", "leaky_file.txt"), "leaky_file.txt is not called as a Python module"),
        (("--plugins", "class.py"), "class.py is not called as a Python module"),
        (("--plugins", "json.py"), "json.py has the name of another module"),
        (("--plugins", "sys.py"), "sys.py has the name of another module, sys"),
        (("--plugins", "__main__.py"), "__main__.py has the name of another module"),
        ((*PLUGIN, "--plugins", "other/leaky_file.py"), "other/leaky_file.py has the name of another module"),
        ((*PLUGIN, "--plugins", "other/again.py"), "recurrent layer 'leaky_unit' already, from leaky_file.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_file_that_cannot_be_named_is_told(command: Command, file: Path, words: tuple[str, ...], said: str) -> None:
    Path("other").mkdir()
    names = ("leaky-file.py", "leaky_file.txt", "class.py", "json.py", "sys.py", "__main__.py")
    for name in (*names, "other/leaky_file.py", "other/again.py"):
        Path(name).write_text(FILE, "utf-8")
    one_mistake(command("test", *words), said)


def test_the_same_file_may_be_given_twice_and_may_import_its_neighbour(command: Command, file: Path) -> None:
    Path("leaky_neighbour.py").write_text("KEEP = 0.5\n", "utf-8")
    file.write_text(f"import leaky_neighbour\n{FILE}", "utf-8")
    result = command("fit", *PLUGIN, "--plugins=./leaky_file.py", *LEAKY, *SMALL)
    assert result.code == 0, result.err
    sys.modules.pop("leaky_neighbour")


def test_an_error_in_the_users_own_code_names_its_line(command: Command, file: Path) -> None:
    file.write_text(FILE.replace("self.keep * h", "self.keep @ h"), "utf-8")
    result = command("fit", *PLUGIN, *LEAKY, *SMALL)
    assert result.code == 1
    assert result.err.splitlines() == [
        "rnn-lightning: leaky_file.py, line 19, in step: "
        "TypeError: unsupported operand type(s) for @: 'float' and 'Tensor'",
        "    h = self.keep @ h + torch.tanh(self.map(x_t))",
        "(RNN_LIGHTNING_DEBUG=1 shows the whole traceback)",
    ]


def test_a_value_that_the_users_own_code_refuses_is_a_mistake(command: Command, file: Path) -> None:
    said = one_mistake(command("fit", *PLUGIN, *LEAKY, "--model.cell_options", "{keep: 2.0}", *SMALL))
    assert said == "rnn-lightning: leaky_file.py: keep is 2.0; it must be from 0 to 1\n"
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("class_name", "name"),
    [("Leaky", "leaky"), ("MyCell", "my_cell"), ("LeakyGRU", "leaky_gru"), ("GRUCell", "gru_cell"), ("LSTM2", "lstm2")],
)
def test_a_layer_is_called_as_its_class_in_small_letters(class_name: str, name: str) -> None:
    assert plugins.short_name(class_name) == name


@given(st.lists(st.sampled_from(["fit", "--a", "--a=b", "-1", "--plugins=x.py", "--text", "a b"])))
def test_other_words_stay_as_they_are(words: list[str]) -> None:
    files, left = plugins.taken(words)
    assert files == ["x.py"] * words.count("--plugins=x.py")
    assert left == [word for word in words if word != "--plugins=x.py"]
    assert plugins.taken([part for word in words for part in word.split("=")])[0] == files


def test_a_class_of_a_notebook_is_added_and_taken_away() -> None:
    class Echo:
        pass

    registry.add("layers", "echo", Echo, "notebook")
    registry.add("layers", "echo", Echo, "notebook")  # the same cell once more
    assert registry.resolve("layers", "echo") is Echo
    assert registry.source("layers", "echo") == "notebook"
    assert "echo" in registry.names("layers")
    with pytest.raises(ValueError, match="there is a recurrent layer 'echo' already, from notebook"):
        registry.add("layers", "echo", Echo, "another notebook")
    with pytest.raises(ValueError, match="there is a recurrent layer 'lstm' already, from rnn-lightning"):
        registry.add("layers", "lstm", Echo, "notebook")
    with pytest.raises(ValueError, match="there is a data set 'IMDb' already"):
        registry.add("data", "IMDb", Echo, "notebook")
    registry.forget("notebook")
    assert "echo" not in registry.names("layers")
