"""Every network of the zoo, small, and every way of learning the class, as words of the command line."""

import pytest

CASES = {
    "mlp": ((1, 28, 28), None, ()),
    "dcgan": ((1, 28, 28), None, ("model=dcgan", "model.generator.width=4")),
    "infogan": ((1, 28, 28), None, ("model=infogan",)),
    "sndcgan": ((3, 32, 32), None, ("model=sndcgan", "model.generator.width=4")),
    "resnet": ((3, 32, 32), None, ("model=resnet", "model.generator.width=8")),
    "r3gan": ((3, 32, 32), None, ("model=r3gan",)),
    "stylegan2": ((3, 32, 32), None, ("model=stylegan2", "model.generator.max_width=16")),
    "affine": ((2,), None, ("model=affine",)),
    "dirac": ((1,), None, ("model=dirac",)),
    "embedding": ((1, 28, 28), 10, ("model=dcgan", "model.generator.width=4", "condition=concat")),
    "batch_norm": ((1, 28, 28), 10, ("model=dcgan", "model.generator.width=4", "condition=projection",
                                     "condition.generator=batch_norm")),
}  # fmt: skip
NETWORKS = pytest.mark.parametrize("name", CASES)
