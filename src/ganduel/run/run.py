"""A run from its config: its parts, a Trainer, and the summary that is left when it ends."""

import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger as LightningLogger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ganduel import checkpoint as checkpoints
from ganduel.callback.finite import Finite
from ganduel.callback.host_draws import HostDraws
from ganduel.callback.objective import Objective
from ganduel.callback.progress import ProgressBar
from ganduel.callback.save import Save
from ganduel.callback.stop import StopOnSignal
from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.data.base import Data
from ganduel.distributed import ReplicatedStrategy, check_launcher, on_cpu, world_size
from ganduel.errors import Diverged, UserError
from ganduel.factory.data import build_data, check_data, data_record
from ganduel.factory.gan import build_gan
from ganduel.factory.part import build
from ganduel.gan import GAN
from ganduel.model.base import check_outputs, depends_on_ranks
from ganduel.rng import all_seeded
from ganduel.run.begin import Begin
from ganduel.run.explain import explain
from ganduel.run.folder import writing_to
from ganduel.run.matmul import matmul_precision
from ganduel.run.quiet import quiet
from ganduel.run.trackers import guarded, guarded_trackers
from ganduel.tracking.base import Logger, is_first_rank
from ganduel.tracking.run_logger import RunLogger, to_yaml, write_config
from ganduel.tracking.trial import TrialLogger


class Run:
    """A run's folder, loggers, networks and callbacks: what it has for itself, alone or as a member of a population.

    Args:
        values: its resolved config.
        folder: where it is on record.
        checkpoint: where to go on from; None for a new run.

    Attributes:
        gan, callbacks: made by `build`.
        loggers: the run's own record, and what else follows it.
        begun: whether the folder is this run's: a run that is refused before changes nothing in it.
    """

    gan: Any = None
    callbacks: list[Callback]
    begun = False

    def __init__(self, values: dict[str, Any], folder: Path, checkpoint: Path | None = None):
        self.values, self.folder, self.checkpoint = values, folder, checkpoint
        self.iteration = 0 if checkpoint is None else checkpoints.read(checkpoint)["global_step"]
        self.record = RunLogger(folder)
        self.loggers: list[LightningLogger] = [self.record]

    def build(self, data: Data | None = None, kind: type[GAN] = GAN) -> None:
        """Build all parts: the GAN of a kind, on data that others may have too."""
        values = self.values
        data = build_data(values) if data is None else data
        check_data(values, data)
        self.gan = build_gan(values, check_batch(values, data), kind)
        check_rows(values, self.gan)
        self.loggers += guarded_trackers(values, self.folder)
        for logger in self.loggers:
            if isinstance(logger, Logger):
                logger.gan = self.gan
        gradients = values["trainer"]["precision"] != "16-mixed"
        self.callbacks = [
            Begin(self.begin),
            Finite(gradients),
            *(build(node) for node in (values["callback"] or {}).values()),
            *([] if values["objective"] is None else [Objective(values["objective"], self.record)]),
            Save(self.folder / "checkpoints", values["checkpoint_every"], values, values["checkpoint_min_seconds"]),
        ]

    def begin(self) -> None:
        """Write the config, and have all loggers begin."""
        if record := data_record(self.values, self.gan.batches.data):
            self.values.setdefault("run", {})["data"] = record
        if is_first_rank():
            write_config(self.folder, self.values)
        for logger in self.loggers:
            if isinstance(logger, Logger):
                logger.begin(self.iteration)
        self.begun = True

    def finish(self, outcome: Mapping[str, Any], device: str | None, ranks: int = 1) -> dict[str, Any]:
        """Tell all loggers how the run has ended, and return the summary that is left in its folder.

        One that was to be resumed, and was refused, keeps the summary that it has.
        """
        metrics = self.record.last
        timing = {"iteration": self.iteration, "seconds": metrics.get("seconds", 0.0), "peak_memory": peak_memory()}
        hardware = {"device": device, "ranks": ranks, "depends_on_ranks": self.depends_on_ranks}
        summary = {**outcome, **timing, **hardware, "metrics": metrics}
        with writing_to(self.folder):
            for logger in self.loggers if self.begun or self.checkpoint is None else []:
                if isinstance(logger, Logger):
                    logger.finish(summary)
                else:
                    logger.finalize("success" if outcome["status"] == "finished" else "failed")
        return summary

    @property
    def depends_on_ranks(self) -> bool | None:
        """Whether another number of ranks would have given another result; None if the networks were not built."""
        gan = self.gan
        return None if gan is None else depends_on_ranks(gan.generator, gan.discriminator, gan.mixes_samples)


def fit(
    values: dict[str, Any], folder: Path, checkpoint: Path | None = None, data: Data | None = None, trial: Any = None
) -> dict[str, Any]:
    """Train until the end, a signal or a failure, and return the summary that is left in the folder.

    What fails before the first iteration leaves the folder as it is.

    Args:
        values: the run's resolved config.
        folder: the run's folder.
        checkpoint: where to go on from; None for a new run.
        data: its data; None: they are built here.
        trial: Optuna's, if the run is one of a search.

    Raises:
        SystemExit: after a signal, with 128 + its number on the first rank, so that a shell or a scheduler sees it.
    """
    quiet()
    check_accelerator(values["trainer"])
    check_launcher(values["trainer"])
    run = Run(values, folder, checkpoint)
    search = [] if trial is None else [TrialLogger(values["objective"], trial)]
    run.loggers += [guarded(logger, "hydra.sweeper", folder) for logger in search]
    run.build(data)
    stop, outcome, summary = StopOnSignal(), ENDED_FROM_OUTSIDE, {}
    callbacks = [stop, HostDraws(), *run.callbacks, ProgressBar(run.record)]
    trainer = build_trainer(values, folder, run.loggers, callbacks, checkpoint)
    trainer.precision_plugin.convert_module(run.gan)  # Lightning would round 64-true weights of a checkpoint before
    try:
        matmul = matmul_precision(values, run.gan.generator, run.gan.discriminator)
        with own_process_group(trainer), matmul, writing_to(folder), all_seeded(values["seed"], "global"):
            trainer.fit(run.gan, ckpt_path=checkpoint, weights_only=True)
        outcome = outcome_of(stop.signum, search[0].pruned if search else None)
    except Exception as error:
        outcome = failure(error)
        raise
    finally:
        if run.begun:
            run.iteration = trainer.global_step
            summary = run.finish(outcome, trainer.strategy.root_device.type, trainer.world_size)
    if stop.signum is not None:
        sys.exit(128 + stop.signum if is_first_rank() else 0)
    return summary


