"""What a run's config becomes before the run begins."""

from collections.abc import Callable

import pytest

from ganduel.run import prepare


@pytest.mark.parametrize(("words", "iterations"), [
    (("trainer.max_epochs=1", "batch_size=128"), 468),  # 60,000 // 128
    (("trainer.max_epochs=2", "batch_size=128", "k=3"), 312),
    (("trainer.max_epochs=1", "batch_size=60000", "k=2"), 1),
    (("trainer.max_epochs=5", "trainer.max_steps=100"), 100),
])  # fmt: skip
def test_an_epoch_is_one_pass_over_the_data(compose: Callable[..., dict], words: tuple[str, ...], iterations: int):
    values = compose("trainer.max_steps=null", *words)
    assert prepare.iterations(values) == iterations
