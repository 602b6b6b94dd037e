"""On a CPU nothing is recorded for a CUDA graph, and nothing runs beside; on a GPU a graph can be launched often."""

import pytest
import torch

from ganduel.engine.recorder import Beside, CannotBeRecorded, CUDARecorder, recording

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_on_a_cpu_what_is_beside_comes_in_its_turn():
    aside, order = Beside(), []
    with aside.fork():
        order.append("beside")
    order.append("after")
    aside.join()
    assert (order, aside.stream, recording()) == (["beside", "after"], None, False)


@gpu
def test_on_a_gpu_a_recording_is_launched_again():
    x, y = torch.ones(3, device="cuda"), torch.zeros(3, device="cuda")
    seen: list[bool] = []

    def function() -> list[torch.Tensor]:
        aside = Beside()
        with aside.fork():
            y.add_(x)
        aside.join()
        seen.append(recording())
        return [y]

    recorder = CUDARecorder()
    recorder.warm_up(function)
    launch = recorder.record(function)
    launch()
    launch()
    assert (y.tolist(), seen) == ([3.0] * 3, [False, True])


@gpu
def test_on_a_gpu_what_waits_for_the_host_cannot_be_recorded():
    x = torch.ones(3, device="cuda")
    with pytest.raises(CannotBeRecorded, match="captur"):
        CUDARecorder().record(lambda: [x * x.sum().item()])
