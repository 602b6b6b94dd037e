"""docs/python.md, run as it stands."""

import re
from pathlib import Path

import pytest
import torch

from ganduel.gan import GAN

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.filterwarnings("ignore")  # the Trainer is left as it comes, and warns
@pytest.mark.usefixtures("untyped")
def test_the_script_trains_whole_epochs_and_its_checkpoints_load(command, tmp_path):
    """An epoch had no end."""
    names = {}
    code = "\n".join(BLOCKS).replace("Trainer(", "Trainer(accelerator='cpu', enable_progress_bar=False, ")
    run = ["data=ring8", "tracking=none", "trainer.max_steps=2", "trainer.accelerator=cpu", "callback=[]"]
    small = ["model.generator.hidden=[8]", "model.discriminator.hidden=[8]", "hydra.run.dir=run"]
    assert command(*run, *small).code == 0
    exec(compile(code, PAGE.name, "exec"), names)
    trainer, gan, again = (names[name] for name in ("trainer", "gan", "again"))
    assert (trainer.global_step, trainer.current_epoch) == (60, 3)
    assert names["samples"].shape == (100, 2)
    assert all(torch.equal(value, gan.state_dict()[name]) for name, value in again.state_dict().items())
    loaded = names["load"]("run")
    assert isinstance(loaded, GAN)
    assert loaded.generator.net[0].weight.shape == (8, 64)
    assert trainer.callback_metrics["iteration"] == 60
    with pytest.raises(TypeError, match=r"GAN.*missing 6 required positional arguments: 'generator', 'discriminator'"):
        GAN.load_from_checkpoint("mine.ckpt", weights_only=True)
