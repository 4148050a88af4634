"""A user's mistake is told in three lines at most, which name the mistake, the place and the nearest valid name."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from rnn_lightning import registry
from tests.cli.helpers import one_mistake
from tests.conftest import SMALL, Command

LAYERS = ", ".join(registry.names("layers"))
DATA = ", ".join(registry.names("data"))

CONFIGS = {
    "unknown section": ("modle:\n  init_args: {cell: lstm}\n", "there is no section 'modle'; did you mean 'model'?"),
    "syntax": ("model:\n  init_args: {cell: lstm\ndata: x\n", "mine.yaml, line 3: this is not YAML"),
    "tabs": ("model:\n\tinit_args: {cell: lstm}\n", "mine.yaml, line 2: this is not YAML"),
    "a list": ("- lstm\n- imdb\n", "mine.yaml is not a config: it has no sections such as 'model:' or 'data:'"),
    "empty": ("# nothing but a comment\n", "mine.yaml is not a config"),
    "unknown key of the model": (
        "model:\n  init_args:\n    cell: lstm\n    hiden_size: 4\n",
        "mine.yaml, line 4: SequenceClassifier has no option 'hiden_size'; did you mean 'hidden_size'?",
    ),
    "unknown key of the data": (
        "data:\n  init_args: {num_trian: 4}\n",
        "mine.yaml, line 2: SyntheticSequences has no option 'num_trian'; did you mean 'num_train'?",
    ),
    "unknown key of the Trainer": (
        "trainer:\n  max_epoch: 3\n",
        "mine.yaml, line 2: trainer has no option 'max_epoch'; did you mean 'max_epochs'?",
    ),
    "unknown key of the optimiser": (
        "optimizer:\n  class_path: AdamW\n  init_args: {lrr: 1}\n",
        "mine.yaml, line 3: AdamW has no option 'lrr'; did you mean 'lr'?",
    ),
    "unknown key of the checkpoints": (
        "checkpoint: {monitr: val_loss}\n",
        "mine.yaml, line 1: Checkpoint has no option 'monitr'; did you mean 'monitor'?",
    ),
    "unknown cell": ("model:\n  init_args:\n    cell: lsmt\n", "lsmt", "did you mean 'lstm'?"),
    "unknown pooling": (
        "model:\n  init_args:\n    pooling: lsat\n",
        "mine.yaml, line 3: model.pooling is 'lsat', not one of last, mean, max",
        "did you mean 'last'?",
    ),
    "unknown data class": (
        "data:\n  class_path: SyntheticSequence\n",
        "mine.yaml, line 2: data: there is no 'SyntheticSequence'; did you mean 'SyntheticSequences'?",
    ),
    "unknown optimiser": (
        "optimizer:\n  class_path: AdamWW\n",
        "mine.yaml, line 2: optimizer: there is no 'AdamWW'; did you mean 'AdamW'?",
    ),
    "wrong type": (
        "model:\n  init_args:\n    hidden_size: lots\n",
        "mine.yaml, line 3: model.hidden_size wants a whole number, not 'lots'",
    ),
    "null in place of a number": (
        "model:\n  init_args:\n    hidden_size: null\n",
        "mine.yaml, line 3: model.hidden_size cannot be null",
    ),
    "a section without options": ("trainer: 3\n", "mine.yaml", "the section 'trainer' wants options"),
    "not UTF-8": ("# caf\udce9\nmodel: {}\n", "mine.yaml, line 1: this is not UTF-8 text (byte 5)"),
    "a zero byte": (
        "model:\n  init_args: {cell: l\0stm}\n",
        "mine.yaml, line 2: this is not YAML (the character",
    ),
    "not UTF-8 further down": ("model: {}\n# caf\udce9\n", "mine.yaml, line 2: this is not UTF-8 text"),
    "the word is a comment's too": (
        "# hiden_size: 3\nmodel:\n  init_args:\n    cell: lstm  # not hiden_size\n    hiden_size: 4\n",
        "mine.yaml, line 5: SequenceClassifier has no option 'hiden_size'; did you mean 'hidden_size'?",
    ),
    "the word is another section's too": (
        "data:\n  init_args: {num_classes: 3}\nearly_stopping:\n  num_classes: 3\n",
        "mine.yaml, line 4: EarlyStopping has no option 'num_classes'",
    ),
    "the word is a value too": (
        "data:\n  init_args:\n    rule: random\n    random: 1\n",
        "mine.yaml, line 4: SyntheticSequences has no option 'random'",
    ),
    "out of range": (
        "model:\n  init_args:\n    num_layers: 1\n    hidden_size: 0\n",
        "mine.yaml, line 4: hidden_size is 0; it must be at least 1",
    ),
    "out of range in the data": (
        "data:\n  init_args:\n    num_steps: 3\n    batch_size: 0\n",
        "mine.yaml, line 4: batch_size is 0; it must be at least 1",
    ),
    "out of range beside a value that is as wrong": (
        "early_stopping:\n  min_delta: -2\n  patience: -2\n",
        "mine.yaml, line 3: patience is -2; it must be at least 0",
    ),
    "out of range in the Trainer": (
        "trainer:\n  max_epochs: 1\n  accumulate_grad_batches: 0\n",
        "mine.yaml, line 3: trainer.accumulate_grad_batches is 0; it must be above 0",
    ),
    "refused by the Trainer": (
        "trainer:\n  enable_progress_bar: false\n  max_epochs: -2\n",
        "mine.yaml, line 3: trainer: `max_epochs` must be a non-negative integer or -1",
    ),
    "a seed that is none": ("trainer: {}\nseed_everything: -1\n", "mine.yaml, line 2: seed_everything is -1"),
    "unknown option of the cell": (
        "model:\n  init_args:\n    cell: lstm\n    cell_options:\n      forget_bia: 1.0\n",
        "mine.yaml, line 5: the layer 'lstm' has no option 'forget_bia'",
        "did you mean 'forget_bias'?",
    ),
    "option of the cell of another kind": (
        "model:\n  init_args:\n    cell: rnn_ln\n    cell_options:\n      zoneout: x\n",
        "mine.yaml, line 5: the option 'zoneout' of the layer 'rnn_ln' wants a number, not 'x'",
    ),
    "a data set in place of a model": (
        "trainer: {max_epochs: 1}\nmodel: IMDb\n",
        "mine.yaml, line 2: model: there is no 'IMDb'; it belongs into the section 'data'",
    ),
    "a class of another kind": (
        "optimizer:\n  class_path: rnn_lightning.layers.GRU\n",
        "mine.yaml, line 2: optimizer: there is no 'rnn_lightning.layers.GRU'; there are Adafactor, ",
    ),
    "a class of a package that is not there": (
        "model:\n  class_path: my_package.MyTask\n",
        "mine.yaml, line 2: model: 'my_package.MyTask' is not imported, which would run its code: a class may be of ",
    ),
    "a class that is a number": (
        "model:\n  class_path: 3\n",
        "mine.yaml, line 2: model.class_path wants the name of a class, not '3'",
    ),
    "a mistyped class_path": (
        "model:\n  clas_path: LanguageModel\n  init_args: {cell: gru}\n",
        "mine.yaml, line 2: model has no 'clas_path' beside class_path and init_args; did you mean 'class_path'?",
    ),
    "mistyped init_args": (
        "data:\n  class_path: IMDb\n  int_args: {batch_size: 3}\n",
        "mine.yaml, line 3: data has no 'int_args' beside class_path and init_args; did you mean 'init_args'?",
    ),
    "an option beside its class": (
        "data:\n  class_path: IMDb\n  batch_size: 3\n",
        "mine.yaml, line 3: data has no 'batch_size' beside class_path and init_args; options stand under init_args",
    ),
    "options that are none": (
        "data:\n  init_args: 3\n",
        "mine.yaml, line 2: data.init_args wants a table of options, not '3'",
    ),
    "options that are all comments": (
        "data:\n  class_path: IMDb\n  init_args:\n    # batch_size: 3\n",
        "mine.yaml, line 3: data.init_args wants a table of options, not 'null'",
    ),
    "a section that is empty": ("trainer: {max_epochs: 1}\nmodel:\n", "mine.yaml, line 2: model cannot be null"),
    "a section that is a number": (
        "model: 3\n",
        "mine.yaml, line 1: model wants a class, such as",
    ),
    "checkpoints that are a number": (
        "checkpoint: 3\n",
        "mine.yaml, line 1: checkpoint wants the options",
    ),
    "unknown callback": (
        "trainer:\n  callbacks+:\n  - class_path: Timer\n  - class_path: GradientProb\n",
        "mine.yaml, line 4: trainer.callbacks: there is no 'GradientProb'; did you mean 'GradientProbe'?",
    ),
    "unknown key of a callback": (
        "trainer:\n  callbacks:\n  - class_path: GradientProbe\n    init_args:\n      every_n_step: 3\n",
        "mine.yaml, line 5: GradientProbe has no option 'every_n_step'; did you mean 'every_n_steps'?",
    ),
    "a callback that is a number": (
        "trainer:\n  callbacks:\n  - class_path: Timer\n  - class_path: 3\n",
        "mine.yaml, line 4: trainer.callbacks.class_path wants the name of a class, not '3'",
    ),
    "unknown callback without options": (
        "trainer:\n  callbacks:\n  - Timer\n  - GradientProb\n",
        "mine.yaml, line 4: trainer.callbacks: there is no 'GradientProb'; did you mean 'GradientProbe'?",
    ),
    "a key that another callback has": (
        "trainer:\n  callbacks:\n  - {class_path: Timer, init_args: {interval: step}}\n"
        "  - class_path: GradientProbe\n    init_args:\n      interval: 3\n",
        "mine.yaml, line 6: GradientProbe has no option 'interval'",
    ),
    "a key that a table merged into itself": (
        "early_stopping: &both\n  patience: 3\n  monitr: x\ncheckpoint:\n  <<: *both\n",
        "mine.yaml, line 3: EarlyStopping has no option 'monitr'; did you mean 'monitor'?",
    ),
    "a key twice": (
        "model:\n  init_args:\n    cell: lstm\n    hidden_size: 4\n    cell: gru\n",
        "mine.yaml, line 5: 'cell' stands in line 3 already; remove one of them",
    ),
    "a section twice": (
        "model: {}\ntrainer: {max_epochs: 1}\nmodel: {}\n",
        "mine.yaml, line 3: 'model' stands in line 1 already; remove one of them",
    ),
    "a key of several words": ("? [a, b]\n: 3\n", "mine.yaml, line 1: a list or a table is not the name of"),
    "code": (
        "model:\n  class_path: !!python/object/apply:os.mkdir [made]\n",
        "mine.yaml, line 2: this is not YAML (could not determine a constructor for the tag",
    ),
    "two documents": ("model: {}\n---\nmodel: {}\n", "mine.yaml, line 2: this is not YAML"),
    "an anchor that is nowhere": (
        "model: *here\n",
        "mine.yaml, line 1: this is not YAML (found undefined",
    ),
    "an anchor that holds itself": ("model: &here {init_args: *here}\n", "mine.yaml is not a config: written out"),
    "anchors that stand for a billion values": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefghi")),
        "mine.yaml is not a config: written out, its anchors stand for more than 100,000 values",
    ),
    "a hundred thousand brackets": (
        "model: " + "[" * 100_000,
        "mine.yaml is not a config: its lists and tables",
    ),
    "a long wrong value": ("seed_everything: " + "x" * 10_000 + "\n", f"not '{'x' * 60}...'\n"),
    "a comma for a point": (
        "optimizer:\n  class_path: AdamW\n  init_args: {lr: 1,5}\n",
        "mine.yaml, line 3: '5' is not the name of a section or an option",
    ),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_mistake_in_a_config_is_told_with_its_place(command: Command, kind: str) -> None:
    content, *parts = CONFIGS[kind]
    Path("mine.yaml").write_bytes(content.encode("utf-8", "surrogateescape"))
    one_mistake(command("fit", "--config", "mine.yaml"), *parts)
    assert not Path("runs").exists()


def test_a_folder_is_no_config(command: Command) -> None:
    Path("mine.yaml").mkdir()
    one_mistake(command("fit", "--config", "mine.yaml"), "mine.yaml")


def test_the_config_that_is_wrong_is_named_wherever_it_stands_in_the_stack(command: Command) -> None:
    Path("good.yaml").write_text("# max_epochs\n\ntrainer: {max_epochs: 3}\nmodel: {init_args: {hidden_size: 4}}\n")
    Path("bad.yaml").write_text("\ntrainer: {max_epochs: many}\n")
    for names in (("good", "bad"), ("bad", "good"), ("good", "bad", "good")):
        words = [word for name in names for word in ("--config", f"{name}.yaml")]
        one_mistake(command("fit", *words), "bad.yaml, line 2: trainer.max_epochs wants a whole number")


def test_a_value_is_looked_for_where_it_was_decided(command: Command) -> None:
    Path("first.yaml").write_text("model:\n  init_args:\n    hidden_size: 4\n")
    Path("last.yaml").write_text("model: {init_args: {hidden_size: 0}}\n")
    said = "hidden_size is 0; it must be at least 1\n"
    stack = ("--config=first.yaml", "--config=last.yaml")
    assert one_mistake(command("fit", *stack)) == f"rnn-lightning: last.yaml, line 1: {said}"
    assert one_mistake(command("fit", *stack, "--model.hidden_size=0")) == f"rnn-lightning: {said}"
    assert one_mistake(command("fit", "--model.hidden_size=3", *stack)) == f"rnn-lightning: last.yaml, line 1: {said}"
    assert one_mistake(command("fit", "--config=first.yaml", "--model.init_args.hidden_size=0")) == (
        f"rnn-lightning: {said}"
    )


def test_the_class_is_the_one_that_was_chosen_before_the_mistake(command: Command) -> None:
    Path("mine.yaml").write_text("data:\n  init_args: {num_trian: 3}\n")
    said = one_mistake(
        command("fit", "--config=mine.yaml", "--data=IMDb"), "mine.yaml, line 2: SyntheticSequences has no"
    )
    assert "did you mean 'num_train'?" in said
    one_mistake(
        command("fit", "--data=IMDb", "--config=mine.yaml"), "mine.yaml, line 2: IMDb has no option 'num_trian'"
    )


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_mistake_in_a_config_of_another_verb_has_its_line_too(command: Command, verb: str, feature_run: Path) -> None:
    Path("mine.yaml").write_text("# the data\ndata:\n  init_args:\n    num_tset: 3\n")
    one_mistake(command(verb, "--config=mine.yaml"), "mine.yaml, line 4: SyntheticSequences has no option 'num_tset'")
    Path("mine.yaml").write_text("data:\n  init_args: {batch_size: 0}\n")
    one_mistake(command(verb, "--config=mine.yaml"), "mine.yaml, line 2: batch_size is 0")
    Path("mine.yaml").write_text("trainer:\n  max_epoch: 0\n")
    one_mistake(command(verb, "--config=mine.yaml"), "mine.yaml, line 2: trainer has no option 'max_epoch'")


def test_a_mistake_in_the_config_of_a_run_has_its_line(command: Command, feature_run: Path) -> None:
    path = feature_run / "config.yaml"
    whole = path.read_text("utf-8")
    for right, wrong, said in (
        ("num_test:", "num_tset:", "SyntheticSequences has no option 'num_tset'; did you mean 'num_test'?"),
        ("batch_size: 64", "batch_size: 0", "batch_size is 0; it must be at least 1"),
        ("batch_size: 64", "batch_size: many", "data.batch_size wants a whole number, not 'many'"),
    ):
        line = whole[: whole.index(right)].count("\n") + 1
        path.write_text(whole.replace(right, wrong))
        one_mistake(command("test"), f"rnn-lightning: {path}, line {line}: {said}")


def test_a_mistyped_run_or_checkpoint_is_told_with_the_nearest_one(command: Command, feature_run: Path) -> None:
    best = feature_run / "checkpoints" / "best.ckpt"
    mistyped = best.with_name("bset.ckpt")
    for argv in (("test", "--ckpt_path", mistyped), ("fit", *SMALL, "--ckpt_path", mistyped)):
        one_mistake(command(*argv), f"there is no checkpoint {mistyped}; did you mean '{best}'?")
    Path("mine.yaml").write_text(f"trainer: {{max_epochs: 3}}\nckpt_path: {mistyped}\n")
    one_mistake(command("fit", *SMALL, "--config=mine.yaml"), f"mine.yaml, line 2: there is no checkpoint {mistyped}")
    name = f"{feature_run.parent.name}/{feature_run.name}"
    one_mistake(command("test", "--run", f"l{name}"), f"there is no run 'l{name}' under runs/; did you mean '{name}'?")
    one_mistake(command("test", "--run", f"{feature_run.name}0"), f"did you mean '{feature_run.name}'?")


FLAGS = [
    ("--model.hiden_size=3", "SequenceClassifier has no option 'hiden_size'; did you mean 'hidden_size'?"),
    ("--data.numtrain=3", "SyntheticSequences has no option 'numtrain'; did you mean 'num_train'?"),
    ("--trainer.max_epoch=3", "there is no option --trainer.max_epoch; did you mean '--trainer.max_epochs'?"),
    ("--optimizer.lrr=1", "AdamW has no option 'lrr'; did you mean 'lr'?"),
    ("--checkpoint.monitr=val_loss", "Checkpoint has no option 'monitr'; did you mean 'monitor'?"),
    ("--early_stoping=null", "there is no option --early_stoping; did you mean '--early_stopping'?"),
    ("--model.cell=lstmm", f"'lstmm'; there are {LAYERS}; did you mean 'lstm'?"),
    ("--model.cell=42", f"there is no recurrent layer '42'; there are {LAYERS}"),
    ("--model=SequenceClasifier", "model: there is no 'SequenceClasifier'; did you mean 'SequenceClassifier'?"),
    ("--data=IMDB", "data: there is no 'IMDB'; did you mean 'IMDb'?"),
    ("--data=Foo", f"data: there is no 'Foo'; there are {DATA}"),
    ("--optimizer=Adamm", "optimizer: there is no 'Adamm'; did you mean 'Adam'?"),
    ("--lr_scheduler=OneCycl", "lr_scheduler: there is no 'OneCycl'; did you mean 'OneCycle'?"),
    ("--model.hidden_size=big", "model.hidden_size wants a whole number, not 'big'"),
    ("--model.hidden_size=2.5", "model.hidden_size wants a whole number, not '2.5'"),
    ("--model.hidden_size=-1", "hidden_size is -1; it must be at least 1"),
    ("--model.num_layers=0", "num_layers is 0; it must be at least 1"),
    ("--model.bidirectional=maybe", "model.bidirectional wants true or false, not 'maybe'"),
    ("--model.dropout=1.5", "dropout is 1.5; it must be at least 0 and below 1"),
    ("--model.dropout=half", "model.dropout wants a number, not 'half'"),
    ("--model.pooling=lsat", "model.pooling is 'lsat', not one of last, mean, max"),
    (
        "--model.cell_options={gates: 3}",
        "the layer 'lstm' has no option 'gates'; it has coupled, peephole, forget_bias",
    ),
    ("--model.cell_options=gates", "model.cell_options wants a table, not 'gates'"),
    ("--data.num_train=0", "num_train is 0; it must be at least 1"),
    ("--data.num_classes=1", "num_classes is 1; it must be 2 or more, or 0 for regression"),
    ("--data.min_steps=9", "min_steps is 9, above num_steps, which is 5"),
    ("--data.rule=frist_plus_last", "data.rule is 'frist_plus_last', not one of first_plus_last, random"),
    ("--data.batch_size=0", "batch_size is 0; it must be at least 1"),
    ("--data.batch_size=-8", "batch_size is -8; it must be at least 1"),
    ("--data.num_steps=0", "num_steps is 0; it must be at least 1"),
    ("--data.input_size=-3", "input_size is -3; it must be at least 1"),
    ("--data.num_workers=-1", "num_workers is -1; it must be at least 0"),
    ("--model.hidden_size=0", "hidden_size is 0; it must be at least 1"),
    ("--model.embedding_size=0", "embedding_size is 0; it must be at least 1"),
    ("--trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches is 0; it must be above 0"),
    ("--trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch is 0; it must be above 0"),
    ("--trainer.val_check_interval=0.0", "trainer.val_check_interval is 0.0; it must be above 0"),
    (
        "--trainer.val_check_interval=9",
        "`val_check_interval` (9) must be less than or equal to the number of the train",
    ),
    ("--trainer.max_epochs=0", "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_train_batches"),
    ("--trainer.max_steps=0", "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_train_batches"),
    ("--trainer.limit_train_batches=0", "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_"),
    ("--trainer.max_epochs=-2", "trainer: `max_epochs` must be a non-negative integer or -1"),
    ("--trainer.max_epochs=many", "trainer.max_epochs wants a whole number, not 'many'"),
    ("--trainer.accelerator=toaster", "trainer: You selected an invalid accelerator name: `accelerator='toaster'`"),
    ("--trainer.strategy=dddp", "trainer: You selected an invalid strategy name: `strategy='dddp'`"),
    ("--trainer.devices=0", "trainer: `Trainer(devices='0')` value is not a valid input"),
    ("--trainer.precision=7", "trainer.precision is '7', not one of 64, 32, 16, transformer-engine"),
    ("--optimizer.lr=fast", "optimizer.lr wants a number, not 'fast'"),
    ("--optimizer.lr=-1", "optimizer: Invalid learning rate: -1.0"),
    ("--checkpoint.mode=mn", "checkpoint.mode is 'mn', not one of min, max; did you mean 'min'?"),
    ("--early_stopping.patience=x", "early_stopping.patience wants a whole number, not 'x'"),
    ("--seed_everything=x", "seed_everything wants"),
    ("--ckpt_path=nowhere.ckpt", "there is no checkpoint nowhere.ckpt"),
    ("--trainer.max_ep=3", "there is no option --trainer.max_ep"),
    ("--hidden_size=3", "there is no option --hidden_size; did you mean '--model.hidden_size'?"),
    ("--max_epochs=3", "there is no option --max_epochs; did you mean '--trainer.max_epochs'?"),
    ("--num_train=3", "there is no option --num_train; did you mean '--data.num_train'?"),
    ("-x", "there is no option -x"),
    ("--model.hidden_size=null", "model.hidden_size cannot be null"),
    ("--data.batch_size=null", "data.batch_size cannot be null"),
    ("--seed_everything=-1", "seed_everything is -1; it must be at least 0 and below 4294967296"),
    ("--model.num_classes=5", "vocab_size, input_size and num_classes are filled in from the data: leave them out"),
    ("--model.freeze_vectors=true", "freeze_vectors is true, but no vectors are named"),
    ("--trainer=null", "--trainer takes no value: it has options, such as --trainer.max_epochs 3"),
    ("--model=null", "model cannot be null"),
    ("--data=null", "data cannot be null"),
    ("--model=my_package.MyTask", "model: 'my_package.MyTask' is not imported, which would run its code"),
    ("--data=rnn_lightning.data.IMDB", "data: there is no 'rnn_lightning.data.IMDB'; did you mean 'IMDb'?"),
    ("--optimizer=torch.optim.Linear", "optimizer: there is no 'torch.optim.Linear'; there are Adafactor, "),
    ("--data=LanguageModel", "data: there is no 'LanguageModel'; it belongs into the section 'model'"),
    (
        "--trainer.callbacks=GradientProb",
        "trainer.callbacks: there is no 'GradientProb'; did you mean 'GradientProbe'?",
    ),
    ("--trainer.accumulate_grad_batches=null", "trainer.accumulate_grad_batches wants a whole number, not 'null'"),
    ("--lr_scheduler.warmup=0.3", "there is no lr_scheduler that could take warmup: name one, such as OneCycle"),
    ("--early_stopping.patience=-2", "patience is -2; it must be at least 0"),
]


@pytest.mark.parametrize(("flag", "said"), FLAGS, ids=lambda value: value if value.startswith("-") else "")
def test_a_mistake_on_the_command_line_is_told(command: Command, flag: str, said: str) -> None:
    for words in ([flag], flag.split("=", 1)):
        one_mistake(command("fit", *SMALL, *words), said)
        assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--lr_scheduler=OneCycle", "--lr_scheduler.warmup=2"),
            "warmup is 2.0; it is a share of the steps, from 0 to 1",
        ),
        (
            ("--lr_scheduler=OneCycle", "--lr_scheduler.warmp=1"),
            "OneCycle has no option 'warmp'; did you mean 'warmup'?",
        ),
        (
            ("--lr_scheduler=OneCycle", "--trainer.max_epochs=-1", "--trainer.max_time=00:00:00:05"),
            "lr_scheduler: OneCycle needs a training with an end",
        ),
        (("--lr_scheduler=ReduceLROnPlateau",), "lr_scheduler: ReduceLROnPlateau needs monitor"),
        (
            ("--lr_scheduler=StepLR", "--lr_scheduler.step_size=0"),
            "lr_scheduler.step_size is 0; it must be at least 1",
        ),
        (
            ("--lr_scheduler=CosineAnnealingLR", "--lr_scheduler.T_max=0"),
            "lr_scheduler.T_max is 0; it must be at least 1",
        ),
        (
            ("--model.cell=rnn_ln", "--model.cell_options={zoneout: x}"),
            "the option 'zoneout' of the layer 'rnn_ln' wants a number, not 'x'",
        ),
        (
            ("--model.cell=transformer", "--model.cell_options={num_heads: true}"),
            "the option 'num_heads' of the layer 'transformer' wants a whole number, not 'True'",
        ),
        (
            ("--model.cell=lstm", "--model.cell_options={coupled: maybe}"),
            "the option 'coupled' of the layer 'lstm' wants true or false, not 'maybe'",
        ),
        (("--model.cell=rnn_ln", "--model.cell_options={zoneout: 1}"), "zoneout is 1; it must be at least 0 and below"),
        (("--model.layer_dropout=0.5",), "there is dropout between layers, but only one layer"),
        (
            ("--model.cell=rnn", "--model.cell_options={nonlinearity: sin}"),
            "nonlinearity is 'sin', not one of tanh, relu",
        ),
        (
            ("--model.cell=rnn", "--model.cell_options.nonlinearty=relu"),
            "the layer 'rnn' has no option 'nonlinearty'; it has nonlinearity; did you mean 'nonlinearity'?",
        ),
        (("--data=IMDb", "--data.path=nowhere.tar.gz"), "nowhere.tar.gz does not exist"),
        (("--data=IMDb", "--data.path=notes.tar.gz"), "notes.tar.gz is not a tar archive, compressed or not"),
        (("--data=IMDb", "--data.path=folder"), "folder holds no reviews"),
        (("--data=IMDb", "--data.truncate=middle"), "data.truncate is 'middle', not one of head, tail, head_tail"),
        (("--data=IMDb", "--data.val_fraction=2"), "val_fraction is 2.0; it must lie between 0 and 1"),
        (("--data=IMDb", "--data.max_length=0"), "max_length is 0; it must be at least 1"),
        (("--data=IMDb", "--data.max_length=-400"), "max_length is -400; it must be at least 1"),
        (("--data=IMDb", "--data.max_length=long"), "data.max_length wants a whole number, not 'long'"),
        (("--data=IMDb", "--data.vocab_size=-1"), "vocab_size is -1; it must be at least 1"),
        (("--config=next_word.yaml", "--data.num_steps=0"), "num_steps is 0; it must be at least 1"),
        (("--config=next_word.yaml", "--data.num_steps=few"), "data.num_steps wants a whole number, not 'few'"),
        (("--config=next_word.yaml", "--data.batch_size=-1"), "batch_size is -1; it must be at least 1"),
        (("--config=next_word.yaml", "--data.vocab_size=0"), "vocab_size is 0; it must be at least 1"),
        (("--config=next_word.yaml", "--model.embedding_size=-1"), "embedding_size is -1; it must be at least 1"),
        (("--config=next_word.yaml", "--data.streams=four"), "data.streams wants true or false, not 'four'"),
        (
            ("--config=next_word.yaml", "--config=transformer.yaml", "--data.streams=true"),
            "the state of a transformer grows with every step: it cannot be carried through streams",
        ),
        (
            ("--config=next_word.yaml", "--model.scheduled_sampling=1.5"),
            "scheduled_sampling is 1.5; it must be at least 0 and at most 1",
        ),
        (
            ("--config=next_word.yaml", "--model.scheduled_sampling=0.5", "--trainer.max_epochs=-1"),
            "scheduled_sampling grows until the end of the training, and this one has none: give trainer.max_epochs",
        ),
        (("--config=next_word.yaml", "--data.path=nowhere"), "nowhere cannot be read: No such file or directory"),
        (("--config=folder",), "no config 'folder' here or among the shipped ones"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_in_what_belongs_together_is_told(command: Command, options: tuple[str, ...], said: str) -> None:
    Path("notes.tar.gz").write_text("no archive")
    Path("folder").mkdir()
    size = ("--model.hidden_size=8", "--trainer.max_epochs=1")
    one_mistake(command("fit", *size, *options), said)
    assert sorted(path.name for path in Path().iterdir()) == ["folder", "notes.tar.gz"]


@pytest.mark.parametrize("section", ["checkpoint", "early_stopping"])
def test_a_quantity_that_is_not_measured_is_told_with_those_that_are(command: Command, section: str) -> None:
    said = one_mistake(command("fit", *SMALL, f"--{section}.monitor=val_acuracy"))
    there_are = "val_loss, val_accuracy, val_auroc, val_f1, train_loss"
    assert said == (
        f"rnn-lightning: {section}.monitor is 'val_acuracy', which is not measured; there are {there_are}; "
        "did you mean 'val_accuracy'?\n"
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_mistakes_of_the_other_verbs_are_told_too(command: Command, verb: str, feature_run: Path) -> None:
    for flag, said in (
        ("--trainer.max_epoch=3", "there is no option --trainer.max_epoch"),
        ("--data.numtest=3", "SyntheticSequences has no option 'numtest'; did you mean 'num_test'?"),
        ("--data.num_test=0", "num_test is 0; it must be at least 1"),
        ("--data=Foo", f"data: there is no 'Foo'; there are {DATA}"),
        ("--rnu=x", f"{verb} has no option --rnu; it has --"),
        ("--rnu=x", "did you mean '--run'?"),
        ("--config=lstmm.yaml", "did you mean 'lstm.yaml'?"),
    ):
        one_mistake(command(verb, flag), said)
    assert not (feature_run / verb).exists()


VERBS = {
    "fit": SMALL,
    "validate": ("--run={features}",),
    "test": ("--run={features}",),
    "predict": ("--run={reviews}", "--text=fine"),
    "generate": ("--run={words}", "--prompt=我"),
}


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("fit", ["--text=x", "--file=x", "--output=x", "--prompt=x", "--run=x", "word"]),
        ("validate", ["--text=x", "--file=x", "--output=x", "--prompt=x", "--model.hidden_size=3", "word"]),
        ("test", ["--text=x", "--file=x", "--output=x", "--prompt=x", "--model.hidden_size=3", "word"]),
        (
            "predict",
            ["--prompt=x", "--length=3", "--data.batch_size=3", "--trainer.devices=2", "--model.cell=gru", "x"],
        ),
        (
            "generate",
            ["--text=x", "--file=x", "--output=x", "--data.path=x", "--data.batch_size=3", "--model.cell=gru"],
        ),
    ],
)
def test_a_flag_that_a_verb_has_no_use_for_is_refused(
    command: Command, feature_run: Path, review_run: Path, language_run: Path, verb: str, flags: list[str]
) -> None:
    runs = {"features": feature_run, "reviews": review_run, "words": language_run}
    before = sorted(Path().rglob("*"))
    for flag in flags:
        result = command(verb, *(word.format(**runs) for word in VERBS[verb]), flag)
        one_mistake(result, flag.partition("=")[0])
        assert "fine" not in result.out
        assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("verb", "flag"),
    [
        ("fit", "--model.hidden_size"),
        ("fit", "--trainer.max_epochs"),
        ("fit", "--ckpt_path"),
        ("test", "--data.batch_size"),
        ("validate", "--trainer.devices"),
        ("predict", "--data"),
        ("predict", "--file="),
    ],
)
def test_a_flag_without_its_value_is_named(command: Command, feature_run: Path, verb: str, flag: str) -> None:
    for words in ([flag], ["--seed_everything=3", flag], [flag, "--seed_everything=3"]):
        assert command(verb, *words).err.endswith(f"rnn-lightning: {flag.rstrip('=')} wants a value\n")


def test_a_text_that_is_not_utf_8_is_told(command: Command, review_run: Path, language_run: Path) -> None:
    latin = os.fsdecode(b"caf\xe9")  # as Python gives it to a program
    one_mistake(command("predict", "--run", review_run, "--text=good", "--text", latin), "--text is not UTF-8 text")
    one_mistake(command("generate", "--prompt", latin), "--prompt is not UTF-8 text")
    Path(os.fsdecode(b"caf\xe9.txt")).write_text("good\n")  # a file's name need not be
    assert command("predict", "--run", review_run, "--file", os.fsdecode(b"caf\xe9.txt")).code == 0


def test_a_training_that_has_no_step_left_is_told(command: Command, feature_run: Path) -> None:
    last = feature_run / "checkpoints" / "last.ckpt"
    said = one_mistake(command("fit", *SMALL, "--ckpt_path", last), "nothing was trained: trainer.max_epochs, ")
    assert said.endswith(f"leaves no step to do after the 10 of {last}\n")
    assert list(Path("runs").glob("*/*")) == [feature_run]


def test_a_training_goes_on_with_the_optimiser_it_began_with(command: Command, feature_run: Path) -> None:
    last = feature_run / "checkpoints" / "last.ckpt"
    other = ("--optimizer=SGD", "--optimizer.lr=0.1", "--trainer.max_epochs=3")
    assert one_mistake(command("fit", *SMALL, *other, "--ckpt_path", last)) == (
        f"rnn-lightning: {last} was trained with AdamW, and this would go on with SGD: give --optimizer AdamW\n"
    )
    assert list(Path("runs").glob("*/*")) == [feature_run]
    assert command("fit", *SMALL, "--trainer.max_epochs=3", "--ckpt_path", last).code == 0


def test_a_fault_of_the_program_keeps_its_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn_lightning.tasks.sequence_classifier import SequenceClassifier

    def broken(*args: object) -> None:
        raise ValueError("a library stumbled")

    broken.__code__ = broken.__code__.replace(co_filename="/somewhere/else.py")
    monkeypatch.setattr(SequenceClassifier, "training_step", broken)
    with pytest.raises(ValueError, match="a library stumbled"):
        command("fit", *SMALL)


def test_debugging_shows_where_a_mistake_was_found(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNN_LIGHTNING_DEBUG", "1")
    with pytest.raises(Exception, match="there is no recurrent layer 'lstmm'"):
        command("fit", "--model.cell=lstmm")
