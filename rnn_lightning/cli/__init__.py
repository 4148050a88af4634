"""The command `rnn-lightning`: a light front door that answers what it can before torch is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from rnn_lightning.cli import errors, signals
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.streams import make_safe
from rnn_lightning.cli.verbs import VERBS
from rnn_lightning.registry import did_you_mean

_HELP, _VERBOSE = {"-h", "--help"}, {"-v", "--verbose"}


def usage() -> str:
    """What the command says of itself."""
    width = max(map(len, VERBS)) + 2
    verbs = "\n".join(f"  {name:{width}}{verb.what}" for name, verb in VERBS.items())
    return f"""\
usage: rnn-lightning VERB [options]

{verbs}

  rnn-lightning fit --config lstm.yaml                       train on synthetic sequences, nothing to download
  rnn-lightning fit --config lstm.yaml --config imdb.yaml    train on the IMDb reviews
  rnn-lightning test                                         score the newest run
  rnn-lightning predict --text "A small miracle of a film."
  rnn-lightning fit --config next_word.yaml                  a language model of five words, or of --data.path FILE
  rnn-lightning fit --plugins my_layer.py                    with what is defined in a Python file of yours
  rnn-lightning VERB --help                                  the options of a verb
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the words after `rnn-lightning`; None takes those of the process.

    Returns:
        The exit code: 0, or 2 for a mistake of the user's, 1 for a training or an export that fails, and 130 or 143
        where SIGINT (Ctrl-C) or SIGTERM stopped it; each of these is told in a line or two on standard error.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    make_safe()
    with signals.handled():
        return _run(words)


def _run(words: list[str]) -> int:
    try:
        code = _answered(words)
        sys.stdout.flush()
        signals.check()
        return code
    except BrokenPipeError:
        # Whoever read the output has seen enough, as `head` has. What is still in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, SystemExit) as stop:
        # Where somebody has pressed Ctrl-C, Lightning asks for the end of the process.
        interruption = stop if isinstance(stop, KeyboardInterrupt) else stop.__context__
        if not isinstance(interruption, KeyboardInterrupt):
            raise
        return errors.report_interruption(interruption)
    except Exception as error:
        if os.environ.get("RNN_LIGHTNING_DEBUG"):
            raise
        return errors.report(error)


def _answered(words: list[str]) -> int:
    if not words or words[0] in _HELP:
        print(usage(), end="")
        return 0
    if words[0] == "--version":
        from rnn_lightning import __version__

        print(f"rnn-lightning {__version__}")
        return 0
    verb, options = words[0], words[1:]
    if verb not in VERBS:
        raise UserError(f"there is no verb '{verb}'; there are {', '.join(VERBS)}{did_you_mean(verb, list(VERBS))}")
    from rnn_lightning.cli import plugins
    from rnn_lightning.cli.configs import expand

    files, options = plugins.taken(options)
    asks = _HELP & set(options)
    everything = asks and _VERBOSE & set(options) and VERBS[verb].sections
    options = expand([word for word in options if not asks or word not in _HELP | _VERBOSE])
    if files or everything or not (asks or VERBS[verb].light):
        with signals.starting():
            _prepare()
    plugins.load(files)
    if everything:
        from rnn_lightning.cli.app import print_all_options

        print_all_options(verb)
        return 0
    if asks:
        from rnn_lightning.cli.help import page

        print(page(verb, options), end="")
        return 0
    module, _, name = VERBS[verb].function.partition(":")
    function: Callable[[list[str]], int] = getattr(import_module(module), name)
    return function(options)


def _prepare() -> None:
    """Imports what is heavy, in a process that is set up for it."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # Read when torch is loaded: its threads wait for each other by spinning, but not for long. On an idle machine
        # that is as fast as spinning on (and twice as fast as sleeping), beside a busy neighbour it loses less.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from rnn_lightning.cli.process import set_up

    set_up()
