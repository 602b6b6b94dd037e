"""The formats of exported generators, for the command line, which does not wait for torch."""

from typing import Literal

Format = Literal["safetensors", "hub", "onnx", "torchscript"]
