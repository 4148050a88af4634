"""LightningCLI, made ours: short errors, optimisers that see the whole model, our own verbs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import lightning.pytorch as pl
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, LRSchedulerTypeTuple, instantiate_class
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import MixedPrecision
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR

from rnn_lightning import registry
from rnn_lightning.cli import imports, loggers, runs
from rnn_lightning.cli.errors import UserError, shown
from rnn_lightning.cli.explain import ComplaintError, check_values, explain
from rnn_lightning.cli.help import page
from rnn_lightning.cli.launch import lacks_srun, launch
from rnn_lightning.cli.places import placed
from rnn_lightning.cli.process import fitting_precision
from rnn_lightning.cli.verbs import VERBS
from rnn_lightning.data.labelled_texts import LabelledTexts
from rnn_lightning.tasks.base import SequenceTask
from rnn_lightning.tasks.schedule import OneCycle
from rnn_lightning.tasks.transfer import made_with_shares

_EACH_STEP = (OneCycle, OneCycleLR, CyclicLR)
"""Schedules that count steps; all others count epochs."""

_CAN_BE_FUSED = ("torch.optim.Adam", "torch.optim.AdamW")


class Parser(LightningArgumentParser):
    """A parser that takes no abbreviations and explains a mistake in a line or two."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Leaves the words to `explain`, which knows the whole command line.

        Raises:
            ComplaintError: always.
        """
        raise ComplaintError(message) from ex

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Notes in which config there is a mistake."""
        with _in_config(str(path)):
            found: Namespace = super().parse_path(path, *args, **kwargs)
        return found

    def parse_string(self, content: str, *args: Any, **kwargs: Any) -> Namespace:
        """Notes in which config there is a mistake."""
        with _in_config(content):
            # With the comment, "early_stopping:" alone is a config as any other; else the parser takes it for text.
            found: Namespace = super().parse_string(f"{content}\n#", *args, **kwargs)
        return found


@contextmanager
def _in_config(config: str) -> Iterator[None]:
    try:
        yield
    except ComplaintError as complaint:
        complaint.config = config
        raise


class Command(LightningCLI):
    """A verb's command line: parses, makes the objects, and leaves the doing to the verb.

    Args:
        verb: the verb, for the help text.
        options: its options, configs as paths.
    """

    def __init__(self, verb: str, options: list[str], **kwargs: Any) -> None:
        self._options = options
        imports.restrict()
        for group in ("tasks", "data"):
            # A class is found by its short name once its module is imported.
            for name in registry.names(group):
                registry.resolve(group, name)
        super().__init__(
            SequenceTask,
            pl.LightningDataModule,
            args=options,
            run=False,
            subclass_mode_model=True,
            subclass_mode_data=True,
            parser_class=Parser,
            parser_kwargs={"prog": f"rnn-lightning {verb}", "description": None},
            # Else the hyper-parameters would be the parsed section of the config, classes and all.
            load_from_checkpoint_support=False,
            **kwargs,
        )

    def instantiate_classes(self) -> None:
        """Makes model and data. The Trainer and its loggers wait for their run folder, so the verb asks for them."""
        config = self.config.clone()
        if loggers.wanted(config):
            config.trainer.logger = False
        with self.placed():
            try:
                self.config_init = self.parser.instantiate(config)
            except (ValueError, RuntimeError, OverflowError) as error:
                cause = error.__cause__ or error
                if not isinstance(cause, OverflowError) and "overflow" not in str(cause).lower():
                    raise
                raise UserError(
                    f"a number among the options is too large: {str(cause).partition(chr(10))[0]}"
                ) from error
        self.datamodule = self.config_init.get("data")
        if isinstance(self.datamodule, LabelledTexts):
            self.datamodule.load_teacher = _teacher
        self.model = self.config_init.get("model")
        self._add_configure_optimizers_method_to_model(None)

    def loggers(self, run: Path) -> list[Logger]:
        """The loggers of the command line, for a run in this folder."""
        return loggers.made(self.parser, self.config, run)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The Trainer, with these arguments over those of the command line.

        Raises:
            UserError: the Trainer refuses one of them.
        """
        accelerator = self.config_init.trainer.accelerator
        precision = fitting_precision(self.config_init.trainer.precision, accelerator)
        with self.placed():
            try:
                return super().instantiate_trainer(**{"precision": precision, **self._processes(), **kwargs})
            except (ValueError, TypeError, MisconfigurationException) as error:
                raise UserError(f"trainer: {str(error).partition(chr(10))[0]}") from error

    def _processes(self) -> dict[str, Any]:
        """The Trainer's options for processes that somebody else has started: Lightning does not look how many.

        Raises:
            UserError: the command line has other numbers of them.
        """
        if lacks_srun():
            raise UserError(f"SLURM has {os.environ['SLURM_NTASKS']} tasks here: write srun before rnn-lightning")
        started = launch()
        if started is None:
            return {}
        found = {"devices": started.devices, "num_nodes": started.nodes}
        for name, there in found.items():
            given = self.config.trainer[name]
            if str(given) not in ("auto", "-1", str(there)) and (name, given) != ("num_nodes", 1):
                raise UserError(
                    f"trainer.{name} is {shown(given)}, but {started.by} has started {started.devices} "
                    f"process{'es'[: 2 * (started.devices > 1)]} on {started.nodes} "
                    f"node{'s'[: started.nodes > 1]}: leave it out"
                )
        strategy = self.config_init.trainer.strategy
        return {**found, "strategy": "ddp" if strategy == "auto" else strategy}

    def placed(self) -> AbstractContextManager[None]:
        """Says of a mistake in a value of a config where the value stands."""
        return placed(self.config, self._options)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the options; unlike the parent's, silent when called from Python.

        Raises:
            UserError: there is a mistake in them.
        """
        found: Namespace | None = None
        while found is None:
            try:
                found = parser.parse_args(args)
            except ComplaintError as complaint:
                if not imports.lifted(str(complaint)):
                    raise explain(complaint, parser, args) from complaint
        self.config = found
        check_values(self.config, args)

    def _add_configure_optimizers_method_to_model(self, subcommand: str | None) -> None:
        """Builds the optimiser when the Trainer asks for it: after the layers, which the parent would leave out."""
        optimizer_config = _plain(self._get(self.config_init, "optimizer"))
        schedule_config = _plain(self._get(self.config_init, "lr_scheduler"))
        if optimizer_config is None:
            return

        def configure_optimizers(model: pl.LightningModule) -> Any:
            config = _fused(optimizer_config, model.trainer)
            optimizer = made_with_shares(self.model, partial(_made, "optimizer", config=config))
            if schedule_config is None:
                return optimizer
            schedule = _made("lr_scheduler", optimizer, schedule_config)
            if isinstance(schedule, OneCycle):
                schedule.total_steps = model.trainer.estimated_stepping_batches
                if math.isinf(schedule.total_steps):
                    raise UserError(
                        "lr_scheduler: OneCycle needs a training with an end: give trainer.max_epochs or max_steps"
                    )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {
                    "scheduler": schedule,
                    "interval": "step" if isinstance(schedule, _EACH_STEP) else "epoch",
                    "monitor": getattr(schedule, "monitor", None),
                },
            }

        self.model.configure_optimizers = MethodType(configure_optimizers, self.model)


