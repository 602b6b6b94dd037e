"""G and D from their configs, under a condition; without Lightning, which takes longer to import than torch."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from hydra.utils import get_object
from torch import nn

from ganduel import rng
from ganduel.condition.base import Condition
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.model.base import Generator, initialise_lazy_layers, labels_for_trial
from ganduel.model.packing import Packed, packed_shape


def build_condition(config: Mapping[str, Any]) -> Condition:
    """How the networks learn of classes; configs of older versions have none."""
    return build(config["condition"], "condition") if "condition" in config else Condition()


def build_networks(
    config: Mapping[str, Any], shape: tuple[int, ...], classes: int | None = None
) -> tuple[Generator, nn.Module]:
    """G and D for samples of the shape, with the initial weights that belong to the seed."""
    seed, pack = config["seed"], config.get("pack", 1)
    with rng.all_seeded(seed, "generator"):
        generator = build_generator(config, shape, classes)
        noise, labels = generator.draw(2, rng.generator("lazy layers")), labels_for_trial(2, classes)
        initialise_lazy_layers(generator, noise, labels)
    with rng.all_seeded(seed, "discriminator"):
        seen = packed_shape(shape, pack)
        discriminator = build_discriminator(config, seen, classes)
        initialise_lazy_layers(discriminator, torch.zeros(2, *seen), labels)
    return generator, discriminator if pack == 1 else Packed(discriminator, pack, shape)


def build_generator(config: Mapping[str, Any], shape: tuple[int, ...], classes: int | None = None) -> Generator:
    """G for samples of the shape, and of a condition's classes."""
    node, condition = config["model"]["generator"], build_condition(config)
    inner = None if condition.takes_labels else classes

    def make(more_noise: int = 0) -> Generator:
        wider = {**node, "noise_dim": noise_dim(node) + more_noise} if more_noise else node
        return build_network(wider, "model.generator", shape, inner)

    return condition.generator(make, classes)


def build_discriminator(config: Mapping[str, Any], shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
    """D for samples of the shape, and of a condition's classes."""
    node, condition = config["model"]["discriminator"], build_condition(config)
    inner = None if condition.takes_labels else classes
    return condition.discriminator(
        lambda shape: build_network(node, "model.discriminator", shape, inner), shape, classes
    )


def noise_dim(node: Mapping[str, Any]) -> int:
    """That of a G's config, or its constructor's default."""
    if "noise_dim" in node:
        return int(node["noise_dim"])
    default = inspect.signature(get_object(node["_target_"])).parameters.get("noise_dim")
    if default is None:
        raise UserError(
            f"condition.generator=embedding: {node['_target_'].rpartition('.')[2]} has no noise_dim, so that no "
            "embedding fits beside its noise. Use another model, such as model=mlp."
        )
    return int(default.default)


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
