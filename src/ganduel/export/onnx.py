"""A generator in ONNX: noise (batch, noise_dim) float32, labels (batch,) int64 if it takes any, to samples float32."""

import logging
import warnings
from pathlib import Path

import torch
from torch.export import Dim

from ganduel.errors import UserError, summary_of
from ganduel.export.check import INPUTS, check, example
from ganduel.trained.generator import TrainedGenerator

FILE = "generator.onnx"
NEEDED = "ONNX needs packages that are not installed ({}): pip install 'ganduel[onnx]'."


def write(source: TrainedGenerator, folder: Path) -> str:
    """Write the file, and compare it in onnxruntime."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter asks for it
    except ImportError as error:
        raise UserError(NEEDED.format(error.name)) from error
    generator = source.generator.float()
    inputs, batch = example(source, 2), Dim("batch", min=1)
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own deprecations
            torch.onnx.export(
                generator,
                inputs,
                folder / FILE,
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=INPUTS[: len(inputs)],
                output_names=["samples"],
                dynamic_shapes=tuple({0: batch} for _ in inputs),
            )
    except Exception as error:  # of many types
        name = type(generator).__name__
        raise UserError(f"{name} cannot be exported to ONNX: {summary_of(error)[:200]}. Try torchscript.") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    session = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        feed = {name: x.numpy() for name, x in zip(INPUTS, tensors, strict=False)}
        return torch.from_numpy(session.run(None, feed)[0])

    return check(source, run, FILE)
