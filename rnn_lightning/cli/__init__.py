"""The command `rnn-lightning`: a light front door that answers what it can before torch is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rnn_lightning.cli import errors
from rnn_lightning.cli.errors import UserError
from rnn_lightning.registry import did_you_mean

VERBS = {
    "fit": "train a model and keep its best checkpoint",
    "validate": "score the best checkpoint on the validation part",
    "test": "score the best checkpoint on the test part",
    "predict": "predict raw text, or the test part where the data has no text",
    "generate": "go on with a text, by a language model",
    "baseline": "what methods without a network reach on the same data",
    "compare": "train several models on several tasks, with several seeds, and draw up a table",
    "report": "draw what runs recorded: learning curves, gradients",
}

USAGE = f"""\
usage: rnn-lightning VERB [options]

{chr(10).join(f"  {verb:10}{what}" for verb, what in VERBS.items())}

  rnn-lightning fit --config lstm.yaml                       train on synthetic sequences, nothing to download
  rnn-lightning fit --config lstm.yaml --config imdb.yaml    train on the IMDb reviews
  rnn-lightning test                                         score the newest run
  rnn-lightning predict --text "A small miracle of a film."
  rnn-lightning fit --config next_word.yaml                  a language model of five words, or of --data.path FILE
  rnn-lightning VERB --help                                  all options of a verb
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the words after `rnn-lightning`; None takes those of the process.

    Returns:
        The exit code: 0, or 2 for a mistake of the user's and 1 for a training that fails, either of which is told in
        a line or two on standard error.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if words[0] == "--version":
        from rnn_lightning import __version__

        print(f"rnn-lightning {__version__}")
        return 0
    verb, options = words[0], words[1:]
    try:
        if verb not in VERBS:
            raise UserError(f"there is no verb '{verb}'; there are {', '.join(VERBS)}{did_you_mean(verb, list(VERBS))}")
        return _run(verb, options)
    except BrokenPipeError:
        # Whoever read the output has seen enough, as `head` has. What is still in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("RNN_LIGHTNING_DEBUG"):
            raise
        return errors.report(error)


def _run(verb: str, options: list[str]) -> int:
    from rnn_lightning.cli.configs import expand

    options = expand(options)
    if verb == "report":
        from rnn_lightning.cli.report import report

        return report(options)
    if "OMP_WAIT_POLICY" not in os.environ:
        # Read when torch is loaded: its threads wait for each other by spinning, but not for long. On an idle machine
        # that is as fast as spinning on (and twice as fast as sleeping), beside a busy neighbour it loses less.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from rnn_lightning.cli.process import set_up

    set_up()
    if verb == "fit":
        from rnn_lightning.cli.fit import fit

        return fit(options)
    if verb == "predict":
        from rnn_lightning.cli.predict import predict

        return predict(options)
    if verb == "generate":
        from rnn_lightning.cli.generate import generate

        return generate(options)
    if verb == "baseline":
        from rnn_lightning.cli.baseline import baseline

        return baseline(options)
    if verb == "compare":
        from rnn_lightning.cli.compare import compare

        return compare(options)
    from rnn_lightning.cli.score import score

    return score(verb, options)
