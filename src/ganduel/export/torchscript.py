"""A generator as TorchScript, traced: for `torch.jit.load`, and for programs in C++."""

import warnings
from pathlib import Path

import torch

from ganduel.errors import UserError, summary_of
from ganduel.export.check import check, example
from ganduel.trained.generator import TrainedGenerator

FILE = "generator.pt"


def write(source: TrainedGenerator, folder: Path) -> str:
    """Write the file, and compare it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and is what C++ loads without more
        try:
            torch.jit.trace(source.generator, example(source, 2), check_trace=False).save(folder / FILE)  # type: ignore[union-attr]
        except Exception as error:  # of many types
            name = type(source.generator).__name__
            raise UserError(f"{name} cannot be traced: {summary_of(error)[:200]}. Try safetensors.") from error
        return check(source, torch.jit.load(folder / FILE), FILE)
