"""Parts from their configs: a `_target_` and its knobs become an object, the parts become a GAN."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from torch import nn

from ganduel import rng
from ganduel.batch import Batches, Engine
from ganduel.data.base import Data
from ganduel.distributed import on_cpu, world_size
from ganduel.ema import EMA
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.model.base import Generator
from ganduel.optim import Optim


def build(node: Mapping[str, Any], path: str | None = None, /, **supplied: Any) -> Any:
    """The object that a config describes, with what the program itself supplies; `path` is where it stands there."""
    try:
        # What is supplied does not go through Hydra, which would build whatever else has a `_target_` in it.
        return instantiate({"_convert_": "all", "_partial_": True, **node})(**supplied)
    except (InstantiationException, ValueError, TypeError) as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else error
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):  # the target refuses its arguments, as torch's optimizers do
            reason = (str(cause).splitlines() or [type(cause).__name__])[0]
            raise UserError(f"{path or node['_target_'].rpartition('.')[2]}: {reason}.") from error
        raise


def build_gan(config: Mapping[str, Any], data: Data, kind: type[GAN] = GAN) -> GAN:
    """The GAN that a resolved config describes, of a kind."""
    generator, discriminator = build_networks(config, data.shape, data.classes)
    return kind(
        generator,
        discriminator,
        loss=build(config["loss"]),
        batches=Batches(data, generator.draw, config["k"], config["batch_size"], config["seed"]),
        optim_d=build_optim(config, "discriminator"),
        optim_g=build_optim(config, "generator"),
        penalties_d={name: build(node, f"penalty.{name}") for name, node in (config["penalty"] or {}).items()},
        penalties_g={name: build(node, f"penalty_g.{name}") for name, node in (config["penalty_g"] or {}).items()},
        augment=build(config["augment"], "augment"),
        ema=None if config["ema"] is None else EMA(generator, **config["ema"]),
        engine=build_engine(config["engine"], config["trainer"]),
    )


def build_networks(
    config: Mapping[str, Any], shape: tuple[int, ...], classes: int | None = None
) -> tuple[Generator, nn.Module]:
    """G and D for samples of the shape, with the initial weights that belong to the seed."""
    seed, model = config["seed"], config["model"]
    with rng.seeded(seed, "generator"):
        generator = build_network(model["generator"], "model.generator", shape, classes)
    with rng.seeded(seed, "discriminator"):
        discriminator = build_network(model["discriminator"], "model.discriminator", shape, classes)
    return generator, discriminator


def build_network(node: Mapping[str, Any], path: str, shape: tuple[int, ...], classes: int | None = None) -> Any:
    """A network for samples of the shape; one that can take labels is told of how many classes.

    Its parameter `classes` has a default if it can do without.
    """
    parameter = inspect.signature(get_object(node["_target_"])).parameters.get("classes")
    if parameter is None:
        return build(node, path, shape=shape)
    if classes is None and parameter.default is parameter.empty:
        raise UserError(f"{path}: {node['_target_'].rpartition('.')[2]} takes labels, and the data have none.")
    return build(node, path, shape=shape, classes=classes)


def build_optim(config: Mapping[str, Any], network: str) -> Optim:
    """How the network of that name is updated."""
    optimizer, schedule = dict(config["optimizer"][network]), config["schedule"].get(network)
    if config["trainer"]["precision"] == "16-mixed" and optimizer.get("fused"):
        optimizer["fused"] = False  # a fused step would unscale the gradient after it is measured and clipped
    return Optim(
        make_optimizer=lambda parameters: build(optimizer, f"optimizer.{network}", params=list(parameters)),
        make_schedule=None
        if schedule is None
        else lambda optimizer: build(schedule, f"schedule.{network}", optimizer=optimizer),
        clip=config["clip"][network],
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
