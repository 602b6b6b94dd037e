"""GANs in PyTorch Lightning: Algorithm 1 with any loss form, penalties and a complete record of every run.

The names below are imported when they are first used: `import ganduel` alone waits for nothing, torch least of all.
"""

from importlib import import_module
from typing import Any

# The public names for scripts and for parts of one's own, by the modules that define them.
_MODULES = {
    "GAN": "gan",
    "Batches": "batch",
    "Optim": "optim",
    "EMA": "ema",
    "Generator": "model.base",
    "Discriminator": "model.base",
    "Loss": "loss.base",
    "LogitLoss": "loss.base",
    "Penalty": "penalty.base",
    "SlopePenalty": "penalty.base",
    "Augment": "augment.base",
    "Data": "data.base",
    "TensorData": "data.base",
    "LoaderData": "data.loader",
    "SampleMetric": "metric.base",
    "KeyedRandom": "rng",
    "UserError": "errors",
    "load": "trained.load",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ganduel")
    if name not in _MODULES:
        raise AttributeError(f"module 'ganduel' has no attribute {name!r}")
    return getattr(import_module(f"ganduel.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), "__version__", *_MODULES]
