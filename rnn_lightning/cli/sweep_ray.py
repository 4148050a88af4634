"""`rnn-lightning sweep --engine ray`: the same trials, spread over a cluster by Ray Tune."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, MedianStoppingRule
from ray.tune.search.optuna import OptunaSearch

from rnn_lightning.cli import plugins, runs, sweep_trial
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_whole
from rnn_lightning.cli.process import set_up
from rnn_lightning.cli.sweep import Plan, sum_up, training
from rnn_lightning.cli.sweep_space import words
from rnn_lightning.cli.sweep_study import Trial, described, difference, distributions, quiet

_STATE, _ASKED = "ray", "ray.json"
"""What Ray keeps in the folder of the sweep, and what it was asked for."""


def search_with_ray(plan: Plan, jobs: int) -> int:
    """Tries what has not been tried yet, and says what was best.

    Args:
        plan: what is searched.
        jobs: trials side by side; on a cluster, which RAY_ADDRESS names, as many as have room.

    Returns:
        The exit code.

    Raises:
        UserError: the folder holds another sweep.
    """
    quiet()
    # Paths of configs and data are those of the place where the command was given.
    os.environ |= {"RAY_CHDIR_TO_TRIAL_DIR": "0", "RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    is_local = "RAY_ADDRESS" not in os.environ
    ray.init(
        **({"num_cpus": jobs, "include_dashboard": False} if is_local else {}),
        log_to_driver=False,
        logging_level="error",
    )
    try:
        found = _tuner(plan, jobs if is_local else None).fit()
    finally:
        ray.shutdown()
    # Ray has them in another order once it went on.
    results = sorted(found, key=lambda result: (result.metrics or {}).get("started", math.inf))
    told = [_told(plan, number, result) for number, result in enumerate(results)]
    order, sign = ("finished", "pruned", "failed"), -1 if plan.direction == "max" else 1
    told.sort(key=lambda pair: (order.index(pair[0].state), sign * (pair[0].value or 0.0)))
    best, run = next((pair for pair in told if pair[0].state == "finished"), (None, None))
    for _, other in told:
        if other != run:
            shutil.rmtree(other / runs.BEST.parent, ignore_errors=True)
    return sum_up(plan, [trial for trial, _ in told], best, run)


def _tuner(plan: Plan, jobs: int | None) -> tune.Tuner:
    """The sweep as it begins, or goes on."""
    folder = plan.folder.resolve()
    space = distributions(plan.sweep.space)
    asked = json.loads(json.dumps({"space": described(space), "training": training(plan)}))
    trainable: Any = tune.with_resources(
        partial(
            _trial,
            options=[*plan.options, *plan.sweep.forced, "--trainer.devices=1"],
            plugin_files=[word.partition("=")[2] for word in plugins.words()],
            metric=plan.metric,
            direction=plan.direction,
            folder=folder,
            here=Path.cwd(),
        ),
        {"cpu": 1},
    )
    if tune.Tuner.can_restore(str(folder / _STATE)) and (folder / _ASKED).is_file():
        known = json.loads((folder / _ASKED).read_text("utf-8"))
        for what in ("space", "training"):
            if known[what] != asked[what]:
                raise UserError(f"the study in {plan.folder}/ {difference(what, known[what], asked[what])}")
        plan.say(f"Sweep by Ray  ·  {plan.folder}/  ·  going on")
        return tune.Tuner.restore(str(folder / _STATE), trainable, resume_unfinished=True)
    plan.say(f"Sweep by Ray  ·  {plan.folder}/  ·  {plan.sweep.trials} trials")
    write_whole(folder / _ASKED, json.dumps(asked).encode())
    pruner: Any = FIFOScheduler()
    if plan.sweep.pruning == "median":
        pruner = MedianStoppingRule(
            "training_iteration",
            grace_period=plan.sweep.warmup_validations + 1,
            min_samples_required=max(plan.sweep.warmup_trials, 1),
        )
    sampler = optuna.samplers.TPESampler(seed=plan.sweep.seed)
    search = OptunaSearch(space, metric=plan.metric, mode=plan.direction, sampler=sampler)
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric=plan.metric,
            mode=plan.direction,
            search_alg=search,
            scheduler=pruner,
            num_samples=plan.sweep.trials,
            max_concurrent_trials=jobs,
        ),
        run_config=tune.RunConfig(
            name=_STATE,
            storage_path=str(folder),
            verbose=0,
            # A worker that is killed: once more. A trial that fails says so and ends in good order.
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    )


def _trial(
    settings: dict[str, Any],
    options: list[str],
    plugin_files: list[str],
    metric: str,
    direction: str,
    folder: Path,
    here: Path,
) -> None:
    """One trial, in a process of Ray's."""
    os.chdir(here)
    set_up()
    plugins.load(plugin_files)
    run = folder / "trials" / str(tune.get_context().get_trial_id())
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)

    known = {"run": str(run), "started": time.time()}
    better = max if direction == "max" else min
    values: list[float] = []

    def report(value: float, number: int) -> bool:
        values.append(value)
        tune.report({metric: value, "best": better(values), **known})
        return False  # Ray ends the process itself

    outcome = sweep_trial.run(run, [*options, *words(settings)], report)
    value = (math.inf if direction == "min" else -math.inf) if outcome.value is None else outcome.value
    tune.report({metric: value, "best": value, **known, "finished": True, "why": outcome.why})


def _told(plan: Plan, number: int, result: Any) -> tuple[Trial, Path]:
    """A trial as it is told, and its run folder."""
    measured: dict[str, Any] = result.metrics or {}
    why = measured.get("why") or (str(result.error).strip().splitlines()[-1] if result.error else None)
    state = "failed" if why else "finished" if measured.get("finished") else "pruned"
    run = Path(os.path.relpath(measured.get("run", plan.folder / "trials" / "none")))
    value = None if why else measured.get("best")
    seconds = round(measured.get("time_total_s", 0.0), 1)
    return Trial(number, state, value, runs.at_a_glance(run).epochs, seconds, why, dict(result.config)), run
