"""The generator of a run or of a checkpoint, without its data and without a Trainer."""

from importlib.util import find_spec
from inspect import isclass
from pathlib import Path

import torch
from hydra.utils import get_object
from torch import nn

from ganduel import checkpoint as checkpoints
from ganduel import rng
from ganduel.build import build_generator, recorded_data
from ganduel.data.base import is_image
from ganduel.errors import UserError
from ganduel.run import schema
from ganduel.trained.generator import TrainedGenerator
from ganduel.trust import check_stored


def load(
    path: str | Path, live: bool = False, device: str = "auto", trust: bool = False, how: str = "trust=True"
) -> TrainedGenerator:
    """The generator of a run's latest checkpoint, or of the given one.

    Args:
        path: the folder of a run, or of a member of a population, or a checkpoint.
        live: G itself instead of the average of its weights.
        device: one of torch's names, or "auto" for the GPU where there is one.
        trust: whether a generator that is not ganduel's may be built, which runs its code.
        how: how the error of one that is not trusted says to trust it.
    """
    path, torch_device = Path(path), choose_device(device)
    if not path.exists():
        raise UserError(f"{path} does not exist. Give the folder of a run, or a checkpoint in it.")
    path = checkpoints.latest(path) if path.is_dir() else path
    checkpoint = checkpoints.read(path)
    try:
        shape, classes = tuple(checkpoint["ganduel"]["shape"]), checkpoint["ganduel"].get("classes")
        image = checkpoint["ganduel"].get("image", True)  # one of an older version does not say
        image = image and is_image(shape, "image" in checkpoint["ganduel"])
        stored = checkpoint["ganduel"]["config"]
        node = stored["model"]["generator"]
        names = tuple(str(name) for name in recorded_data(stored).get("classes", ()))
        weights, iteration = checkpoint["state_dict"], checkpoint["global_step"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no whole checkpoint: {error} is missing or not what it should be.") from error
    config = {"model": {"generator": node}} | {key: stored[key] for key in ("condition",) if key in stored}
    check_stored(config, path, how, trust)
    check_importable(node["_target_"], path)
    schema.check_target(node, "model.generator")
    if not is_network(node["_target_"]):
        raise UserError(f"{path} names {node['_target_']} as its generator, which is no network.")
    with rng.all_seeded(0):  # the initial weights are overwritten; they should not move the global generator either
        generator = build_generator(config, shape, classes)
    averages = any(key.startswith("ema.net.") for key in weights)
    prefix = "ema.net." if averages and not live else "generator."
    try:
        generator.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")
        raise UserError(f"{path}: its weights are not those of {node['_target_']} ({reason}).") from error
    name = "the average of G" if prefix == "ema.net." else "G itself"
    name += "" if averages or live else " (the run keeps no average)"
    generator = generator.to(torch_device).eval().requires_grad_(False)
    return TrainedGenerator(generator, stored, shape, image, iteration, name, names)


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
