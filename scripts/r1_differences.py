"""R1's gradient without a double backward pass: how exact differences of D are, and what they save.

    OMP_NUM_THREADS=1 python scripts/r1_differences.py --out benchmarks/r1_differences.json          minutes on one core

    exact       P = γ/2 · mean ‖∇_x D(x)‖², differentiated twice, as in ganduel.penalty.r1
    central     γ · mean ‖v‖ (D(x + ε u) − D(x − ε u)) / 2ε      v = ∇_x D(x), u = v / ‖v‖, both without a gradient
    one_sided   γ · mean ‖v‖ (D(x + ε u) − D(x)) / ε             D(x) is that of the loss, and not timed
    random      γ/2 · mean d ((D(x + ε w) − D(x − ε w)) / 2ε)²   w uniform on the sphere of the d values of a sample

ε is the distance that a sample is moved by, in sample units. Of a smooth D the gradients in its weights are those of P
up to O(ε²), O(ε) and, for `random`, on average. With LeakyReLU D is piecewise linear: differences are then exact but
for rounding, which grows as ε falls, and for units whose sign changes on the way. There the slope jumps, by an amount
that is divided by ε, while the chance of a jump is proportional to ε: no ε makes the error small unless no unit changes
its sign. Double backward leaves these jumps out.

Error: ‖a − b‖ / ‖b‖ of the whole gradient, and its cosine; γ = 1, D after some iterations without a penalty. Times are
CPU time, each the fastest of several repeats; speedup is that of the whole iteration, in which R1 is due.
"""

from collections.abc import Callable, Sequence
from functools import partial
from time import process_time
from typing import Any

import blocks
import torch
from step_loops import TRAINING, HandWritten, Work
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from ganduel.data.mnist import MNIST
from ganduel.penalty.base import slopes
from ganduel.run import run

NETWORKS: dict[str, Sequence[str]] = {
    "dcgan": ("model=dcgan", "model.discriminator.norm=none"),
    "mlp": ("model=mlp",),
    "r3gan": ("model=r3gan",),
}
DISTANCES = [10.0**n for n in range(-4, 2)]
Estimate = Callable[[nn.Module, Tensor, float], Tensor]


def exact(net: nn.Module, x: Tensor, distance: float) -> Tensor:
    return slopes(lambda x, y: net(x), x, None).square().sum(1).mean() / 2


def direction(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Length and direction of D's slope at each sample."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x)
    return slope.flatten(1).norm(dim=1), normalize(slope.flatten(1)).view_as(x)


def central(net: nn.Module, x: Tensor, distance: float) -> Tensor:
    length, u = direction(net, x)
    after, before = net(torch.cat([x + distance * u, x - distance * u])).chunk(2)
    return (length * (after - before)).mean() / (2 * distance)


def one_sided(net: nn.Module, x: Tensor, distance: float, of_x: Tensor | None = None) -> Tensor:
    length, u = direction(net, x)
    return (length * (net(x + distance * u) - (net(x) if of_x is None else of_x))).mean() / distance


def random(net: nn.Module, x: Tensor, distance: float) -> Tensor:
    w = normalize(torch.randn(len(x), x[0].numel())).view_as(x)
    after, before = net(torch.cat([x + distance * w, x - distance * w])).chunk(2)
    return x[0].numel() * ((after - before) / (2 * distance)).square().mean() / 2


def gradient(estimate: Estimate, net: nn.Module, x: Tensor, distance: float = 0.0) -> Tensor:
    """In all of D's weights; zero where the estimate does not depend on one."""
    weights = list(net.parameters())
    grads = torch.autograd.grad(estimate(net, x, distance), weights, materialize_grads=True)
    return torch.cat([g.flatten() for g in grads])


def errors(net: nn.Module, x: Tensor) -> dict[str, dict[str, dict[str, float]]]:
    """Of each estimate at each distance."""
    reference, rows = gradient(exact, net, x), dict[str, dict[str, dict[str, float]]]()
    for estimate in (central, one_sided, random):
        for distance in DISTANCES:
            g = gradient(estimate, net, x, distance)
            error = ((g - reference).norm() / reference.norm()).item()
            cosine = cosine_similarity(g, reference, dim=0).item()
            rows.setdefault(estimate.__name__, {})[f"{distance:g}"] = {"error": error, "cosine": cosine}
    return rows


def milliseconds(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The fastest of each job's repeats, which alternate."""
    fastest = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            start = process_time()
            job()
            fastest[name] = min(fastest[name], 1000 * (process_time() - start))
    return fastest


def measure(work: Work, rounds: int) -> dict[str, Any]:
    """Errors, times and speedups for one pair of networks."""
    loop = HandWritten(work)
    rows = loop.rows()
    for _ in range(work.warmup):
        loop.iterate(next(rows))
    net, x = loop.discriminator, loop.images[next(rows)]
    of_x = net(x).detach()
    estimates: dict[str, Estimate] = {
        "exact": exact,
        "central": central,
        "one_sided": partial(one_sided, of_x=of_x),
        "random": random,
    }
    jobs = {name: partial(gradient, estimate, net, x, 0.1) for name, estimate in estimates.items()}
    accuracy = errors(net, x)
    times = milliseconds({"iteration": lambda: loop.iterate(next(rows)), **jobs}, rounds)
    whole = {name: times["iteration"] + times[name] for name in jobs}
    return {
        "error": accuracy,
        "milliseconds": times,
        "speedup": {name: whole["exact"] / whole[name] for name in jobs},
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = blocks.parser("Compare R1 by differences with R1 by a double backward pass.", rounds=10, iterations=1)
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=64, help="batch size")
    options = blocks.parse(parser, arguments)
    run.quiet()
    torch.manual_seed(0)
    data, networks = MNIST(), dict[str, Any]()
    for name in options.network:
        settings = (*NETWORKS[name], *TRAINING)
        networks[name] = measure(Work(data, options.batch, options.warmup, 1, settings=settings), options.rounds)
        for estimate, rows in networks[name]["error"].items():
            line = "  ".join(f"{distance}: {row['error']:.1e}" for distance, row in rows.items())
            print(f"{name} {estimate}: speedup {networks[name]['speedup'][estimate]:.2f}; error at ε = {line}")
    results = {
        "networks": networks,
        "unit": "CPU milliseconds of one gradient in D's weights, and of an iteration without a penalty",
        "method": f"the fastest of {options.rounds + 1} alternating repeats; errors after {options.warmup} iterations; "
        f"batch {options.batch}, MNIST, float32",
    }
    return blocks.keep(results, options.out)


if __name__ == "__main__":
    main()
