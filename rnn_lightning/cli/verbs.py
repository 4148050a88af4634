"""The verbs of the command, and the options that each has of its own. Nothing heavy is imported here."""

from __future__ import annotations

from typing import NamedTuple


class Option(NamedTuple):
    """An option of a verb's own.

    Attributes:
        flag: such as --output.
        value: what comes after it, in capitals: FOLDER. Nothing for a switch, [RUN] where it can be left out, RUN ...
            where there can be several.
        what: its meaning, for the help.
    """

    flag: str
    value: str
    what: str


class Verb(NamedTuple):
    """A verb.

    Attributes:
        what: what it does, in one line.
        function: as "module:function", which gets the verb's words and returns the exit code.
        usage: what comes after the verb.
        options: those of its own.
        sections: sections of a config whose options it takes too.
        why_not: why it takes no others.
        examples: words after rnn-lightning, each with what it does.
        light: does without torch.
    """

    what: str
    function: str
    usage: str
    options: tuple[Option, ...] = ()
    sections: tuple[str, ...] = ()
    why_not: str = ""
    examples: tuple[str, ...] = ()
    light: bool = False

    @property
    def all_options(self) -> tuple[Option, ...]:
        """Its own, and those that say what code to run where it has to do with models or data."""
        return self.options if self.light else (*self.options, PLUGINS, ALLOW_IMPORTS)


PLUGINS = Option("--plugins", "FILE", "Python file of yours with a layer, a task or a data set; can be given again")
"""Read before the verb is begun."""
ALLOW_IMPORTS = Option("--allow-imports", "", "import, and so run, any class that a config names")
"""The same."""

_CHOOSING = (
    Option(
        "--run",
        "RUN",
        "run whose checkpoint is taken, by its folder or start or how that begins; the newest by default",
    ),
    Option("--ckpt_path", "NAME", "checkpoint to take: best (the default), last, a file or a run"),
)
_JSON = Option("--json", "", "print one JSON object instead of words")
_FROM_A_RUN = ("data", "trainer", "seed_everything")
_TRAINED = "the model comes from the checkpoint, as it was trained"
_TRAINING = ("model", "data", "optimizer", "lr_scheduler", "trainer", "checkpoint", "early_stopping", "seed_everything")
_TRIED = ("model", "data", "optimizer", "lr_scheduler", "trainer", "seed_everything")
_TRIAL = "it only tries something out, and keeps nothing"