class FitCommand(Command):
    """All that training needs."""

    def __init__(self, verb: str, options: list[str], **kwargs: Any) -> None:
        super().__init__(verb, options, **{"save_config_callback": loggers.ShownConfig, **kwargs})

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds what is on by default and can be switched off with null: checkpoints and early stopping."""
        from rnn_lightning.callbacks.habits import Checkpoint, EarlyStopping

        parser.add_argument(
            "--checkpoint", type=Checkpoint | None, help="Keeps the best and the last checkpoint; null keeps none."
        )
        parser.add_argument(
            "--early_stopping", type=EarlyStopping | None, help="Stops when nothing improves; null never stops early."
        )
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            help="Checkpoint that a new run begins with: best or last of the newest run of its kind, a file or a run.",
        )
        parser.add_subclass_arguments((Optimizer,), "optimizer", instantiate=False, fail_untyped=False, skip={"params"})
        parser.add_subclass_arguments(
            LRSchedulerTypeTuple,
            "lr_scheduler",
            instantiate=False,
            fail_untyped=False,
            skip={"optimizer"},
            required=False,
        )
        parser._optimizers["optimizer"] = ((Optimizer,), "AUTOMATIC")
        parser._lr_schedulers["lr_scheduler"] = (LRSchedulerTypeTuple, "AUTOMATIC")


class DataCommand(Command):
    """What a verb needs that trains no model: the data."""

    def __init__(self, verb: str, options: list[str]) -> None:
        super().__init__(verb, options, auto_configure_optimizers=False, save_config_callback=None)

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the data's options."""
        parser.add_lightning_class_args(self._datamodule_class, "data", subclass_mode=True, required=False)

    def _add_configure_optimizers_method_to_model(self, subcommand: str | None) -> None:
        """There is nothing to optimise."""


class ScoreCommand(DataCommand):
    """What scoring needs: data and a Trainer. The model comes from a checkpoint."""

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the Trainer's and the data's options, and none of a model."""
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults({"trainer.logger": False, "trainer.enable_checkpointing": False})
        super().add_core_arguments_to_parser(parser)


def print_all_options(verb: str) -> None:
    """Prints every option of a verb, its own ones first."""
    of_verb = VERBS[verb]
    print(page(verb, []).rpartition("\n\n")[0], end="\n\n")
    command = (
        FitCommand
        if "optimizer" in of_verb.sections
        else ScoreCommand
        if "trainer" in of_verb.sections
        else DataCommand
    )
    with suppress(SystemExit):
        command(verb, ["--help"])


def _teacher(name: str) -> Any:
    from rnn_lightning.tasks.teaching import teacher

    return teacher(runs.place(name))


def _fused(config: dict[str, Any], trainer: pl.Trainer) -> dict[str, Any]:
    """Adam as one operation for all weights, unless the user chose: the same steps, several times faster."""
    options = config.get("init_args", {})
    # Lightning does not clip the gradients of a fused optimiser in mixed precision.
    clips_mixed = isinstance(trainer.precision_plugin, MixedPrecision) and bool(trainer.gradient_clip_val)
    chosen = any(options.get(name) for name in ("foreach", "capturable", "differentiable"))
    if config["class_path"] not in _CAN_BE_FUSED or options.get("fused") is not None or chosen or clips_mixed:
        return config
    return {**config, "init_args": {**options, "fused": True}}


def _made(section: str, subject: Any, config: dict[str, Any]) -> Any:
    try:
        return instantiate_class(subject, config)
    except (ValueError, TypeError) as error:
        raise UserError(f"{section}: {error}") from error


def _plain(config: Namespace | None) -> dict[str, Any] | None:
    return None if config is None else config.as_dict()
