"""`rnn-lightning sweep`: look for good settings, trial after trial or several side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from rnn_lightning.cli import configs, plugins, runs, sweep_space
from rnn_lightning.cli.errors import EXIT_FAILED, TrainingError, UserError
from rnn_lightning.cli.files import write_whole
from rnn_lightning.cli.pictures import need_matplotlib
from rnn_lightning.cli.resume import written_out
from rnn_lightning.cli.signals import Stopped
from rnn_lightning.cli.sweep_space import Sweep
from rnn_lightning.cli.sweep_table import in_words, printed, write_pictures, write_table
from rnn_lightning.cli.words import Words, refuse_names, taken
from rnn_lightning.registry import did_you_mean

if TYPE_CHECKING:
    from rnn_lightning.cli.app import FitCommand
    from rnn_lightning.cli.sweep_study import Search, Trial

_WORKER = "RNN_LIGHTNING_SWEEP_WORKER"
"""Environment variable of a process that works on the trials of another one's sweep."""
_ENGINES = {"optuna": "sweep", "ray": "ray"}
"""What chooses the trials, and the extra that brings it."""
_ONE_PROCESS = {"devices": ("auto", 1, "1"), "num_nodes": (1,)}
"""Options of the Trainer, and what they can be where a trial is one process."""


class Plan(NamedTuple):
    """A sweep that can begin.

    Attributes:
        sweep: the section of the config.
        options: those of fit that all trials have.
        command: the first trial that could be.
        folder: for everything that the sweep writes.
        to_programs: the result is printed as JSON.
    """

    sweep: Sweep
    options: list[str]
    command: FitCommand
    folder: Path
    to_programs: bool

    @property
    def metric(self) -> str:
        """What is compared."""
        monitor: str = self.command.config.checkpoint.monitor
        return monitor

    @property
    def direction(self) -> str:
        """Whether the least or the most of it is best."""
        mode: str = self.command.config.checkpoint.mode
        return mode

    def of_trial(self, values: dict[str, Any]) -> list[str]:
        """The options of a trial."""
        return [*self.options, *sweep_space.words(values), *self.sweep.forced, "--trainer.devices=1"]

    def say(self, line: str) -> None:
        """Tells of the progress; beside JSON on standard error."""
        print(line, flush=True, file=sys.stderr if self.to_programs else sys.stdout)


def sweep(options: list[str]) -> int:
    """Tries what has not been tried yet, and says what was best.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code: 1 where all trials failed.
    """
    words = taken("sweep", options)
    refuse_names("sweep", words)
    engine = words.one("--engine") or "optuna"
    if engine not in _ENGINES:
        raise UserError(f"--engine is '{engine}', not one of {', '.join(_ENGINES)}{did_you_mean(engine, [*_ENGINES])}")
    if find_spec(engine) is None:
        raise UserError(f"sweep needs {engine}: pip install 'rnn-lightning[{_ENGINES[engine]}]'")
    need_matplotlib("sweep draws its pictures")
    plan, jobs = _plan(words), words.whole_number("--jobs", 1)
    try:
        if engine == "ray":
            from rnn_lightning.cli.sweep_ray import search_with_ray

            for flag in ("--storage", "--study"):
                if words.has(flag):
                    raise UserError(f"{flag} is Optuna's: Ray keeps what it tries in {plan.folder}/")
            return search_with_ray(plan, jobs)
        return _with_optuna(plan, words, jobs, options)
    except (KeyboardInterrupt, SystemExit) as stop:
        # In a training, Lightning asks for the end of the process.
        interruption = stop if isinstance(stop, KeyboardInterrupt) else stop.__context__
        if not isinstance(interruption, KeyboardInterrupt):
            raise
        number = interruption.number if isinstance(interruption, Stopped) else signal.SIGINT
        if _WORKER in os.environ:
            return 128 + number
        said = f"Stopped. The same command goes on with what is missing in {plan.folder}/."
        raise Stopped(number, said) from stop


