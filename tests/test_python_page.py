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
def test_the_page_samples_and_trains_and_its_checkpoints_load(command, tmp_path):
    """An epoch had no end."""
    names = {}
    code = "\n".join(BLOCKS).replace("Trainer(", "Trainer(accelerator='cpu', enable_progress_bar=False, ")
    run = ["data=ring8", "condition=concat", "tracking=none", "trainer.max_steps=2", "trainer.accelerator=cpu"]
    small = ["model.generator.hidden=[8]", "model.discriminator.hidden=[8]", "callback=[]", "hydra.run.dir=run"]
    assert command(*run, *small).code == 0
    exec(compile(code, PAGE.name, "exec"), names)
    trained, trainer, gan, again = (names[name] for name in ("trained", "trainer", "gan", "again"))
    assert (names["third"].shape, names["walks"].shape, names["outputs"].shape) == ((16, 2), (4, 10, 2), (5, 2))
    assert torch.equal(names["third"], trained.sample(16, labels=[3]))
    assert (trainer.global_step, trainer.current_epoch) == (60, 3)
    assert names["samples"].shape == (100, 2)
    assert len(names["losses"].of_g) == 60
    rows = next(tmp_path.glob("logs/*/*/metrics.csv")).read_text(encoding="utf-8").splitlines()
    assert "loss/g" in rows[0]
    assert len(rows) == 1 + 7  # iteration 1, and every tenth
    assert gan.batches.data.passes == 2
    weights = trainer.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.state_dict().items())
    whole = names["whole_gan"]("run")
    assert isinstance(whole, GAN)
    assert torch.equal(whole.ema.net.net.net[0].weight, trained.generator.net.net[0].weight)
    assert trainer.callback_metrics["iteration"] == 60
    with pytest.raises(TypeError, match=r"GAN.*missing 6 required positional arguments: 'generator', 'discriminator'"):
        GAN.load_from_checkpoint("mine.ckpt", weights_only=True)