VERBS: dict[str, Verb] = {
    "fit": Verb(
        "train a model and keep its best checkpoint",
        "rnn_lightning.cli.fit:fit",
        "[--config NAME ...] [options]",
        (
            Option("--resume", "[RUN]", "go on with a run, the newest of those that fit the configs"),
            Option("--seeds", "N", "train with each seed from 1 to N; say how far scores lie apart"),
            Option("--run", "RUN", "run that --ckpt_path best or last is taken from"),
            Option(
                "--dry-run",
                "",
                "say what the training would be: data, time and memory",
            ),
        ),
        (*_TRAINING, "ckpt_path"),
        examples=(
            "fit --config gru.yaml --config imdb.yaml --model.hidden_size 256 --trainer.max_epochs 3",
            "fit --resume --trainer.max_epochs 40",
            "fit --config lstm.yaml --config imdb.yaml --dry-run",
        ),
    ),
    "validate": Verb(
        "score the best checkpoint on the validation part",
        "rnn_lightning.cli.score:validate",
        "[--run RUN] [options]",
        (*_CHOOSING, _JSON),
        _FROM_A_RUN,
        _TRAINED,
        ("validate", "validate --config gru.yaml --config imdb.yaml"),
    ),
    "test": Verb(
        "score the best checkpoint on the test part",
        "rnn_lightning.cli.score:test",
        "[--run RUN] [options]",
        (*_CHOOSING, _JSON),
        _FROM_A_RUN,
        _TRAINED,
        ("test", "test --config gru.yaml --config imdb.yaml"),
    ),
    "predict": Verb(
        "predict raw text, or the test part where the data has no text",
        "rnn_lightning.cli.predict:predict",
        "[--text TEXT ...] [--file FILE] [-] [options]",
        (
            Option("--text", "TEXT", "text to predict; can be given again and again"),
            Option(
                "--file",
                "FILE",
                "file with a text in each line, - is standard input; or a table, where the run was trained on one",
            ),
            Option("--output", "FILE", "file for the predictions, as JSON lines"),
            *_CHOOSING,
            Option("--json", "", "print JSON lines instead of words"),
        ),
        _FROM_A_RUN,
        _TRAINED,
        ('predict --text "A small miracle of a film."', "predict - --output predictions.jsonl < reviews.txt"),
    ),
    "generate": Verb(
        "go on with a text, by a language model",
        "rnn_lightning.cli.generate:generate",
        "--prompt TEXT [options]",
        (
            Option("--prompt", "TEXT", "text to go on from"),
            Option("--length", "N", "tokens to write; 100 by default"),
            Option("--temperature", "X", "below 1 more certain, above 1 more daring, 0 always the most probable"),
            Option("--top_k", "N", "draw only from so many of the most probable tokens"),
            Option(
                "--top_p", "X", "draw only from the fewest most probable tokens that reach this probability together"
            ),
            Option("--seed", "N", "makes what is written repeatable"),
            *_CHOOSING,
            Option("--config", "NAME", "takes the newest run of this config"),
        ),
        why_not=_TRAINED,
        examples=('generate --prompt "This film " --length 120 --temperature 0.7 --seed 1',),
    ),
    "export": Verb(
        "write a trained model as ONNX files, which run without torch",
        "rnn_lightning.cli.export:export",
        "[--run RUN] [options]",
        (
            Option("--output", "FOLDER", "folder for the files; export/ in the run by default"),
            Option("--int8", "", "one more file, with weights of 8 bits: smaller, and not quite the same"),
            *_CHOOSING,
        ),
        why_not=_TRAINED,
        examples=("export", "export --output model --int8"),
    ),
    "baseline": Verb(
        "what methods without a network reach on the same data",
        "rnn_lightning.cli.baseline:baseline",
        "[--config NAME ...] [options]",
        (
            Option(
                "--keep",
                "",
                "keep the NB-SVM as a run: for test, predict, report, export, and as a part of a network to be trained",
            ),
            Option("--longest", "N", "words in the longest n-gram of the NB-SVM, 1 to 3; 2 by default"),
            _JSON,
        ),
        ("data", "seed_everything"),
        "it wants data, and trains no network",
        ("baseline --config imdb.yaml", "baseline --config imdb.yaml --keep"),
    ),
    "ensemble": Verb(
        "make one model of several trained classifiers, weighted by what they do on the validation part",
        "rnn_lightning.cli.ensemble:ensemble",
        "RUN RUN ... [options]",
        sections=_FROM_A_RUN,
        why_not=_TRAINED,
        examples=("ensemble lstm-imdb/2026-11-22_09-23-07 gru-imdb/2026-11-22_09-40-12",),
    ),
    "compare": Verb(
        "train several models on several tasks, with several seeds, and draw up a table",
        "rnn_lightning.cli.compare:compare",
        "--rows CONFIG ... --columns CONFIG ... [options]",
        (
            Option(
                "--rows",
                "CONFIG ...",
                "what is compared: configs, or in quotes configs and options of fit, by choice after a name and colon",
            ),
            Option("--columns", "CONFIG ...", "what it is compared on, in the same way"),
            Option("--seeds", "N", "trainings of each row on each column, with the seeds 1, 2, ...; 3 by default"),
            Option("--jobs", "N", "trainings that run side by side, each with its share of the cores; 1 by default"),
            Option("--metric", "NAME", "measurement of the table; by default test_accuracy, perplexity or mse"),
            Option(
                "--output",
                "FOLDER",
                "folder for the runs, the table, its picture; comparison by default. What is there is not run again, "
                "so that an interrupted comparison goes on by the same words",
            ),
        ),
        tuple(section for section in _TRAINING if section != "seed_everything"),
        "it takes the seeds 1 to --seeds",
        (
            "compare --rows rnn.yaml lstm.yaml --columns adding.yaml parity.yaml --model.hidden_size 64",
            'compare --columns imdb.yaml --rows lstm.yaml "two layers: lstm.yaml --model.num_layers 2"',
        ),
    ),
    "sweep": Verb(
        "look for good settings: train with many, and keep the best",
        "rnn_lightning.cli.sweep:sweep",
        "--config CONFIG ... [--trials N] [--jobs N] [options]",
        (
            Option("--trials", "N", "trials there are to be in the end, in place of what the config says"),
            Option("--jobs", "N", "trials that run side by side, each with its share of the cores; 1 by default"),
            Option(
                "--output",
                "FOLDER",
                "folder for the trials' runs, the table and the best config; sweep by default. What is there is not "
                "tried again: the same words go on, and may be given in several terminals at once",
            ),
            Option(
                "--storage",
                "URL",
                "database for the study, where several machines share it: postgresql://USER@HOST/NAME, sqlite:///FILE",
            ),
            Option("--study", "NAME", "name of the study in the database; that of the folder by default"),
            Option("--engine", "NAME", "optuna (the default), or ray for a cluster"),
            _JSON,
        ),
        tuple(section for section in _TRAINING if section != "ckpt_path"),
        "what is searched stands in the section 'sweep' of a config, and all trials begin anew",
        ("sweep --config sweep.yaml", "sweep --config gru.yaml --config imdb.yaml --config my_space.yaml --jobs 2"),
    ),
    "find-lr": Verb(
        "look for a learning rate, in a short training in which it rises",
        "rnn_lightning.cli.find_lr:find_lr",
        "[--config NAME ...] [--output FILE] [options]",
        (Option("--output", "FILE", "file for the picture; lr_find.png by default"),),
        _TRIED,
        _TRIAL,
        ("find-lr --config lstm.yaml --config imdb.yaml",),
    ),
    "find-batch-size": Verb(
        "measure how fast a training is with each batch size",
        "rnn_lightning.cli.find_batch_size:find_batch_size",
        "[--config NAME ...] [options]",
        sections=_TRIED,
        why_not=_TRIAL,
        examples=("find-batch-size --config lstm.yaml --config imdb.yaml",),
    ),
    "report": Verb(
        "show runs on a page: scores, settings, learning curves, which runs differ beyond chance",
        "rnn_lightning.cli.report:report",
        "[RUN ...] [--output FOLDER]",
        (
            Option(
                "--output", "FOLDER", "folder for report.html and its pictures; that of the run, or report/ for several"
            ),
        ),
        examples=("report", "report runs/lstm-synthetic/2026-11-22_09-14-03 runs/gru-synthetic/2026-11-22_09-15-11"),
        light=True,
    ),
    "list": Verb(
        "show what there is: verbs, configs, presets, layers, tasks, data, plugins, runs",
        "rnn_lightning.cli.listing:listing",
        "[verbs | configs | presets | layers | tasks | data | plugins | runs] [--json]",
        (Option("--json", "", "print a JSON list instead of lines"),),
        examples=("list", "list configs", "list runs --json"),
        light=True,
    ),
    "schema": Verb(
        "print what a config may hold as a JSON schema, for editors",
        "rnn_lightning.cli.schema:schema",
        "> rnn_lightning.schema.json",
        examples=("schema > rnn_lightning.schema.json",),
    ),
    "completion": Verb(
        "print the script by which a shell completes this command",
        "rnn_lightning.cli.completion:completion",
        "bash | zsh | fish",
        examples=("completion bash > ~/.local/share/bash-completion/completions/rnn-lightning",),
        light=True,
    ),
    "new": Verb(
        "make a package of your own, with a layer, a task, a data set, a config and a test",
        "rnn_lightning.cli.new:new",
        "NAME",
        examples=("new my_project", "new path/to/my_project"),
        light=True,
    ),
}
