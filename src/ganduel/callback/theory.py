"""What Goodfellow et al. 2014 prove, beside what happens, on worlds whose density is known.

    D*(x) = p(x) / (p(x) + p_g(x))                the best D for a fixed G, proposition 1
    V(G, D) = E[log D(x)] + E[log(1 − D(G(z)))]   = −L_D; for D* it is −log 4 + 2 JSD(p, p_g), theorem 1
    JSD ≥ log 2 − L_D/2                           for any D, since D* maximises V

    theory/d_gap        mean of |D − D*| over the even mixture of p and p_g
    theory/value        V(G, D), −log 4 = −1.386 where the duel ends
    theory/jsd          JSD(p, p_g) in nats, by quadrature: 0 for equal densities, log 2 for disjoint ones
    theory/jsd_bound    log 2 − L_D/2
    theory/jsd_gap      theory/jsd − theory/jsd_bound, ≥ 0: what D leaves out

p_g is G's `log_prob` where it has one. Otherwise it is estimated by a histogram of `samples` draws over the cells of
the grid, whose probabilities then stand for both densities: the JSD of p and p_g is at least that of the cells, and a
histogram of a finite sample adds to it, about (cells with samples)/(8 · samples) where the two are close.

With `optimal_steps` a copy of D is trained to optimality against the frozen G at each picture:

    theory/optimal_d_gap       largest |D − D*| where the mixture has at least 1% of its highest density
    theory/optimal_loss_gap    |L_D − (2 log 2 − 2 JSD)|

Of another loss than cross-entropy, or with smoothed labels, D* is another function: there are pictures of the samples
and of D, or of its logits, and no rows. Nothing of it touches training: all draws are the callback's own. Pictures go
to samples/theory_*.png.
"""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganduel import rng
from ganduel.block import NEVER, Scheduled
from ganduel.callback.base import gan_of, geometric, is_due, log, log_picture, next_due, next_geometric
from ganduel.errors import UserError
from ganduel.gan import GAN
from ganduel.image_grid import animate, evaluating, generate
from ganduel.loss.base import CrossEntropyLoss
from ganduel.metric.functional.divergence import grid, jensen_shannon, optimal_discriminator
from ganduel.plot import plot_line, plot_plane

SEEN = 1000  # samples in a picture


@runtime_checkable
class Known(Protocol):
    """Data of known density."""

    def log_prob(self, x: Tensor) -> Tensor: ...
    def draw(self, n: int, generator: torch.Generator) -> Tensor: ...
    def bounds(self, margin: float) -> tuple[Tensor, Tensor]: ...


