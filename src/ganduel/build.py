"""Parts from their configs: a `_target_` and its knobs become an object, the parts become a GAN."""

from collections.abc import Mapping
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import nn

from ganduel import rng
from ganduel.data.base import Data
from ganduel.ema import EMA
from ganduel.errors import UserError
from ganduel.gan import GAN, Descent
from ganduel.model.base import Generator

Duel = TypeVar("Duel", bound=GAN)


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


def build_networks(config: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Generator, nn.Module]:
    """G and D for samples of the shape, with the initial weights that belong to the seed."""
    seed, model = config["seed"], config["model"]
    with rng.seeded(seed, "generator"):
        generator = build(model["generator"], shape=shape)
    with rng.seeded(seed, "discriminator"):
        discriminator = build(model["discriminator"], shape=shape)
    return generator, discriminator


def build_gan(config: Mapping[str, Any], data: Data, kind: type[Duel] = GAN) -> Duel:
    """The duel that a resolved config describes, of GAN or a kind of it."""
    generator, discriminator = build_networks(config, data.shape)
    return kind(
        generator,
        discriminator,
        loss=build(config["loss"]),
        penalty=build(config["penalty"]),
        data=data,
        descent_d=build_descent(config, "discriminator"),
        descent_g=build_descent(config, "generator"),
        ema=None if config["ema"] is None else EMA(generator, **config["ema"]),
        k=config["k"],
        batch_size=config["batch_size"],
        seed=config["seed"],
        cuda_graph=config["trainer"].get("cuda_graph", False),  # a run of old has no word on it
        replay=config["trainer"].get("replay", "auto"),  # likewise
        compiled=config["trainer"].get("compile", False),  # likewise
        onednn=config["trainer"].get("onednn", False),  # it adds up in another order than the run has begun with
    )


def build_descent(config: Mapping[str, Any], network: str) -> Descent:
    """How the network of that name is updated."""
    optimizer, schedule = dict(config["optimizer"][network]), config["schedule"].get(network)
    if config["trainer"]["precision"] == "16-mixed" and optimizer.get("fused"):
        optimizer["fused"] = False  # a fused step would unscale the gradient after it is measured and clipped
    return Descent(
        optimizer=lambda parameters: build(optimizer, f"optimizer.{network}", params=list(parameters)),
        schedule=None
        if schedule is None
        else lambda optimizer: build(schedule, f"schedule.{network}", optimizer=optimizer),
        clip=config["clip"][network],
    )
