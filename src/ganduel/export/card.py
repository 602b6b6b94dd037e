"""The card of an exported generator: what it was trained on and how, how good its samples are, and how to use it."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from ganduel.compare.reading import Run
from ganduel.compare.reading import read as read_run
from ganduel.data.base import Data
from ganduel.export import onnx, torchscript
from ganduel.export.base import Format
from ganduel.metric.evaluation import number
from ganduel.trained.generator import TrainedGenerator

OWN = "ganduel."
UNKNOWN = "not known to ganduel: that of whoever has them"

LOADING = """```python
import ganduel

generator = ganduel.load("{folder}")
samples = generator.sample(64, seed=0){labels}
```

`samples` are {kind}. It needs `pip install ganduel`."""

ONNX = """```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{folder}/{file}")
noise = np.random.default_rng(0).{draw}.astype(np.float32)
(samples,) = session.run(None, {{"noise": noise{labels}}})
```

`samples` are {floats}."""

TORCHSCRIPT = """```python
import torch

generator = torch.jit.load("{folder}/{file}")
noise = {draw}
samples = generator(noise{labels})
```

`samples` are {floats}."""


def text(source: TrainedGenerator, path: Path, format: Format, folder: str) -> str:
    """The card, in the form of the Hugging Face hub."""
    config, run = source.config, run_of(path, source)
    data = name_of(config["data"])
    facts = {
        "data": f"{data}, samples of shape {' × '.join(map(str, source.shape))}",
        "licence of the data": licence(config["data"]),
        "loss": name_of(config["loss"]),
        "penalties": names_of(config, "penalty", "penalty_g"),
        "augmentation": name_of(config.get("augment")),
        "generator": f"{name_of(config['model']['generator'])}, {weights(source):,} weights",
        "classes": classes(source),
        "weights": f"{source.name} after {source.iteration:,} iterations of Algorithm 1 (Goodfellow et al. 2014), "
        f"batch {config['batch_size']}, k = {config['k']}, seed {config['seed']}",
        "made by": f"ganduel {version('ganduel')}",
    }
    parts = [
        front_matter(source),
        f"# {folder}: the generator of a GAN, trained on {data}",
        "![Samples](samples.png)" if source.image else "",
        table({key: value for key, value in facts.items() if value}, ("", "")),
        quality(run),
        "## Use",
        usage(source, format, folder),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def front_matter(source: TrainedGenerator) -> str:
    """What the hub sorts by."""
    task = "\npipeline_tag: unconditional-image-generation" if source.image and source.classes is None else ""
    return f"---\nlibrary_name: ganduel\ntags: [gan, generative-adversarial-network, pytorch]{task}\n---"


def run_of(path: Path, source: TrainedGenerator) -> Run | None:
    """The run that the weights are of, if it lies there and ended with them."""
    folder = path if (path / "config.yaml").is_file() else path.resolve().parent.parent
    run = read_run(folder) if (folder / "config.yaml").is_file() else None
    return run if isinstance(run, Run) and run.iteration == source.iteration else None


def quality(run: Run | None) -> str:
    """The metrics of its samples, each beside its floor."""
    if run is None or not (keys := [key for key in run.last if f"{key}/floor" in run.last]):
        return "Its samples have not been measured: `ganduel evaluate` does."
    rows = {f"`{key}`": f"{number(run.final(key))} | {number(run.final(f'{key}/floor'))}" for key in keys}
    note = "The floor is what real samples get: docs/evaluation.md of ganduel. Names end in features and sample size."
    return f"## Samples, measured\n\n{table(rows, ('metric', 'value | floor'))}\n\n{note}"


def usage(source: TrainedGenerator, format: Format, folder: str) -> str:
    """Code that draws samples."""
    dim, uniform, conditional = source.generator.noise_dim, source.generator.noise == "uniform", source.classes
    ends = "[−1, 1]" if source.image else "the data's units"
    floats = f"float32 (64, {', '.join(map(str, source.shape))}) in {ends}"
    if format == "onnx":
        draw = f"uniform(-(3**0.5), 3**0.5, (64, {dim}))" if uniform else f"standard_normal((64, {dim}))"
        labels = f', "labels": np.arange(64) % {conditional}' if conditional else ""
        return ONNX.format(folder=folder, file=onnx.FILE, draw=draw, labels=labels, floats=floats)
    if format == "torchscript":
        draw = f"(2 * torch.rand(64, {dim}) - 1) * 3**0.5" if uniform else f"torch.randn(64, {dim})"
        labels = f", torch.arange(64) % {conditional}" if conditional else ""
        return TORCHSCRIPT.format(folder=folder, file=torchscript.FILE, draw=draw, labels=labels, floats=floats)
    kind = f"bytes (64, {', '.join(map(str, source.shape))})" if source.image else floats
    labels = "  # of all classes in turn; labels=3 for one" if conditional else ""
    return LOADING.format(folder=folder, labels=labels, kind=kind)


def classes(source: TrainedGenerator) -> str:
    names = ", ".join(source.class_names)
    return "" if source.classes is None else f"{source.classes}" + (f": {names}" if names else "")


def weights(source: TrainedGenerator) -> int:
    return sum(parameter.numel() for parameter in source.generator.parameters())


def licence(node: Mapping[str, Any]) -> str:
    """That of the data, which ganduel's own classes say."""
    if not node["_target_"].startswith(OWN):
        return UNKNOWN
    data: type[Data] = get_class(node["_target_"])
    return data.licence or UNKNOWN


def name_of(node: Mapping[str, Any] | None) -> str:
    """The class of a part, without its module; "" for none."""
    name = "" if node is None else str(node["_target_"]).rpartition(".")[2]
    return "" if name == "NoAugment" else name


def names_of(config: Mapping[str, Any], *groups: str) -> str:
    return ", ".join(name_of(node) for group in groups for node in (config.get(group) or {}).values())


def table(rows: Mapping[str, str], head: tuple[str, str]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|" + "---|" * (1 + head[1].count("|"))]
    return "\n".join([*lines, *(f"| {key} | {value} |" for key, value in rows.items())])
