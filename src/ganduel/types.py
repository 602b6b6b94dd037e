"""Names for the tensors that pass between the parts; shapes are checked in the tests, not in training."""

from typing import TypeAlias

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

Samples: TypeAlias = Float[Tensor, "batch *shape"]  # real or generated; images are (batch, channel, height, width)
Images: TypeAlias = Float[Tensor, "batch channel height width"]  # in [-1, 1]
Bytes: TypeAlias = UInt8[Tensor, "batch channel height width"]  # in 0..255
Noise: TypeAlias = Float[Tensor, "batch noise"]  # z, zero mean and unit variance
Labels: TypeAlias = Int64[Tensor, " batch"]  # y, the class of each sample, from 0
Logits: TypeAlias = Float[Tensor, " logits"]  # D's output before the sigmoid, of each sample or pack of them
Scalar: TypeAlias = Float[Tensor, ""]
Points: TypeAlias = Float[Tensor, "n d"]  # samples as points in R^d, or their features
LogDensity: TypeAlias = Float[Tensor, "*n"]  # nats per point
