"""Train a GAN: python train.py loss=nonsaturating. Every option: python train.py --help."""

import hydra
from omegaconf import DictConfig

from ganduel.run import app

app.prepare()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    from ganduel.run.train import train  # here, so that --help need not wait for torch

    return app.job(train, config)


if __name__ == "__main__":
    app.run(main)
