"""What the command answers at once, before anything heavy is imported."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

import rnn_lightning
from rnn_lightning.cli.verbs import VERBS
from tests.conftest import Command

_HEAVY = ("torch", "lightning", "jsonargparse", "numpy")


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        ((), 0, "usage: rnn-lightning VERB [options]"),
        (("--help",), 0, "usage: rnn-lightning VERB [options]"),
        (("-h",), 0, "usage: rnn-lightning VERB [options]"),
        (("fit", "--help"), 0, "--model.hidden_size = 128"),
        (("fit", "--config", "gru.yaml", "-h"), 0, "--model.cell = gru"),
        (("test", "--help"), 0, "usage: rnn-lightning test "),
        (("list",), 0, "Long short-term memory"),
        (("list", "configs"), 0, "imdb.yaml"),
        (("list", "runs"), 0, "(none)"),
        (("completion", "bash"), 0, "complete -F _rnn_lightning rnn-lightning"),
        (("list", "layer"), 2, "did you mean 'layers'?"),
        (("--version",), 0, f"rnn-lightning {rnn_lightning.__version__}\n"),
        (("fitt",), 2, f"there is no verb 'fitt'; there are {', '.join(VERBS)}; did you mean 'fit'?"),
        (("trian",), 2, f"there is no verb 'trian'; there are {', '.join(VERBS)}"),
        (("--config", "lstm.yaml"), 2, "there is no verb '--config'"),
        (("fit", "--config", "lstmm.yaml"), 2, "did you mean 'lstm.yaml'?"),
        (("fit", "-c", "imbd"), 2, "did you mean 'imdb.yaml'?"),
        (("test", "--config=nothing-like-it"), 2, "no config 'nothing-like-it' here or among the shipped ones"),
        (("fit", "--config"), 2, "--config wants the name of a config, such as lstm.yaml"),
        (("fit", "--config", "broken.yaml"), 2, "broken.yaml, line 2: this is not YAML"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_torch_is_not_imported_for(python: Command, argv: tuple[str, ...], code: int, said: str) -> None:
    Path("broken.yaml").write_text("model: {cell: lstm\ndata: x\n")
    lines = (
        "import sys; from rnn_lightning.cli import main\n"
        "code = main(sys.argv[1:])\n"
        f"print('heavy:', *(name for name in {_HEAVY} if name in sys.modules), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    result = python(lines, *argv)
    assert result.code == code
    *told, heavy = result.err.splitlines()
    assert heavy == "heavy:"
    assert said in (result.out if code == 0 else result.err)
    if code == 0:
        assert told == []
    else:
        assert result.out == ""
        assert len(told) == 1
        assert told[0].startswith("rnn-lightning: ")


def test_the_usage_names_each_verb(command: Command) -> None:
    usage = command("--help").out
    for name, verb in VERBS.items():
        assert re.search(rf"^  {name} +{re.escape(verb.what)}$", usage, re.MULTILINE), name


def test_the_installed_command_says_its_version(installed: Command) -> None:
    assert installed("--version") == (0, f"rnn-lightning {rnn_lightning.__version__}\n", "")


def test_the_module_is_the_command(python: Command) -> None:
    lines = "import runpy; runpy.run_module('rnn_lightning', run_name='__main__', alter_sys=True)"
    assert python(lines, "--version") == (0, f"rnn-lightning {rnn_lightning.__version__}\n", "")
    assert python(lines, "fitt").code == 2


def test_without_words_of_its_own_it_takes_those_of_the_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rnn-lightning", "--version"])
    assert rnn_lightning.cli.main() == 0
    assert capsys.readouterr().out.startswith("rnn-lightning 0.")


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_help_before_there_is_any_run(command: Command, verb: str) -> None:
    result = command(verb, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"usage: rnn-lightning {verb} ")
    for option in VERBS[verb].options:
        assert f"\n  {option.flag} {option.value}".rstrip() in result.out
    assert list(Path().iterdir()) == []


def test_the_help_of_fit_fits_two_screens_and_says_the_defaults(command: Command) -> None:
    lines = command("fit", "--config", "imdb.yaml", "--help").out.splitlines()
    assert len(lines) <= 2 * 30
    assert max(map(len, lines)) <= 105
    for start in (
        *("  --model.cell = lstm ", "  --model.hidden_size = 128 ", "  --model.pooling = mean_max  "),
        *("  --data CLASS = IMDb ", "  --data.max_length = 400 ", "  --trainer.max_epochs = 3 "),
        *("  --optimizer.lr = 0.004 ", "  --early_stopping.patience = 4 ", "  --seed_everything = 1234 "),
    ):
        assert any(line.startswith(start) for line in lines), start


def test_the_options_that_the_help_shows_are_those_that_fit_has(command: Command) -> None:
    shown = re.findall(r"^  (--[\w.-]+)", command("fit", "--help").out, re.MULTILINE)
    own = {option.flag for option in VERBS["fit"].options}
    assert own < set(shown)
    everything = command("fit", "--print_config").out
    settings = yaml.safe_load(everything)
    for option in shown:
        if option not in ("--config", "--plugins", "--allow-imports", *own):
            section, _, name = option.removeprefix("--").partition(".")
            assert section in settings, option
            where = settings[section]
            assert not name or name in {**where, **where.get("init_args", {})}, option


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict", "baseline"])
def test_with_v_the_help_shows_every_option(command: Command, verb: str) -> None:
    result = command(verb, "--help", "-v")
    assert result.code == 0
    assert result.out.startswith(f"usage: rnn-lightning {verb} ")
    for option in [f"--{section}" for section in VERBS[verb].sections if section != "model"]:
        assert f"\n  {option}" in result.out, option
    assert list(Path().iterdir()) == []


def test_the_classes_a_section_can_have_are_explained(command: Command) -> None:
    result = command("fit", "--model.help", "SequenceClassifier")
    assert result.code == 0
    assert "short name of the recurrent layer: rnn, lstm, gru, rnn_ln, lstm_ln" in " ".join(result.out.split())
