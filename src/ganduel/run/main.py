"""Training from the command line: `ganduel train …`, and `python train.py …` in a checkout."""

import hydra
from omegaconf import DictConfig

from ganduel.run import app
from ganduel.run.explain import CONF

app.register()  # not only in main: worker processes of a sweep import the module of the function that they call


def main() -> None:
    app.prepare()
    app.run(hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")(job))


def job(config: DictConfig) -> float | None:
    from ganduel.run.train import train  # here, so that --help need not wait for torch

    return app.job(train, config)