ENDED_FROM_OUTSIDE = {"status": "failed", "reason": "ended from outside"}


def outcome_of(signum: int | None, pruned: str | None = None) -> dict[str, Any]:
    """How a run that has come to its end has ended: by itself, by a signal, or by the search that it is a trial of."""
    if signum is not None:
        return {"status": "stopped", "reason": signal.Signals(signum).name}
    return {"status": "finished" if pruned is None else "pruned", "reason": pruned}


def failure(error: Exception) -> dict[str, Any]:
    """How a run has ended that an exception ended."""
    status = "diverged" if isinstance(error, Diverged) else "failed"
    return {"status": status, "reason": explain(error) or f"{type(error).__name__}: {error}"}


def check_batch(values: Mapping[str, Any], data: Data) -> Data:
    """The data, unless they or the ranks cannot fill a batch."""
    batch_size, ranks = values["batch_size"], world_size(values["trainer"])
    if data.size is not None and batch_size > data.size:
        raise UserError(
            f"batch_size={batch_size} is more than the {data.size} samples of the data. Try {data.size} or less."
        )
    if batch_size % ranks:
        raise UserError(f"batch_size={batch_size} cannot be shared by {ranks} ranks. Try a multiple of {ranks}.")
    return data


def check_rows(values: Mapping[str, Any], gan: GAN) -> None:
    """Refuse networks that cannot be trained on a rank's part of a batch: one sample is too few for BatchNorm."""
    if (rows := values["batch_size"] // world_size(values["trainer"])) < values["batch_size"]:
        noise, data = gan.batches.draw_noise(rows, torch.Generator()), gan.batches.data
        check_outputs(gan.generator, gan.discriminator, noise, data.shape, data.classes, gan.loss.outputs)


def check_accelerator(trainer: Mapping[str, Any]) -> None:
    """Refuse a device that this machine lacks, or a precision that it lacks, before the run is seen elsewhere."""
    name = trainer["accelerator"]
    if trainer["precision"] == "16-mixed" and on_cpu(trainer):
        raise UserError(
            "trainer.precision=16-mixed: there is no training in fp16 on a CPU. Use trainer.precision=bf16-mixed."
        )
    if name in ("gpu", "cuda", "mps") and not torch.accelerator.is_available():
        raise UserError(f"trainer.accelerator={name}: torch finds none here. Try trainer.accelerator=cpu or auto.")


def build_trainer(
    values: Mapping[str, Any],
    folder: Path,
    loggers: list[LightningLogger],
    callbacks: list[Callback],
    checkpoint: Path | None = None,
    checkpoint_io: TorchCheckpointIO | None = None,
) -> Trainer:
    """Lightning's Trainer, with what it does by default and Algorithm 1 does not want switched off."""
    config = values["trainer"]
    command = [sys.executable, "-m", "ganduel.run.worker", *map(str, (folder, checkpoint) if checkpoint else (folder,))]
    try:
        return Trainer(
            accelerator=config["accelerator"],
            devices=config["devices"],
            num_nodes=config["num_nodes"],
            precision=config["precision"],
            sync_batchnorm=config["sync_batchnorm"],
            max_steps=config["max_steps"],
            max_epochs=-1,
            log_every_n_steps=values["log_every"],
            strategy=ReplicatedStrategy(command, to_yaml(values)) if world_size(config) > 1 else "auto",
            plugins=[checkpoint_io or AtomicCheckpointIO()],
            logger=loggers,
            callbacks=callbacks,
            default_root_dir=folder,
            profiler=NoProfiler(),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        key = next((key for key in ("precision", "devices", "accelerator") if key in reason), "accelerator")
        raise UserError(f"trainer.{key}={config[key]}: {reason}") from error


@contextmanager
def own_process_group(trainer: Trainer) -> Iterator[None]:
    """Leave the process as it was: the next job of a sweep may run in it, with another number of ranks."""
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
    before = {name: os.environ.get(name) for name in names}
    launched = dist.is_available() and dist.is_initialized()
    try:
        yield
    except BaseException:
        if isinstance(trainer.strategy, ReplicatedStrategy):
            trainer.strategy.kill_workers()
        raise
    finally:
        if dist.is_available() and dist.is_initialized() and not launched:
            dist.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def peak_memory() -> dict[str, int]:
    """The most memory in use so far, in bytes: of this process, and on its GPU if it uses one."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_initialized():
        peak["gpu"] = torch.cuda.max_memory_allocated()
    return peak


class NoProfiler(Profiler):
    """Times nothing. Lightning's own for that enters an empty context 70 times an iteration, for 0.15 ms."""

    nothing = nullcontext()

    def start(self, action_name: str) -> None:
        """Nothing begins."""

    def stop(self, action_name: str) -> None:
        """Nothing ends."""

    def profile(self, action_name: str) -> Any:
        return self.nothing
