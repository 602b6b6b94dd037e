"""A GAN from a resolved config: its parts become one."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from hydra.utils import get_object
from torch.optim import Optimizer

from ganduel import rng
from ganduel.batch import Batches, Engine
from ganduel.data.base import Data
from ganduel.distributed import on_cpu, world_size
from ganduel.ema import EMA
from ganduel.errors import UserError
from ganduel.factory.networks import build_condition, build_networks
from ganduel.factory.part import build
from ganduel.gan import GAN
from ganduel.optim import Optim


def build_gan(config: Mapping[str, Any], data: Data, kind: type[GAN] = GAN) -> GAN:
    """The GAN that a resolved config describes, of a kind."""
    generator, discriminator = build_networks(config, data.shape, data.classes)
    with rng.all_seeded(config["seed"], "parts"):
        return kind(
            generator,
            discriminator,
            loss=build_condition(config).loss(build(config["loss"])),
            batches=Batches(data, generator.draw, config["k"], config["batch_size"], config["seed"]),
            optim_d=build_optim(config, "discriminator"),
            optim_g=build_optim(config, "generator"),
            penalties_d={name: build(node, f"penalty.{name}") for name, node in (config["penalty"] or {}).items()},
            penalties_g={name: build(node, f"penalty_g.{name}") for name, node in (config["penalty_g"] or {}).items()},
            augment=build(config["augment"], "augment"),
            ema=None if config["ema"] is None else EMA(generator, **config["ema"]),
            engine=build_engine(config["engine"], config["trainer"]),
            unroll=config.get("unroll", 0),
        )


def build_optim(config: Mapping[str, Any], network: str) -> Optim:
    """How the network of that name is updated."""
    optimizer, schedule = dict(config["optimizer"][network]), config["schedule"].get(network)
    if config["trainer"]["precision"] == "16-mixed" and optimizer.get("fused"):
        optimizer["fused"] = False  # a fused step would unscale the gradient after it is measured and clipped
    if schedule is not None:
        check_schedule(schedule["_target_"], f"schedule.{network}")
    return Optim(
        make_optimizer=lambda parameters: build(optimizer, f"optimizer.{network}", params=list(parameters)),
        make_schedule=None
        if schedule is None
        else lambda optimizer: build_schedule(schedule, network, optimizer, config["trainer"]["max_steps"]),
        clip=config["clip"][network],
    )


def build_schedule(node: Mapping[str, Any], network: str, optimizer: Optimizer, max_steps: int) -> Any:
    """A learning-rate schedule; refused if it is one of torch's that raise an error after their last step."""
    schedule = build(node, f"schedule.{network}", optimizer=optimizer)
    if (end := getattr(schedule, "total_steps", None)) is not None and end < max_steps:
        raise UserError(
            f"schedule.{network}: {type(schedule).__name__} ends after {end} iterations, and the run has "
            f"trainer.max_steps={max_steps}. Give it total_steps: ${{trainer.max_steps}} when the run begins."
        )
    return schedule


def check_schedule(target: str, path: str) -> None:
    """Refuse a schedule that cannot step without being told something, as ReduceLROnPlateau a metric."""
    parameters = [*inspect.signature(getattr(get_object(target), "step", lambda self: None)).parameters.values()][1:]
    if needed := [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]:
        name = target.rpartition(".")[2]
        raise UserError(
            f"{path}: {name} needs {needed[0]} in each step, and schedules go by iterations. Try schedule=linear."
        )


def build_engine(name: str, trainer: Mapping[str, Any]) -> Engine:
    """What runs the updates; "auto": a CUDA graph on one GPU, and elsewhere nothing special.

    Args:
        name: of a module of the package `engine`, of which each but `eager` can be deleted.
        trainer: the Trainer's config.
    """
    if name == "auto":
        one_gpu = not on_cpu(trainer) and torch.cuda.is_available() and world_size(trainer) == 1
        name = "cuda_graph" if one_gpu and find_spec("ganduel.engine.cuda_graph") else "eager"
    if find_spec(f"ganduel.engine.{name}") is None:
        raise UserError(f"engine={name}: this copy of ganduel has no ganduel/engine/{name}.py. Use engine=eager.")
    return import_module(f"ganduel.engine.{name}").build(trainer)
