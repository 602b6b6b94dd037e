"""The generator of a run, of a checkpoint or of an exported folder, without its data and without a Trainer."""

from importlib.util import find_spec
from inspect import isclass
from pathlib import Path

import torch
from hydra.utils import get_object
from torch import nn

from ganduel import checkpoint as checkpoints
from ganduel import rng
from ganduel.errors import UserError
from ganduel.factory.networks import build_generator
from ganduel.model.base import Generator
from ganduel.run import schema
from ganduel.trained.generator import TrainedGenerator
from ganduel.trained.stored import Stored, is_exported, read_checkpoint, read_exported, whole
from ganduel.trust import check_stored


def load(
    path: str | Path, live: bool = False, device: str = "auto", trust: bool = False, how: str = "trust=True"
) -> TrainedGenerator:
    """The generator of a run's latest checkpoint, of the given one, or one that `ganduel export` wrote.

    Args:
        path: the folder of a run, or of a member of a population, a checkpoint, or an exported folder.
        live: G itself instead of the average of its weights.
        device: one of torch's names, or "auto" for the GPU where there is one.
        trust: whether a generator that is not ganduel's may be built, which runs its code.
        how: how the error of one that is not trusted says to trust it.
    """
    path, torch_device = Path(path), choose_device(device)
    if not path.exists():
        raise UserError(f"{path} does not exist. Give the folder of a run, or a checkpoint in it.")
    if path.is_dir() and not is_exported(path):
        path = checkpoints.latest(path)
    stored = read(path, live)
    generator = build(stored, path, trust, how).to(torch_device)
    about = stored.config, stored.shape, stored.image, stored.iteration, stored.name, stored.class_names
    return TrainedGenerator(generator, *about)


def read(path: Path, live: bool = False) -> Stored:
    """From a checkpoint, or from an exported folder, which has one set of weights."""
    if not path.is_dir():
        return read_checkpoint(path, live)
    if live:
        raise UserError(f"{path} was exported with one set of weights. Leave out live.")
    return read_exported(path)


def build(stored: Stored, path: Path, trust: bool, how: str) -> Generator:
    """The generator with its weights, if its class may be built."""
    with whole(path, "checkpoint"):
        node, target = stored.node, str(stored.node["_target_"])
    config = {"model": {"generator": node}} | {
        key: stored.config[key] for key in ("condition",) if key in stored.config
    }
    check_stored(config, path, how, trust)
    check_importable(target, path)
    schema.check_target(node, "model.generator")
    if not is_network(target):
        raise UserError(f"{path} names {target} as its generator, which is no network.")
    with rng.all_seeded(0):  # the initial weights are overwritten; they should not move the global generator either
        generator = build_generator(config, stored.shape, stored.classes)
    try:
        generator.load_state_dict(stored.weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")
        raise UserError(f"{path}: its weights are not those of {target} ({reason}).") from error
    return generator.eval().requires_grad_(False)


def choose_device(name: str) -> torch.device:
    """The device of that name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device {name}: torch knows none of that name. Use auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {name}: torch finds no CUDA device here. Use cpu.")
    return device


def is_network(target: str) -> bool:
    """Whether the name is that of a class of networks."""
    target_object = get_object(target)
    return isclass(target_object) and issubclass(target_object, nn.Module)


def check_importable(target: str, path: Path) -> None:
    """Refuse a generator whose module cannot be found: a user module is found from one folder only."""
    module = target.partition(".")[0]
    if find_spec(module) is None:
        raise UserError(f"{path} has a generator {target}: there is no module {module} here. Start from its folder.")