class Theory(Callback, Scheduled):
    """Logs the quantities above and draws D, for data of known density in one or two dimensions, without classes.

    A D that packs samples has no value at a point, and is left out.

    Args:
        every_n_iterations: between two rows.
        first: the first iteration after 0 with a picture.
        growth: each further one comes after this many times the iterations; the last iteration always has one.
        points: of the grid, along each axis.
        samples: generated samples that estimate p_g where it is not known.
        margin: σ that the grid reaches beyond the outermost modes.
        optimal_steps: of L-BFGS, at most, that train a copy of D to optimality at each picture; 0: none.
    """

    def __init__(
        self,
        every_n_iterations: int,
        first: int = 100,
        growth: float = 1.5,
        points: int | None = None,
        samples: int = 20_000,
        margin: float = 6.0,
        optimal_steps: int = 0,
    ):
        every = every_n_iterations
        if every < 1 or first < 1 or not growth > 1 or samples < 1 or optimal_steps < 0:
            raise UserError(
                "callback.theory: every_n_iterations, first, samples must be ≥ 1, growth > 1, optimal_steps ≥ 0."
            )
        if points is not None and points < 2:
            raise UserError(f"callback.theory.points={points} must be at least 2.")
        self.every, self.first, self.growth, self.points = every, first, growth, points
        self.samples, self.margin, self.optimal_steps = samples, margin, optimal_steps

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder = Path(trainer.default_root_dir) / "samples"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = gan_of(trainer)
        known = (
            isinstance(gan.batches.data, Known) and len(gan.batches.data.shape) == 1 and gan.batches.data.shape[0] <= 2
        )
        alone = gan.batches.data.classes is None and getattr(gan.discriminator, "pack", 1) == 1  # D is of x alone
        self.on = trainer.is_global_zero and known and alone
        self.has_theory = isinstance(gan.loss, CrossEntropyLoss) and gan.loss.real_target == 1
        if not self.on:
            return
        self.data = cast(Known, gan.batches.data)
        d = gan.batches.data.shape[0]
        points = self.points or (2000 if d == 1 else 160)
        lower, upper = self.data.bounds(self.margin)
        reach = (upper - lower).max() * 0.15  # room for samples beside the modes
        self.lower, self.upper = (lower - reach).tolist(), (upper + reach).tolist()
        self.places, self.cell = grid(self.lower, self.upper, points)
        self.resolution = [points] * d
        self.log_p = self.log_density()
        self.folder.mkdir(exist_ok=True)
        if trainer.global_step == 0:
            self.look(trainer, picture=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.on:
            return
        n = trainer.global_step
        picture = geometric(n, self.first, self.growth) or n == trainer.max_steps
        if picture or is_due(trainer, self.every):
            self.look(trainer, picture)

    def next_due(self, n: int) -> int:
        return min(next_geometric(n, self.first, self.growth), next_due(n, self.every)) if self.on else NEVER

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.on and trainer.global_step >= trainer.max_steps:
            animate(sorted(self.folder.glob("theory_*.png")), self.folder / "theory.gif")

    def log_density(self) -> Tensor:
        """Log p of each cell: in the plane the mean density over 8 × 8 places of it, as peaks may be narrower."""
        if len(self.resolution) == 1:
            return self.data.log_prob(self.places)
        widths = (torch.tensor(self.upper) - torch.tensor(self.lower)).double() / torch.tensor(self.resolution)
        inside, _ = grid((-widths / 2).tolist(), (widths / 2).tolist(), 8)
        parts = [self.data.log_prob(x[:, None] + inside).logsumexp(1) for x in self.places.split(1000)]
        return torch.cat(parts) - math.log(len(inside))

    def look(self, trainer: Trainer, picture: bool) -> None:
        """One row, if there is theory for the loss, and a picture, if it is time for one."""
        if not (self.has_theory or picture):
            return
        gan = gan_of(trainer)
        log_p, log_g, fake = self.densities(gan)
        logits = self.logits(gan.discriminator)
        if self.has_theory:
            values = theory(logits, log_p, log_g, self.cell)
            if picture and self.optimal_steps:
                best = self.optimal(gan, log_p, log_g)
                values |= optimal(self.logits(best), log_p, log_g, self.cell)
            log(trainer, values)
        if picture:
            self.publish(trainer, gan, logits, log_p, log_g, fake)

    def densities(self, gan: GAN) -> tuple[Tensor, Tensor, Tensor]:
        """Log p and log p_g at the places of the grid, and generated samples."""
        noise = gan.batches.draw_noise(self.samples, rng.generator("theory"))
        fake = generate(gan.generator, noise, batch=5000).double()
        if hasattr(gan.generator, "log_prob"):
            with torch.no_grad():
                log_g = cast(Any, deepcopy(gan.generator).cpu()).log_prob(self.places)
            return self.log_p, log_g, fake
        cells = self.cells_of(fake)
        counts = cells.bincount(minlength=len(self.places))
        log_g = (counts / (len(fake) * self.cell)).log()
        return self.log_p, log_g, fake

    def cells_of(self, x: Tensor) -> Tensor:
        """The number of the cell that each point is in; points outside of the grid fall to its edge."""
        lower, upper = torch.tensor(self.lower).double(), torch.tensor(self.upper).double()
        sizes = torch.tensor(self.resolution)
        index = ((x - lower) / (upper - lower) * sizes).floor().long()
        index = index.clamp(torch.zeros_like(sizes), sizes - 1)
        return index[:, 0] if len(sizes) == 1 else index[:, 0] * sizes[1] + index[:, 1]

    @torch.no_grad()
    def logits(self, discriminator: nn.Module) -> Tensor:
        """D's logits at the places of the grid."""
        like = next(discriminator.parameters())
        with evaluating(discriminator):
            return torch.cat([discriminator(x.to(like)).cpu().double() for x in self.places.split(10_000)])

    def optimal(self, gan: GAN, log_p: Tensor, log_g: Tensor) -> nn.Module:
        """A copy of D that minimises L_D itself, the sum over the cells, by L-BFGS in float64."""
        net = deepcopy(gan.discriminator).cpu().double()
        p, p_g = log_p.exp() * self.cell, log_g.exp() * self.cell
        seen = (p + p_g) > 0
        x, p, p_g = self.places[seen], p[seen], p_g[seen]
        optimizer = torch.optim.LBFGS(
            net.parameters(), max_iter=self.optimal_steps, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            logits = net(x)
            loss = (p * softplus(-logits)).sum() + (p_g * softplus(logits)).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return net

    def publish(self, trainer: Trainer, gan: GAN, logits: Tensor, log_p: Tensor, log_g: Tensor, fake: Tensor) -> None:
        path = self.folder / f"theory_{trainer.global_step:08d}.png"
        title = f"iteration {trainer.global_step:,}, seed {gan.batches.seed}"
        log_odds, shown = gan.loss.log_odds, fake[:SEEN].numpy()
        d = logits.sigmoid() if log_odds else logits
        if len(self.resolution) == 1:
            p, p_g = log_p.exp().numpy(), log_g.exp().numpy()
            best = optimal_discriminator(log_p, log_g).numpy() if self.has_theory else None
            plot_line(path, title, self.places[:, 0].numpy(), p, p_g, d.numpy(), best, shown[:, 0], log_odds)
        else:
            box = [self.lower[0], self.upper[0], self.lower[1], self.upper[1]]
            centres = getattr(gan.batches.data, "centres", torch.empty(0, 2)).numpy()
            plot_plane(path, title, box, d.unflatten(0, self.resolution).numpy(), shown, centres, log_odds)
        log_picture(trainer, "samples/theory", path, title)


def theory(logits: Tensor, log_p: Tensor, log_g: Tensor, cell: float) -> dict[str, float]:
    """The row's values from D's logits and both log densities at the places of a grid."""
    p, p_g = log_p.exp() * cell, log_g.exp() * cell
    mixture = (p + p_g) / 2
    best = optimal_discriminator(log_p, log_g)
    gap = (mixture * (logits.sigmoid() - best).abs()).nan_to_num().sum() / mixture.sum()
    value = -loss_d(logits, p, p_g)
    jsd = jensen_shannon(log_p, log_g, cell).item()
    bound = math.log(2) + value / 2
    return {
        "theory/d_gap": gap.item(),
        "theory/value": value,
        "theory/jsd": jsd,
        "theory/jsd_bound": bound,
        "theory/jsd_gap": jsd - bound,
    }


def optimal(logits: Tensor, log_p: Tensor, log_g: Tensor, cell: float) -> dict[str, float]:
    """How far a D that was trained to optimality is from the best one."""
    mixture = torch.logaddexp(log_p, log_g)
    where = mixture > mixture.max() + math.log(0.01)
    gap = (logits.sigmoid() - optimal_discriminator(log_p, log_g)).abs()[where].max().item()
    loss = loss_d(logits, log_p.exp() * cell, log_g.exp() * cell)
    best = 2 * math.log(2) - 2 * jensen_shannon(log_p, log_g, cell).item()
    return {"theory/optimal_d_gap": gap, "theory/optimal_loss_gap": abs(loss - best)}


def loss_d(logits: Tensor, p: Tensor, p_g: Tensor) -> float:
    """L_D in nats, from the probabilities of the cells."""
    return ((p * softplus(-logits)).sum() + (p_g * softplus(logits)).sum()).item()
