"""A Hydra sweeper that searches for the settings with the best metric, by Optuna.

    SWEEP/search.journal                  Optuna's study: what has been tried, and what came of it
    SWEEP/optimizer.generator.lr=…/       a run per trial, like any other

Each trial is a job of Hydra's launcher. Its run reports the metric whenever it is logged, and is stopped where the
pruner says so (ganduel.tracking.trial). The same command with the same folder goes on: trials that were cut off are
resumed, as the runs of any sweep are, and others follow until there are `n_trials`.

    finished           the last value of the metric
    pruned, diverged   pruned: the sampler keeps away from such settings
    failed             failed: the sampler ignores it; the search ends if none has done better yet
"""

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from ganduel.errors import UserError, program, quoted, summary_of
from ganduel.run.app import read_summary
from ganduel.run.folder import one_folder
from ganduel.run.lock import folder_lock

JOURNAL, NAME = "search.journal", "search"
DIRECTIONS = ("minimize", "maximize")
SAMPLER = {"_target_": "optuna.samplers.TPESampler", "seed": 0}
PRUNER = {
    "_target_": "optuna.pruners.MedianPruner",
    "n_warmup_steps": 1000,
}  # iterations before which no run is stopped


class Search(Sweeper):
    """Runs trials until there are as many as asked for.

    Args:
        n_trials: how many in all, with those that the folder has already.
        n_jobs: how many the launcher is given at a time.
        direction: of the metric, minimize or maximize; None: as its class says.
        params: the search space beside that of the command line, each value in Hydra's grammar.
        sampler: the config of Optuna's sampler; None: SAMPLER.
        pruner: the config of Optuna's pruner, which says what runs are stopped early; None: PRUNER.
        trial: the number of the trial that a job is; the search gives it to its jobs.
    """

    config: Any = None
    launcher: Any = None

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        direction: str | None,
        params: Mapping[str, Any] | None,
        sampler: DictConfig | None,
        pruner: DictConfig | None,
        trial: int | None,
    ):
        self.n_trials, self.n_jobs, self.direction, self.params = n_trials, n_jobs, direction, params or {}
        self.sampler, self.pruner = dict(sampler or SAMPLER), pruner

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        parsed = OverridesParser.create(config_loader=self.loader).parse_overrides(words)
        overrides = {override.get_key_element(): override for override in parsed}.values()  # the last word counts
        fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
        space = {o.get_key_element(): distribution(o) for o in overrides if o.is_sweep_override()}
        check_search(self.config.objective, self.n_trials, self.n_jobs, space)
        folder = Path(self.config.hydra.sweep.dir)
        with folder_lock(folder):
            study = self.open_study(folder, fixed, space)
            while numbered := self.next_trials(study, space):
                self.run_trials(study, fixed, numbered)
        self.report(study, fixed)

    def open_study(self, folder: Path, fixed: Sequence[str], space: Mapping[str, Any]) -> Any:
        """The folder's study, which another search may not go on with."""
        direction = self.direction or direction_of(self.config.objective, self.config.metric)
        if direction not in DIRECTIONS:
            raise UserError(f"hydra.sweeper.direction={direction} is not one of {' and '.join(DIRECTIONS)}.")
        drop_half_line(folder / JOURNAL)
        study = import_optuna().create_study(
            storage=open_storage(folder),
            study_name=NAME,
            direction=direction,
            pruner=instantiate(self.pruner or PRUNER),
            load_if_exists=True,
        )
        if "seed" in self.sampler:
            self.sampler["seed"] += len(study.trials)  # or else it would draw again what it has drawn before
        study.sampler = instantiate(self.sampler)
        described = {
            "objective": self.config.objective,
            "direction": direction,
            "overrides": sorted(fixed),
            "space": {key: repr(value) for key, value in sorted(space.items())},
        }
        recorded = study.user_attrs.get("search", described)
        if differing := [key for key, value in described.items() if recorded[key] != value]:
            advice = "Give this one a folder of its own: hydra.sweep.dir=FOLDER."
            raise UserError(f"{folder} holds a search of other {' and '.join(differing)}. {advice}")
        study.set_user_attr("search", described)
        return study

    def next_trials(self, study: Any, space: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
        """The values of the trials to run now, by their numbers: those that were cut off, then new ones."""
        cut_off = {trial.number: trial.params for trial in study.trials if not trial.state.is_finished()}
        numbered = dict(list(cut_off.items())[: self.n_jobs])
        while len(numbered) < self.n_jobs and len(study.trials) < self.n_trials:
            trial = study.ask(space)
            numbered[trial.number] = trial.params
        return numbered

    def run_trials(self, study: Any, fixed: Sequence[str], numbered: Mapping[int, Mapping[str, Any]]) -> None:
        """Run trials, in parallel if the launcher does, and tell the study what came of them."""
        jobs = [[*fixed, *job_of(number, params)] for number, params in numbered.items()]
        try:
            results = self.launcher.launch(jobs, initial_job_idx=min(numbered))
        except HydraException:  # values of which no config can be composed
            for number in numbered:
                study.tell(number, state=state("FAIL"))
            raise
        for number, result in zip(numbered, results, strict=True):
            self.tell(study, number, result)

    def tell(self, study: Any, number: int, result: JobReturn) -> None:
        """Tell the study how a trial has ended."""
        run = Path(cast(DictConfig, result.hydra_cfg).hydra.runtime.output_dir)
        status = read_summary(run).get("status")
        study.tell(number, *outcome_of(status, result))
        trial = study.trials[number]
        value = "" if trial.value is None else f", {self.config.objective} = {trial.value:.6g}"
        print(f"trial {number + 1} of {self.n_trials}: {status}{value}")
        if trial.state == state("FAIL") and not any(
            t.state != trial.state for t in study.trials if t.state.is_finished()
        ):
            _ = result.return_value  # raises the error: none has done better, so that the next would fail too

    def report(self, study: Any, fixed: Sequence[str]) -> None:
        """Print the best trial as the command that trains it anew."""
        complete = [trial for trial in study.trials if trial.state == state("COMPLETE")]
        if not complete:
            raise UserError(f"none of the {len(study.trials)} trials has finished.")
        sources = self.config.hydra.runtime.config_sources
        folders = [f"--config-dir={s.path}" for s in sources if s.provider == "command-line"]
        command = f"{program()} {shlex.join([*folders, *fixed, *assignments(study.best_params)])}"
        print(f"best of {len(study.trials)} trials: {self.config.objective} = {study.best_value:.6g}, number "
              f"{study.best_trial.number + 1}\n  {command}")  # fmt: skip


def check_search(objective: str | None, n_trials: int, n_jobs: int, space: Mapping[str, Any]) -> None:
    """Refuse a search for nothing, in nothing, or of no trials."""
    if objective is None:
        raise UserError("a search needs the metric that decides: objective=fd for instance, or another of the run's.")
    if not space:
        raise UserError(
            "a search needs options to vary: optimizer.generator.lr='tag(log,interval(1e-5,1e-3))' or k=1,2."
        )
    for key, value in {"n_trials": n_trials, "n_jobs": n_jobs}.items():
        if value < 1:
            raise UserError(f"hydra.sweeper.{key}={value} must be at least 1.")


def direction_of(objective: str, metrics: Mapping[str, Any] | None) -> str:
    """Where the metric is better, as the class of a built-in one or of one in the config says."""
    from ganduel.metric.registry import METRICS  # here, as it imports torch

    kinds = [*METRICS.values(), *(get_object(node["_target_"]) for node in (metrics or {}).values())]
    ups = {quantity: up for kind in kinds for quantity, up in kind.quantities.items()}
    if (up := ups.get(objective.partition("/")[0])) is None:
        advice = " or ".join(f"hydra.sweeper.direction={direction}" for direction in DIRECTIONS)
        raise UserError(f"objective={objective} does not say where it is better: add {advice}.")
    return DIRECTIONS[up]


def distribution(override: Override) -> Any:
    """Optuna's distribution of an override's values: of numbers in a range or an interval, or of a choice's words."""
    optuna, value = import_optuna(), override.value()
    if isinstance(value, IntervalSweep):
        low, high = cast(tuple[float, float], (value.start, value.end))
        kind = optuna.distributions.IntDistribution if isinstance(low, int) else optuna.distributions.FloatDistribution
        return kind(low, high, log="log" in value.tags)
    if isinstance(value, RangeSweep):
        numbers = list(cast(Any, value.range()))
        kind = (
            optuna.distributions.IntDistribution
            if isinstance(numbers[0], int)
            else optuna.distributions.FloatDistribution
        )
        return kind(min(numbers), max(numbers), step=abs(value.step))
    return optuna.distributions.CategoricalDistribution(list(override.sweep_string_iterator()))


def assignments(params: Mapping[str, Any]) -> list[str]:
    """A trial's values as overrides."""
    return [f"{key}={value}" for key, value in params.items()]


def job_of(number: int, params: Mapping[str, Any]) -> list[str]:
    """A trial's overrides: its values, its number, and its folder, which has the name of what is searched alone."""
    words = assignments(params)
    return [*words, f"hydra.sweeper.trial={number}", f"hydra.sweep.subdir={quoted(one_folder(','.join(words)))}"]


def outcome_of(status: str | None, result: JobReturn) -> tuple[float | None, Any]:
    """The value and the state to tell of a run that has ended with this status."""
    if status in ("pruned", "diverged"):
        return None, state("PRUNED")
    value = result.return_value if result.status is JobStatus.COMPLETED else math.nan
    return (None, state("FAIL")) if math.isnan(value) else (value, state("COMPLETE"))


def state(name: str) -> Any:
    """Optuna's state of a trial."""
    return import_optuna().trial.TrialState[name]


def import_optuna() -> Any:
    """Optuna, which says what it does by itself at the level of warnings only."""
    try:
        import optuna
    except ImportError as error:
        raise UserError("hydra/sweeper=search needs Optuna: pip install 'ganduel[search]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def drop_half_line(path: Path) -> None:
    """Drop what a full disk has left of the last line: Optuna would write the next one behind it, and read neither."""
    if path.exists() and (end := path.read_bytes().rfind(b"\n") + 1) < path.stat().st_size:
        os.truncate(path, end)


def open_storage(folder: Path) -> Any:
    """The file of a folder's study, which several processes may write to."""
    storages, path = import_optuna().storages, folder / JOURNAL
    try:
        return storages.JournalStorage(storages.journal.JournalFileBackend(str(path)))
    except (ValueError, KeyError, TypeError) as error:  # of a line that was cut off, or of another program's file
        advice = "Remove the line that is damaged, or give this search a folder of its own: hydra.sweep.dir=FOLDER."
        raise UserError(f"{path} is no whole study of Optuna's: {summary_of(error)}. {advice}") from error


def current_trial() -> Any:
    """Optuna's trial that this Hydra job is, in whatever process it runs; None if it is of no search."""
    job = HydraConfig.get()
    if (number := OmegaConf.select(cast(Any, job), "sweeper.trial")) is None:
        return None
    optuna, storage = import_optuna(), open_storage(Path(job.sweep.dir))
    study = optuna.load_study(study_name=NAME, storage=storage, pruner=instantiate(job.sweeper.pruner or PRUNER))
    study_id = storage.get_study_id_from_name(NAME)
    return optuna.trial.Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id, number))
