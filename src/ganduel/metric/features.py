"""Features of samples: vectors whose distances mean something.

    points              the coordinates themselves, or the values of a series, flattened
    pixels              the values of an image in [0, 1], flattened
    mnist_cnn           128 penultimate values of a classifier of digits, see scripts/train_mnist_cnn.py
    fashion_cnn         the same, trained on Fashion-MNIST
    mnist_cnn_rgb       mnist_cnn's of each of three channels, 384 in all; classes 100 r + 10 g + b
    efficientnet_lite0  1,280 of a classifier of photographs (ganduel.metric.efficientnet_lite0); those of colour images
                        by default, where their package is installed
    inception           2,048 of Inception v3, those of FID (Heusel et al. 2017), through torchmetrics; see below
    dinov2              1,024 of DINOv2 ViT-L/14 (Stein et al. 2023), through torch-fidelity; see below

Extractors take samples as they are stored – bytes (n, channel, height, width), or points (n, *shape) – and give
float32 (n, d). Numbers in different features are not comparable, so the key of each metric names its features.

Inception needs `pip install 'ganduel[inception]'` and its weights, which are not shipped (91 MB): torchmetrics
downloads them at the first use, or reads the file that GANDUEL_INCEPTION names. DINOv2 needs `'ganduel[dinov2]'`; its
code and weights (1.1 GB) are fetched by torch.hub from its authors' repository at the first use.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganduel.data.base import Data, bytes_of, normalise
from ganduel.data.check import is_image
from ganduel.errors import UserError, nearest, summary_of
from ganduel.metric import efficientnet_lite0

ASSETS = Path(__file__).parent / "assets"
INCEPTION = "GANDUEL_INCEPTION"
WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"

Features: TypeAlias = Float[Tensor, "n d"]
FakeFeatures: TypeAlias = Float[Tensor, "m d"]  # of generated samples, where there are real ones too


class Extractor(nn.Module):
    """Features of stored samples.

    Attributes:
        version: the checksum of its weights: features may differ under one name.
    """

    version: str = "1"

    def forward(self, x: Tensor) -> Features: ...

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether it takes samples of this shape."""
        return True


class Points(Extractor):
    """Values as they are, of samples that are no images."""

    def forward(self, x: Tensor) -> Features:
        return normalise(x.flatten(1)).float()

    def fits(self, shape: Sequence[int]) -> bool:
        return not is_image(shape)


class Pixels(Extractor):
    """Bytes, or floats in [−1, 1], to [0, 1]."""

    def forward(self, x: Tensor) -> Features:
        return (normalise(x.flatten(1)).float() + 1) / 2

    def fits(self, shape: Sequence[int]) -> bool:
        return len(shape) == 3


class Classifier(nn.Module):
    """Two convolutions, a layer of 128 features, ten logits; for bytes (n, 1, 28, 28)."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(512, 128), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(normalise(x)))


class ClassifierFeatures(Extractor):
    """The penultimate layer of a shipped classifier, for each channel separately.

    Args:
        name: of its file among the assets.
        channels: 1, or 3 for stacked images.
    """

    def __init__(self, name: str, channels: int = 1):
        super().__init__()
        self.net, self.version = load_classifier(name)
        self.channels, self.classes_known = channels, 10**channels

    def fits(self, shape: Sequence[int]) -> bool:
        return tuple(shape) == (self.channels, 28, 28)

    def forward(self, x: Tensor) -> Features:
        return self.net.features(normalise(x.flatten(0, 1).unsqueeze(1))).unflatten(0, (-1, self.channels)).flatten(1)

    def classes(self, features: Features) -> Tensor:
        """The predicted class, from features: the digit, or 100 r + 10 g + b of a stack."""
        digits = self.net.head(features.unflatten(1, (self.channels, -1))).argmax(2)
        weight = 10 ** torch.arange(self.channels - 1, -1, -1, device=digits.device)
        return (digits * weight).sum(1)


class Inception(Extractor):
    """Inception v3 with the weights of the TensorFlow implementation that defines FID."""

    def __init__(self):
        super().__init__()
        path = os.environ.get(INCEPTION)
        if path is not None and not Path(path).is_file():
            raise UserError(f"{INCEPTION}={path} is no file. It names Inception's weights, {WEIGHTS}.")
        try:
            from torchmetrics.image.fid import NoTrainInceptionV3

            self.net = NoTrainInceptionV3("inception-v3-compat", ["2048"], path)
        except (ImportError, ModuleNotFoundError) as error:
            raise UserError("Inception's features need torch-fidelity: pip install 'ganduel[inception]'.") from error
        except Exception as error:  # of any type: a download that fails, a file that holds something else
            raise UserError(
                f"Inception's weights cannot be had ({summary_of(error)[:120]}). Download {WEIGHTS} from the "
                f"releases of torch-fidelity, and set {INCEPTION} to its path."
            ) from error
        self.version = checksum_of_weights(self.net)

    def fits(self, shape: Sequence[int]) -> bool:
        return len(shape) == 3 and shape[0] in (1, 3)

    def forward(self, x: Tensor) -> Features:
        return self.net(x.expand(-1, 3, -1, -1)).float()


class DINOv2(Extractor):
    """DINOv2 ViT-L/14 with torch-fidelity's preprocessing: 224×224, bilinear, without antialiasing."""

    def __init__(self):
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

            self.net = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"])
        except (ImportError, ModuleNotFoundError) as error:
            raise UserError(
                f"DINOv2's features need torch-fidelity and torchvision ({error}): pip install 'ganduel[dinov2]'."
            ) from error
        except Exception as error:  # of any type, as above
            raise UserError(
                f"DINOv2 cannot be had ({summary_of(error)[:120]}). torch.hub fetches it once, from "
                f"facebookresearch/dinov2, into {torch.hub.get_dir()}."
            ) from error
        self.version = checksum_of_weights(self.net)

    def fits(self, shape: Sequence[int]) -> bool:
        return len(shape) == 3 and shape[0] in (1, 3)

    def forward(self, x: Tensor) -> Features:
        return self.net(x.expand(-1, 3, -1, -1))[0]


