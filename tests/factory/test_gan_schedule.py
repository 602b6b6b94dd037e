"""Optimizers and schedules of both networks, as the config has them."""

import pytest
import torch

from ganduel.errors import UserError
from ganduel.factory.gan import build_gan, build_optim
from ganduel.run import schema


def optimizers_of(gan):
    """Those of D and G, and their schedules, if they have any."""
    gan.configure_optimizers()
    optims = (gan.optim_d, gan.optim_g)
    return [o.optimizer for o in optims], [o.schedule for o in optims if o.schedule is not None]


@pytest.mark.parametrize(
    ("choice", "at_the_end"), [("constant", 1.0), ("linear", 0.0), ("cosine", 0.0), ("exponential", 0.999996**6)]
)
def test_schedules_span_the_run(tiny, images, choice, at_the_end):
    """Six iterations from the full rate to that of the end, of both networks."""
    gan = build_gan(tiny(f"schedule={choice}"), images)
    optimizers, schedules = optimizers_of(gan)
    assert len(schedules) == (0 if choice == "constant" else 2)
    for _ in range(6):
        for optimizer in optimizers:
            optimizer.step()
        for schedule in schedules:
            schedule.step()
    assert [o.param_groups[0]["lr"] for o in optimizers] == pytest.approx([1e-3 * at_the_end] * 2, abs=1e-9)


def test_a_schedule_that_waits_for_a_metric_is_refused(tiny, images):
    """In the first iteration torch would miss an argument of step()."""
    config = tiny()
    config["schedule"] = {"generator": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}}
    with pytest.raises(UserError, match=r"^schedule\.generator: ReduceLROnPlateau needs metrics in each step"):
        build_gan(config, images)


def test_a_schedule_may_leave_a_network_out(tiny, images):
    config = tiny("schedule=cosine")
    del config["schedule"]["generator"]
    schema.check(config)
    gan = build_gan(config, images)
    gan.configure_optimizers()
    assert gan.optim_g.schedule is None
    assert gan.optim_d.schedule is not None


def test_fused_steps_are_off_under_an_fp16_scaler(tiny):
    """A fused step unscales the gradient itself, after it was measured and clipped."""
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    for precision, fused in (("32-true", True), ("bf16-mixed", True), ("16-mixed", False)):
        config = tiny(f"trainer.precision={precision}")
        assert build_optim(config, "generator").make_optimizer(parameters).param_groups[0]["fused"] is fused
        assert config["optimizer"]["generator"]["fused"] is True
