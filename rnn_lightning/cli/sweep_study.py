"""The study of a sweep: which trials there were, which one is next, and how several workers share them."""

from __future__ import annotations

import json
import shutil
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from rnn_lightning.cli import job, runs
from rnn_lightning.cli.errors import UserError, shown
from rnn_lightning.cli.sweep_space import Range, Space, Sweep
from rnn_lightning.cli.sweep_storage import database, journal, kept

JOURNAL, LOCK = "study.journal", ".lock"
_AGAIN, _KILLED = "again", "killed"
"""What a trial knows that takes the place of another: its number, and whether that was killed."""
_SAME_FAILURE = 3
"""So many trials that fail with the same words, and none that does not, are enough."""


class Trial(NamedTuple):
    """A trial as it is told.

    Attributes:
        number: counted from 0, and the name of its folder.
        state: finished, pruned, failed, running, or passed over, where another has taken its place.
        value: the best of what is compared; None where nothing was measured.
        epochs: how many it was trained for.
        seconds: it took.
        why: it failed.
        options: what was tried.
    """

    number: int
    state: str
    value: float | None
    epochs: int | None
    seconds: float | None
    why: str | None
    options: dict[str, Any]


class Search:
    """A study, in the folder of its sweep.

    Args:
        folder: for the trials' runs; without a database for the study too.
        sweep: what is searched.
        direction: min or max.
        url: of a database that holds the study.
        name: of the study in the database.

    Raises:
        UserError: the study cannot be opened.
    """

    def __init__(self, folder: Path, sweep: Sweep, direction: str, url: str | None, name: str) -> None:
        quiet()
        self.folder, self._sweep, self._is_shared = folder, sweep, url is not None
        self._distributions = distributions(sweep.space)
        self.lock = FileLock(folder / LOCK)
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if sweep.pruning == "median":
            # It begins with the validation that it is told, and they are counted from 1.
            pruner = optuna.pruners.MedianPruner(sweep.warmup_trials, sweep.warmup_validations + 1)
        with self.lock:
            storage = journal(folder / JOURNAL) if url is None else database(url, _try_again)
            self.study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction=StudyDirection.MAXIMIZE if direction == "max" else StudyDirection.MINIMIZE,
                pruner=pruner,
                load_if_exists=True,
            )

    def take_up(self, training: Mapping[str, Any]) -> None:
        """Begins the study, or goes on with it.

        Args:
            training: what its trials have in common, by name.

        Raises:
            UserError: it was begun with another space or another training.
        """
        space = described(self._distributions)
        with self.lock, kept():
            known = self.study.user_attrs
            for what, now in (("space", space), ("training", dict(training))):
                if what not in known:
                    self.study.set_user_attr(what, now)
                elif known[what] != now:
                    raise UserError(
                        f"the study in {self.folder}/ {difference(what, known[what], now)}; "
                        "give another --output, or the same options as before"
                    )
            counted = self._counted()
            if counted and all(trial.state is TrialState.FAIL for trial in counted):
                # What made all of them fail is mended by now, else it is soon seen again.
                self.study.set_user_attr("first", len(self.study.get_trials(deepcopy=False)))

    def ended(self) -> int:
        """How many trials count as done."""
        return len([trial for trial in self._counted() if trial.state.is_finished()])

    @contextmanager
    def next(self) -> Iterator[optuna.Trial | None]:
        """The next trial, its folder locked for as long as it lasts; None where there are enough.

        Raises:
            StudyLostError: the study cannot be reached.
        """
        with ExitStack() as stack:
            with self.lock, kept():
                self._pass_over_the_dead()
                trial = self._asked()
                if trial is not None:
                    run = self.run(trial.number)
                    shutil.rmtree(run, ignore_errors=True)
                    run.mkdir(parents=True)
                    stack.enter_context(job.at_work(run))
                    trial.set_user_attr("host", socket.gethostname())
            if trial is None:
                yield None
                return
            with get_heartbeat_thread(trial._trial_id, self.study._storage):
                yield trial

    def tell(self, trial: optuna.Trial, value: float | None, attributes: Mapping[str, Any], was_pruned: bool) -> None:
        """Keeps what became of a trial; its checkpoints only if it is the best so far."""
        state = TrialState.PRUNED if was_pruned else TrialState.FAIL if value is None else TrialState.COMPLETE
        with self.lock, kept():
            for name, attribute in attributes.items():
                trial.set_user_attr(name, attribute)
            self.study.tell(trial, value if state is TrialState.COMPLETE else None, state)
            best = self.best()
            for run in (self.folder / "trials").iterdir():
                is_at_work = run.name != self.run(trial.number).name and runs.at_a_glance(run).state == "running"
                if not is_at_work and (best is None or run.name != self.run(best).name):
                    shutil.rmtree(run / runs.BEST.parent, ignore_errors=True)

    def tell_interrupted(self, trial: optuna.Trial) -> None:
        """Puts a trial back, to be taken up when the sweep goes on."""
        with self.lock, kept():
            self.study.tell(trial, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params, {_AGAIN: trial.number})

    def report(self, trial: optuna.Trial, value: float, number: int) -> bool:
        """Takes note of a validation of a trial, and says whether it is to end here."""
        with kept():
            trial.report(value, number)
            return trial.should_prune()

    def run(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def best(self) -> int | None:
        """The number of the best trial."""
        complete = [trial for trial in self._counted() if trial.state is TrialState.COMPLETE]
        return min(complete, key=self._rank).number if complete else None

    def trials(self) -> list[Trial]:
        """All trials that count, the best first; those that were pruned behind those that were finished."""
        order = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
        known = [trial for trial in self._counted() if trial.state in order]
        known.sort(key=lambda trial: (order.index(trial.state), *self._rank(trial)))
        return [self._told(trial) for trial in known]

    def _told(self, trial: FrozenTrial) -> Trial:
        state = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}.get(trial.state.name, "running")
        known = trial.user_attrs
        why = known.get("why", "its process was killed, twice") if state == "failed" else None
        return Trial(
            trial.number, state, self._value(trial), known.get("epochs"), known.get("seconds"), why, dict(trial.params)
        )

    def _value(self, trial: FrozenTrial) -> float | None:
        """The best of what was measured, of a pruned trial too."""
        if trial.state in (TrialState.COMPLETE, TrialState.FAIL):
            return trial.value
        better = max if self.study.direction is StudyDirection.MAXIMIZE else min
        return better(trial.intermediate_values.values(), default=None)

    def _rank(self, trial: FrozenTrial) -> tuple[float, int]:
        sign = -1 if self.study.direction is StudyDirection.MAXIMIZE else 1
        value = self._value(trial)
        return float("inf") if value is None else sign * value, trial.number

    def _counted(self) -> list[FrozenTrial]:
        """The trials without those that another has taken the place of."""
        with kept():
            known = self.study.get_trials(deepcopy=False)
            first = self.study.user_attrs.get("first", 0)
        replaced = {trial.user_attrs.get(_AGAIN) for trial in known}
        return [trial for trial in known if trial.number >= first and trial.number not in replaced]

    def _asked(self) -> optuna.Trial | None:
        known = self._counted()
        taken = [trial for trial in known if trial.state is not TrialState.WAITING]
        failures = [trial.user_attrs.get("why") for trial in taken if trial.state is TrialState.FAIL]
        is_hopeless = len(failures) == len(taken) >= _SAME_FAILURE and len(set(failures)) == 1
        if len(taken) >= self._sweep.trials or is_hopeless:
            return None
        if len(taken) == len(known) and (all_there_is := self._sweep.combinations()) is not None:
            # Few enough to try each of them once.
            tried = [trial.params for trial in taken]
            left = [values for values in all_there_is if values not in tried]
            if not left:
                return None
            self.study.enqueue_trial(left[0])
        # What is proposed depends on the trials before it, whichever process asks, and however often the sweep stopped.
        seed = int(np.random.SeedSequence([self._sweep.seed, len(taken)]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=seed)
        return self.study.ask(self._distributions)

    def _pass_over_the_dead(self) -> None:
        """Finds trials whose process is no more, and has them tried again, once."""
        optuna.storages.fail_stale_trials(self.study)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # In a database without a name yet: another machine is about to begin it.
            is_ours = trial.user_attrs.get("host", None if self._is_shared else "") in ("", socket.gethostname())
            if is_ours and runs.at_a_glance(self.run(trial.number)).state != "running":
                self.study.tell(trial.number, state=TrialState.FAIL)
                _try_again(self.study, trial)


def _try_again(study: optuna.Study, trial: FrozenTrial) -> None:
    if not trial.user_attrs.get(_KILLED):
        study.enqueue_trial(trial.params, {_AGAIN: trial.number, _KILLED: True})


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna has it."""
    return {option: _distribution(values) for option, values in space.items()}


def described(space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The space in plain values, to be compared with another."""
    return {
        name: json.loads(optuna.distributions.distribution_to_json(kind))["attributes"] for name, kind in space.items()
    }


def _distribution(values: tuple[Any, ...] | Range) -> BaseDistribution:
    if not isinstance(values, Range):
        return CategoricalDistribution(values)
    if values.is_whole:
        return IntDistribution(int(values.low), int(values.high), values.log, int(values.step or 1))
    return FloatDistribution(float(values.low), float(values.high), values.log, values.step)


def difference(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first thing that is not the same, in words."""
    name = next(key for key in (*before, *now) if before.get(key, ...) != now.get(key, ...))
    if what == "space":
        if name not in now:
            return f"searches another space: it has {name} too"
        return f"searches another space: it has {'no' if name not in before else 'other values of'} {name}"
    return f"is of another training: {name} was {shown(before.get(name))}, not {shown(now.get(name))}"


def quiet() -> None:
    """What there is to say, the sweep says."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"optuna\.")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
