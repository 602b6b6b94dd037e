"""`ganduel export`: a run's generator as a folder that goes elsewhere, with a card that says what it is.

    safetensors    model.safetensors, config.json: for `ganduel.load`, to the same bits
    hub            the same, and on the Hugging Face hub if --push says where
    onnx           generator.onnx: noise, and labels if it takes them, to samples; for onnxruntime and others
    torchscript    generator.pt: the same for `torch.jit.load`, from C++ too
    all            README.md, the card; samples.png, of images

What was written is read back, and its samples are compared with those of the generator, before the folder is there.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import torch

from ganduel.errors import UserError
from ganduel.export import card, onnx, torchscript
from ganduel.export.base import Format
from ganduel.image_grid import make_grid_of_classes
from ganduel.trained.generator import TrainedGenerator
from ganduel.trained.load import load
from ganduel.trained.stored import write_exported

CHECKED = 64  # samples

WRITERS: dict[str, Callable[[TrainedGenerator, Path], str]] = {"onnx": onnx.write, "torchscript": torchscript.write}


def export(path: Path, format: Format, out: Path, live: bool = False, trust: bool = False, push: str = "") -> str:
    """Write the folder; returns one line that says what is in it.

    Args:
        path: the folder of a run, a checkpoint, or an exported folder.
        format: see above.
        out: the folder, which is not there yet or empty.
        live: G itself instead of the average of its weights.
        trust: whether a generator that is not ganduel's may be built, which runs its code.
        push: USER/NAME on the hub, or "" to stay here.
    """
    if push and format != "hub":
        raise UserError(f"--push {push} is for --format hub.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"-o {out} is there already, and not empty. Name a new folder.")
    if not out.name:  # the current folder, which cannot be replaced by the one that has been written
        raise UserError(f"-o {out} has no name. Name a new folder.")
    source = load(path, live, "cpu", trust, how="--trust")
    part = out.with_name(f".{out.name}.{uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        line = WRITERS[format](source, part) if format in WRITERS else write_whole(source, part, trust)
        (part / "README.md").write_text(card.text(source, path, format, out.name), encoding="utf-8")
        if source.image:
            images = source.sample(CHECKED)
            make_grid_of_classes(images, source.classes).save(part / "samples.png")
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise UserError(f"-o {out} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    if push:
        from ganduel.export.hub import upload

        line += f"; {upload(out, push)}"
    return f"{out}: {source.name} at iteration {source.iteration:,}, {line}"


def write_whole(source: TrainedGenerator, folder: Path, trust: bool) -> str:
    """The folder that `ganduel.load` reads; returns how its samples compare with the generator's."""
    write_exported(folder, source)
    if not torch.equal(load(folder, device="cpu", trust=trust).sample(CHECKED), source.sample(CHECKED)):
        raise UserError("what was written gives other samples. Please report it.")
    return f"{CHECKED} samples of what was written are the same to the bit"
