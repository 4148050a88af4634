"""Shells complete the command: each is asked itself, and no other program is started for an answer."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from rnn_lightning.cli import completion, configs
from rnn_lightning.cli.verbs import VERBS
from tests.cli.helpers import one_mistake
from tests.conftest import Command

ROOT = Path(__file__).parents[2]

_ASK = {
    "bash": """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_rnn_lightning
printf '%s\\n' "${COMPREPLY[@]}"
""",
    # What zsh offers, its own functions say: they are replaced by ones that print it.
    "zsh": """
compdef() { }
compset() { }
offer() { local item; for item in "$@"; do [[ $item == ${cur}* ]] && print -r -- "$item"; done }
compadd() { while [[ $1 != -- ]]; do shift; done; shift; offer "$@" }
_describe() { local name=${@[-1]}; local -a all=("${(@P)name}"); offer "${all[@]%%:*}" }
_files() { [[ $1 == -g ]] && offer *.yaml(N) || offer *(N) }
source "$1"; shift
words=("$@") CURRENT=$#
_rnn-lightning
""",
    "fish": """
source $argv[1]
complete -C "$argv[2..]" | string replace -r '\\t.*' ''
""",
}


def _found(shell: str) -> object:
    missing = shutil.which(shell) is None
    return pytest.param(shell, marks=pytest.mark.skipif(missing, reason=f"{shell} is not installed"))


@pytest.fixture(params=[_found(shell) for shell in completion.SHELLS])
def shell(request: pytest.FixtureRequest) -> str:
    """A shell that is installed."""
    name: str = request.param
    return name


def _offered(shell: str, *words: str) -> list[str]:
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    program = str(shutil.which(shell))
    asked = [program, *options, "-c", _ASK[shell], *([] if shell == "fish" else [shell])]
    given = [*asked, str(completion.path(shell)), "rnn-lightning", *words]
    # Nothing is found on this path: what the answer needs, the shell has.
    done = subprocess.run(given, capture_output=True, text=True, check=False, env={"PATH": "/nowhere", "HOME": "."})
    assert done.stderr == ""
    return sorted(line for line in done.stdout.splitlines() if line)


CASES = {
    "a verb": (("f",), ["find-batch-size", "find-lr", "fit"]),
    "a cell": (("fit", "--model.cell", "lst"), ["lstm", "lstm_ln"]),
    "a pooling": (("fit", "--model.pooling", "me"), ["mean", "mean_max", "mean_max_last"]),
    "true or false": (("fit", "--model.bidirectional", ""), ["false", "true"]),
    "a data set": (("test", "--data", "I"), ["IMDb"]),
    "an optimiser": (("fit", "--optimizer", "Adam"), ["Adam", "AdamW", "Adamax"]),
    "an option": (("fit", "--model.poo"), ["--model.pooling"]),
    "an option of the Trainer": (("fit", "--trainer.max_"), ["--trainer.max_epochs", "--trainer.max_steps"]),
    "an option of a verb's own": (("predict", "--te"), ["--text"]),
    "no option of another verb": (("test", "--model."), []),
    "no value that nobody knows": (("fit", "--model.hidden_size", ""), []),
    "a config": (("fit", "--config", "m"), ["mingru.yaml", "minlstm.yaml", "mine.yaml"]),
    "a preset": (("fit", "-c", "presets/g"), ["presets/gradients.yaml"]),
    "a config of several": (("compare", "--rows", "lstm.yaml", "gru_"), ["gru_ln.yaml"]),
    "a run": (("test", "--run", "runs/l"), ["runs/lstm-synthetic/2026-11-22_09-14-03"]),
    "a run without an option": (("report", "runs/l"), ["runs/lstm-synthetic/2026-11-22_09-14-03"]),
    "a checkpoint": (("test", "--ckpt_path", "be"), ["best"]),
    "a file": (("predict", "--file", "no"), ["notes.txt"]),
    "a file of the data": (("fit", "--data.path", "no"), ["notes.txt"]),
    "what is listed": (("list", "pl"), ["plugins"]),
    "a shell": (("completion", "z"), ["zsh"]),
    "after a switch": (("test", "--json", "--ru"), ["--run"]),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_shell_completes(workplace: Path, shell: str, kind: str) -> None:
    run = Path("runs/lstm-synthetic/2026-11-22_09-14-03")
    run.mkdir(parents=True)
    (run / "config.yaml").touch()
    Path("mine.yaml").touch()
    Path("notes.txt").touch()
    words, wanted = CASES[kind]
    found = _offered(shell, *words)
    # An option of the Trainer may have come with another version of Lightning.
    assert set(found) >= set(wanted) if "Trainer" in kind else found == sorted(wanted)


@pytest.mark.parametrize("words", [("=", "lst"), ("=",)])
def test_bash_completes_a_value_after_the_sign_of_equality(workplace: Path, words: tuple[str, ...]) -> None:
    assert {"lstm", "lstm_ln"} <= set(_offered("bash", "fit", "--model.cell", *words))


def test_a_script_knows_every_verb_and_its_options(shell: str) -> None:
    script = completion.path(shell).read_text("utf-8")
    for verb, of_verb in VERBS.items():
        assert re.search(rf"\b{verb}\b", script)
        for option in of_verb.options:
            assert option.flag.lstrip("-") in script
    for name in configs.shipped():
        assert name in script


def test_the_scripts_are_as_they_would_be_made_now() -> None:
    pinned = (ROOT / "constraints.txt").read_text("utf-8")
    if not all(f"{name}=={version(name).partition('+')[0]}\n" in pinned for name in ("torch", "lightning")):
        pytest.skip("the options are those of the torch and lightning in constraints.txt")
    for name, script in completion.scripts().items():
        made_again = completion.path(name).read_text("utf-8") == script
        assert made_again, "run: python -m rnn_lightning.cli.completion --write"


@pytest.mark.parametrize("name", completion.SHELLS)
def test_the_verb_prints_the_script(command: Command, name: str) -> None:
    assert command("completion", name) == (0, completion.path(name).read_text("utf-8"), "")


@pytest.mark.parametrize("words", [(), ("bahs",), ("bash", "zsh")])
def test_a_shell_that_is_none_is_told(command: Command, words: tuple[str, ...]) -> None:
    said = one_mistake(command("completion", *words), "completion wants the name of a shell: bash, zsh, fish")
    assert ("did you mean 'bash'?" in said) == (words == ("bahs",))
