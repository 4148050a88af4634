"""Loggers beside metrics.csv: made once the run folder is known, where they write."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, Logger

from rnn_lightning.cli.errors import UserError

_EXTRAS = {"TensorBoardLogger": "tensorboard", "WandbLogger": "wandb", "MLFlowLogger": "mlflow"}
"""The packages that loggers need, which are called as the extras that bring them."""


def wanted(config: Namespace) -> list[Namespace]:
    """The loggers that a config names.

    Raises:
        UserError: a package is missing.
    """
    named = config.get("trainer.logger")
    named = [] if named is None or isinstance(named, bool) else named if isinstance(named, list) else [named]
    for name in (logger.class_path.rpartition(".")[2] for logger in named):
        package = _EXTRAS.get(name)
        if package is not None and find_spec(package) is None:
            raise UserError(f"{name} needs {package}: pip install 'rnn-lightning[{package}]'")
    return named


def made(parser: ArgumentParser, config: Namespace, run: Path) -> list[Logger]:
    """The loggers that a config names; {run} in their options is the run folder."""
    section = Namespace(trainer=Namespace(logger=_in_run(wanted(config), str(run))))  # type: ignore[no-untyped-call]  # jsonargparse does not declare it
    loggers: list[Logger] = parser.instantiate(section).trainer.logger
    return loggers


class ShownConfig(SaveConfigCallback):
    """Gives a training's config to the loggers that show such things; it stands in the run folder already."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config, save_to_log_dir=False)

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Gives it to them."""
        config = yaml.safe_load(self.parser.dump(self.config, skip_none=True))
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLogger):
                logger.log_hyperparams(config)


def _in_run(value: Any, run: str) -> Any:
    """The same, with {run} replaced in all texts."""
    if isinstance(value, str):
        return value.replace("{run}", run)
    if isinstance(value, dict):
        return {name: _in_run(item, run) for name, item in value.items()}
    if isinstance(value, list):
        return [_in_run(item, run) for item in value]
    if isinstance(value, Namespace):
        return Namespace(**{name: _in_run(item, run) for name, item in vars(value).items()})  # type: ignore[no-untyped-call]  # as above
    return value