class EfficientNetLite0(Extractor):
    """The last means of EfficientNet-Lite0; grey images are shown to it in three equal channels.

    Images of another side than 224 are resized by an antialiased bicubic filter, and clamped to [−1, 1].
    """

    version = f"{efficientnet_lite0.SHA256[:16]} bicubic {efficientnet_lite0.SIDE}"

    def __init__(self):
        super().__init__()
        self.net: Any = efficientnet_lite0.fused(efficientnet_lite0.load().features)
        self.net.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def fits(self, shape: Sequence[int]) -> bool:
        return is_image(shape)

    def forward(self, x: Tensor) -> Features:
        batches = x.split(8 if x.device.type == "cpu" else 128)  # on a CPU the fastest: what stays in its cache
        return torch.cat([self.net(resized(normalise(batch).float(), efficientnet_lite0.SIDE)) for batch in batches])


def resized(x: Tensor, side: int) -> Tensor:
    """Images (n, 1 or 3, height, width) in [−1, 1] as (n, 3, side, side)."""
    x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    return interpolate(x, (side, side), mode="bicubic", antialias=True).clamp_(-1, 1)


EXTRACTORS: dict[str, Any] = {
    "points": Points,
    "pixels": Pixels,
    "mnist_cnn": lambda: ClassifierFeatures("mnist_cnn"),
    "fashion_cnn": lambda: ClassifierFeatures("fashion_cnn"),
    "mnist_cnn_rgb": lambda: ClassifierFeatures("mnist_cnn", channels=3),
    "efficientnet_lite0": EfficientNetLite0,
    "inception": Inception,
    "dinov2": DINOv2,
}


@cache
def extractor(name: str, device: torch.device) -> Extractor:
    """The extractor of that name, frozen, on the device."""
    if name not in EXTRACTORS:
        raise UserError(f"there are no features {name}. {nearest(name, EXTRACTORS)}")
    return EXTRACTORS[name]().to(device).eval().requires_grad_(False)


def default_features(data: Data) -> str | None:
    """The features that the data name, or those of colour images where they are installed; None if there are none."""
    if data.features is None and is_colour(data) and efficientnet_lite0.is_installed():
        return "efficientnet_lite0"
    return data.features


def is_colour(data: Data) -> bool:
    """Whether samples are images of three channels."""
    return len(data.shape) == 3 and data.shape[0] == 3


def load_classifier(name: str) -> tuple[Classifier, str]:
    """A shipped classifier, and the checksum of its file, checked against its record."""
    data = (ASSETS / f"{name}.safetensors").read_bytes()
    record = json.loads((ASSETS / f"{name}.json").read_text(encoding="utf-8"))
    if (sha256 := checksum(data)) != record["sha256"]:
        raise UserError(f"{name}.safetensors is damaged: its SHA-256 is {sha256}. Install ganduel again.")
    with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten
        net = Classifier()
    net.load_state_dict(load_safetensors(data))
    return net, sha256


def checksum(data: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def checksum_of_weights(net: nn.Module) -> str:
    """Likewise, of all weights and buffers."""
    return checksum(b"".join(map(bytes_of, net.state_dict().values())))


def checksum_of(x: Tensor | None) -> str | None:
    """Likewise, of the values of a tensor; None of none."""
    return None if x is None else checksum(bytes_of(x))
