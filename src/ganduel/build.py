"""Parts from their configs: a `_target_` and its knobs become an object, the parts become a GAN."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from ganduel import rng
from ganduel.batch import Batches, Engine
from ganduel.condition.base import Condition
from ganduel.data.base import Data
from ganduel.distributed import on_cpu, world_size
from ganduel.ema import EMA
from ganduel.errors import UserError, listed, printable
from ganduel.gan import GAN
from ganduel.model.base import Generator, initialise_lazy_layers, labels_for_trial
from ganduel.model.packing import Packed, packed_shape
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


def build_data(config: Mapping[str, Any]) -> Data:
    """The data of a resolved config; those of a run that has begun are in the folder that is on record.

    They are the same for all seeds, whatever their constructor draws from.
    """
    node, folder, condition = config["data"], recorded_data(config).get("dir"), build_condition(config)
    if folder is not None and not Path(folder).is_dir():
        raise UserError(
            f"the run's data were in {folder}, which is no folder now. Say where they are: data.dir=FOLDER."
        )
    with rng.all_seeded("data"):
        data = build(node if folder is None else {**node, "dir": folder})
    if condition.takes_labels and data.classes is None:
        data.use_labels()
    return data


def build_condition(config: Mapping[str, Any]) -> Condition:
    """How the networks learn of classes; configs of older versions have none."""
    return build(config["condition"], "condition") if "condition" in config else Condition()


def check_data(config: Mapping[str, Any], data: Data, run: str = "the run") -> None:
    """Refuse other data than those that a run is on record to have been trained on."""
    recorded, found = recorded_data(config), data.fingerprint
    if found is None or "checksum" not in recorded or recorded == {**recorded, **found}:
        return
    same = {key for key, value in found.items() if recorded.get(key) == value}
    number = "as many others" if {"samples", "shape"} <= same else f"{found['samples']:,}"
    if {"samples", "shape", "checksum"} <= same:
        number = f"the same in other classes{named_classes(found)}"
    shape = "" if "shape" in same else f" of shape {tuple(found['shape'])}"
    raise UserError(
        f"{run} was trained on {recorded['samples']:,} samples of shape {tuple(recorded['shape'])}"
        f"{named_classes(recorded)}, and {recorded.get('dir', 'its data set')} now has {number}{shape}."
        + (" Say where those of the run are: data.dir=FOLDER." if "dir" in recorded else "")
    )


def named_classes(record: Mapping[str, Any]) -> str:
    """The names of the classes that data are on record with, in brackets; nothing where they have none."""
    names = [printable(str(name)) for name in record.get("classes", ())]
    return f" ({listed(names)})" if names else ""


def data_record(config: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """What a run's config says about its data besides how to build them: the folder, absolute, and the fingerprint."""
    folder = config["data"].get("dir")
    located = {"dir": absolute(folder)} if isinstance(folder, str) and Path(absolute(folder)).is_dir() else {}
    return {**located, **(data.fingerprint or {}), **recorded_data(config)}


def absolute(folder: str) -> str:
    return str(Path(folder).expanduser().absolute())


def recorded_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a run that has begun; empty for one that has not, or of an older version."""
    return config.get("run", {}).get("data", {})


def moved(config: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The config of a run whose data are in another folder now."""
    if "dir" not in config["data"]:
        raise UserError(f"data.dir={folder}: the run's data are not from a folder.")
    return {**config, "run": {**config["run"], "data": {**recorded_data(config), "dir": absolute(folder)}}}


def build_trackers(config: Mapping[str, Any], folder: Path) -> dict[str, Logger]:
    """The loggers of a run besides its own record, by where they stand in the config.

    Ours are told folder and config, Lightning's where to write.
    """
    tracking, trackers = config["tracking"] or {}, {}
    nodes = {f"tracking.{name}": node for name, node in tracking.items()}
    for path, node in ({"tracking": tracking} if "_target_" in tracking else nodes).items():
        known = inspect.signature(get_object(node["_target_"])).parameters.keys() - node.keys()
        supplied = {"folder": folder, "config": config, "save_dir": str(folder)}
        trackers[path] = build(node, path, **{name: value for name, value in supplied.items() if name in known})
    return trackers


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
