"""Train a GAN: python train.py loss=nonsaturating. Every option: python train.py --help.

The same as `ganduel train …`. The completion that Hydra sets up in bash looks for the word @hydra.main in this file.
"""

from ganduel.run.main import main

if __name__ == "__main__":
    main()
