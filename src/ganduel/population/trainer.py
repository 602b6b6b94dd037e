"""Trains the members of a population in one process: one Trainer, one StackedGAN, callbacks for each member.

Members that are ahead of others (as after a kill between two checkpoints) wait until the others are where they are. One
that diverges ends like a run that trains alone, and the others go on without it. A signal stops all after the same
iteration.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any, cast

from lightning.pytorch import Trainer

from ganduel.callback.finite import Finite
from ganduel.callback.host_draws import HostDraws
from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.data.base import Data
from ganduel.factory.data import build_data, recorded_data
from ganduel.population.callback import MemberCallbacks, PopulationBar, StopAll, check_shapes
from ganduel.population.gan import StackedGAN
from ganduel.population.member import Member, MemberTrainer
from ganduel.population.members import config_without_seed
from ganduel.rng import all_seeded
from ganduel.run.explain import explain, trace
from ganduel.run.matmul import matmul_precision
from ganduel.run.run import ENDED_FROM_OUTSIDE, Run, build_trainer, failure, outcome_of, quiet

log = logging.getLogger("ganduel")


@dataclass(frozen=True)
class MemberSpec:
    """A member that is to train.

    Attributes:
        name: the member's, which its folder has too.
        values: the run's resolved config.
        folder: the run's.
        checkpoint: where to go on from; None for a new run.
        lock: the open file that holds the folder's lock; None if there is none.
    """

    name: str
    values: dict[str, Any]
    folder: Path
    checkpoint: Path | None = None
    lock: int | None = None


class PopulationCheckpointIO(AtomicCheckpointIO):
    """Reads of a member's checkpoint how far Lightning's loops were; the members take the rest from their own."""

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        empty = {"state_dict": {}, "callbacks": {}, "optimizer_states": [], "lr_schedulers": []}
        return super().load_checkpoint(path, *args, **kwargs) | empty


def train_members(specs: Sequence[MemberSpec], processes: Sequence[Popen] = (), bar: bool = True) -> int | None:
    """Train all members until each has ended.

    Args:
        specs: theirs.
        processes: others, which train more members, and are told of each signal.
        bar: whether there is a progress bar.

    Returns:
        128 + the number of the signal that stopped them, or None.
    """
    quiet()
    stop, population_bar = StopAll(processes), PopulationBar()
    runs = build_runs(specs)
    if not runs:
        return None
    shared = [stop, *([population_bar] if bar else [])]
    values, folder = runs[0][1].values, runs[0][1].folder.parent
    members = list[MemberTrainer]()
    callbacks = population_bar.callbacks = MemberCallbacks(members)
    trainer = build_trainer(
        values, folder, [], [stop, HostDraws(), callbacks, *shared[1:]], checkpoint_io=PopulationCheckpointIO()
    )
    members += [MemberTrainer(trainer, name, run, shared) for name, run in runs]
    callbacks.members, callbacks.running = members, list(members)
    for member in members:
        attach(member)
    gan = StackedGAN([run.gan for _, run in runs], [config_without_seed(run.values) for _, run in runs])
    with callbacks.named_lines():
        fit(trainer, gan, callbacks)
    for member in list(callbacks.running):
        callbacks.finish(member, outcome_of(stop.signum))
    return None if stop.signum is None else 128 + stop.signum


def fit(trainer: Trainer, gan: StackedGAN, callbacks: MemberCallbacks) -> None:
    """Train from where the members that are furthest behind are; what fails here ends all of them."""
    behind = min((member.run for member in callbacks.members), key=lambda run: run.iteration)
    values, networks = behind.values, (behind.gan.generator, behind.gan.discriminator)
    try:
        check_shapes(callbacks.members)
        trainer.precision_plugin.convert_module(gan)
        with matmul_precision(values, *networks), all_seeded(values["seed"], "global"):
            trainer.fit(gan, ckpt_path=behind.checkpoint, weights_only=True)
    except BaseException as error:
        outcome = failure(error) if isinstance(error, Exception) else ENDED_FROM_OUTSIDE
        for member in list(callbacks.running):
            callbacks.finish(member, outcome)
        raise


def build_runs(specs: Sequence[MemberSpec]) -> list[tuple[str, Run]]:
    """The runs of the members, built; one that cannot be built has failed, and is on record as such."""
    runs, datasets = [], dict[str, Data]()
    for spec in specs:
        run = Run(spec.values, spec.folder, spec.checkpoint)
        try:
            key = json.dumps([spec.values["data"], recorded_data(spec.values).get("dir")], sort_keys=True)
            if key not in datasets:
                datasets[key] = build_data(spec.values)  # one copy for all members
            run.build(datasets[key], Member)
            run.callbacks = [c for c in run.callbacks if not isinstance(c, Finite)]  # all are checked at once
        except Exception as error:
            message = explain(error) or f"{type(error).__name__}: {error}"
            log.error("%s%s: error: %s", trace(error), spec.name, message)
            run.finish(failure(error), None)
        else:
            runs.append((spec.name, run))
    return runs


def attach(member: MemberTrainer) -> None:
    """Let a member's GAN and callbacks know their trainer, and log to the member's loggers."""
    gan = member.run.gan
    gan.trainer = cast(Any, member)
    for callback in member.run.callbacks:
        callback.log = gan.log  # type: ignore[attr-defined]  # as Lightning gives callbacks its module's