def _plan(words: Words) -> Plan:
    """All that can be wrong is found here, before the first trial."""
    section = sweep_space.read(words.left)
    section = replace(section, trials=words.whole_number("--trials", section.trials))
    if (all_there_is := section.combinations()) is not None:
        section = replace(section, trials=len(all_there_is))
    options = sweep_space.without_section(words.left)
    command = sweep_space.check(section, options)
    config = command.config
    if config.checkpoint is None:
        raise UserError("sweep compares the best checkpoints of its trials: checkpoint cannot be null")
    if config.trainer.fast_dev_run:
        raise UserError("sweep compares whole trainings: trainer.fast_dev_run has no place in it")
    for name, fitting in _ONE_PROCESS.items():
        if config.trainer[name] not in fitting:
            raise UserError(
                f"trainer.{name} is {config.trainer[name]}, and a trial of a sweep is one process: "
                "--jobs runs several trials side by side"
            )
    return Plan(section, options, command, Path(words.one("--output") or "sweep"), words.has("--json"))


def _with_optuna(plan: Plan, words: Words, jobs: int, options: list[str]) -> int:
    from rnn_lightning.cli.sweep_study import Search

    url, name = words.one("--storage"), words.one("--study")
    if name is not None and url is None:
        raise UserError(f"--study {name} is the name of a study in a database: give --storage too")
    with _folder(plan.folder):
        search = Search(plan.folder, plan.sweep, plan.direction, url, name or plan.folder.resolve().name)
    if _WORKER in os.environ:
        work(plan, search)
        return 0
    search.take_up(training(plan))
    done = search.ended()
    model, data = plan.command.config.model.as_dict(), plan.command.datamodule
    what = f"{runs.architecture(model)} on {getattr(data, 'name', type(data).__name__.lower())}"
    before = f", {done} of them there already" if done else ""
    plan.say(f"Sweep of {what}  ·  {plan.folder}/  ·  {plan.sweep.trials} trials{before}")
    if jobs == 1:
        work(plan, search)
    else:
        _work_together(plan, search, jobs, options)
    trials = search.trials()
    best = next((trial for trial in trials if trial.state == "finished"), None)
    return sum_up(plan, trials, best, None if best is None else search.run(best.number))


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """The folder of a sweep; gone again where it does not begin.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {folder} cannot be made: {error.strerror}") from error
    try:
        yield
    except UserError:
        from rnn_lightning.cli.sweep_study import LOCK

        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()
        raise


def training(plan: Plan) -> dict[str, Any]:
    """What all trials have in common, by the names of options.

    Args:
        plan: what is searched.
    """
    content = yaml.safe_load(written_out(plan.command))
    found = dict(_leaves({**content, "plugins": " ".join(plugins.fingerprints())}))
    searched = {f"{name}{end}" for name in plan.sweep.space for end in ("", ".class_path")}
    return {name: value for name, value in found.items() if name not in searched}


def _leaves(content: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(content, dict) or not content:
        return [(prefix, content)]
    return [
        leaf
        for key, value in content.items()
        for leaf in _leaves(value, prefix if key == "init_args" else f"{prefix}.{key}" if prefix else str(key))
    ]


def work(plan: Plan, search: Search) -> None:
    """Tries one after another until there are enough trials.

    Args:
        plan: what is searched.
        search: the study.
    """
    from rnn_lightning.cli import sweep_trial
    from rnn_lightning.cli.sweep_storage import StudyLostError

    while True:
        with search.next() as trial:
            if trial is None:
                return
            try:
                outcome = sweep_trial.run(
                    search.run(trial.number),
                    plan.of_trial(trial.params),
                    partial(search.report, trial),
                    (StudyLostError,),
                )
            except (KeyboardInterrupt, SystemExit):
                search.tell_interrupted(trial)
                raise
            kept = {"epochs": outcome.epochs, "seconds": outcome.seconds, "why": outcome.why}
            search.tell(trial, outcome.value, {k: v for k, v in kept.items() if v is not None}, outcome.was_pruned)
            plan.say(_line(plan, search, trial.number))


def _line(plan: Plan, search: Search, number: int) -> str:
    """What became of a trial."""
    trial = next(trial for trial in search.trials() if trial.number == number)
    minutes, seconds = divmod(round(trial.seconds or 0), 60)
    came_to = f"failed: {trial.why}" if trial.why else f"{plan.metric} {trial.value:.4f}"
    epochs = "" if trial.why else f"{trial.epochs} epoch{'s'[: trial.epochs != 1]}, "
    remark = "  pruned" if trial.state == "pruned" else "  the best so far" if number == search.best() else ""
    place = f"[{search.ended()}/{plan.sweep.trials}]"
    return f"{place} {in_words(trial.options)}: {came_to}  ({epochs}{minutes}:{seconds:02d}){remark}"


def _work_together(plan: Plan, search: Search, jobs: int, options: list[str]) -> None:
    """Has processes of their own work on the trials. One that is killed is replaced: its trial is not lost."""
    threads = {"OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // jobs, 1))}
    environment = {**threads, **os.environ, _WORKER: "1"}
    words = [sys.executable, "-m", "rnn_lightning", "sweep", *options, *plugins.words(), "--jobs=1"]
    left = jobs + plan.sweep.trials
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        # In a group of its own: where somebody presses Ctrl-C, this process says it to all.
        running.append(subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, process_group=0))

    try:
        for _ in range(min(jobs, plan.sweep.trials - search.ended())):
            start()
        while running:
            ended = running[0]
            code = ended.wait()
            running.remove(ended)
            left -= 1
            if code < 0 and left > 0 and search.ended() < plan.sweep.trials:
                start()
            elif code > 0:
                raise TrainingError(f"a worker of the sweep ended with exit code {code}")
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            process.wait()


def sum_up(plan: Plan, trials: list[Trial], best: Trial | None, run: Path | None) -> int:
    """Says what was best, and keeps it.

    Args:
        plan: what was searched.
        trials: all of them, the best first.
        best: the best one; None where none came to its end.
        run: its run folder.

    Returns:
        The exit code.
    """
    paths = [plan.folder / "trials.csv"]
    write_table(paths[0], trials, plan.metric, plan.sweep.space)
    if best is not None:
        paths.append(_write_best(plan, best))
        paths += write_pictures(plan.folder, trials, plan.metric, plan.direction, plan.sweep.space)
    if plan.to_programs:
        content = {
            **{"metric": plan.metric, "direction": plan.direction, "folder": str(plan.folder)},
            "best": None if best is None else {"trial": best.number, "run": str(run), "config": str(paths[1])},
            "trials": [trial._asdict() for trial in trials],
        }
        print(json.dumps(content, indent=2))
    else:
        print(printed(trials, plan.metric, plan.sweep.space))
    if best is None:
        print(f"rnn-lightning: none of the {len(trials)} trials came to its end", file=sys.stderr)
        return EXIT_FAILED
    plan.say(f"Best: trial {best.number}, {plan.metric} {best.value:.4f}  {in_words(best.options)}")
    plan.say(f"Written: {', '.join(map(str, paths))}")
    loaded = plugins.words()
    verbs = (("fit --config", str(paths[1])), ("test --run", str(run)))
    plan.say(f"Next: {'  ·  '.join(' '.join(('rnn-lightning', *words, *loaded)) for words in verbs)}")
    return 0


def _write_best(plan: Plan, best: Trial) -> Path:
    """Writes the best trial's config, which is one as any other."""
    from rnn_lightning.cli.app import FitCommand

    command = FitCommand("sweep", [f"--config={configs.base()}", *plan.of_trial(best.options)])
    path = plan.folder / "best.yaml"
    title = f"# The best of a sweep, trial {best.number}: {plan.metric} {best.value:.4f}"
    again = " ".join(("rnn-lightning fit --config", str(path), *plugins.words()))
    write_whole(path, f"{title}\n# {again}\n{written_out(command)}".encode())
    return path
