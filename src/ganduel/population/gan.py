"""Algorithm 1 for many GANs at once: one forward pass, one backward pass and one optimizer step for all members.

Members differ in seed, and may differ in loss, penalties, augmentation, optimizer, schedule, clipping and average.
Consecutive ones that differ in the seed alone are a group: what is not the same for all is done group by group.

Each member has the data, the noise and the draws of its seed, as if it were alone. Nothing passes between members: the
gradient of the sum of their losses has in each one's slice the gradient of its own loss.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ganduel.batch import Batch, Due, Minibatch
from ganduel.block import Endless
from ganduel.gan import GAN
from ganduel.model.base import as_logits, conditioned
from ganduel.population.member import Member, MemberTrainer
from ganduel.population.network import ALL, StackedNetwork, can_be_batched
from ganduel.population.optim import StackedOptim
from ganduel.population.parts import StackedAugment, StackedBatches, StackedEMA, StackedLoss, keeps_state

log = logging.getLogger("ganduel")


class StackedGAN(GAN):
    """The GANs of a population in training, as one.

    The networks of those that `stack` is called with become views of stacked ones, and their optimizers and schedules
    follow what is done here: each can be sampled from and saved at any time, as if it had done its iterations itself.

    Args:
        gans: all members.
        kinds: one per member; equal for those that differ in the seed alone.
    """

    saving: MemberTrainer | None = None  # the member whose checkpoint is being written

    def __init__(self, gans: Sequence[Member], kinds: Sequence[str]):
        LightningModule.__init__(self)
        self.automatic_optimization = False
        self.strict_loading = False  # members take their own weights from their own checkpoints
        self.all_members, self.kinds = nn.ModuleList(gans), list(kinds)
        self.engine = gans[0].engine

    def stack(self, active: Sequence[int]) -> None:
        """Stack the members of these numbers, which are all at the same iteration."""
        self.active = list(active)
        self.members = [cast(Member, self.all_members[i]) for i in active]
        first, kinds = self.members[0], [self.kinds[i] for i in active]
        groups = [[i for i, _ in group] for _, group in groupby(enumerate(kinds), key=lambda pair: pair[1])]
        self.groups = [slice(group[0], group[-1] + 1) for group in groups] if len(groups) > 1 else [ALL]
        self.loss: Any = StackedLoss([(of, self.members[of][0].loss) for of in self.groups])
        self.batches, self.mixes_samples = StackedBatches(self.members), first.mixes_samples
        with self.trainer.precision_plugin.train_step_context():
            batch = first.batches(self.trainer.global_step)
            z, x = batch.generator, batch.discriminator[0]
            batched_g = can_be_batched(first.generator, as_network, z.noise, z.fake_labels)
            batched_d = can_be_batched(first.discriminator, as_critic(outputs=first.loss.outputs), x.real, x.labels)
            self.augment: Any = StackedAugment(self.members, self.groups, x.real)
        self.generator = StackedNetwork([member.generator for member in self.members], batched_g)
        self.discriminator = StackedNetwork([member.discriminator for member in self.members], batched_d)
        self.penalties_d, self.penalties_g = ({}, {})  # type: ignore[assignment]
        self.of, self.batched = dict[nn.Module, slice](), dict[nn.Module, bool]()
        for of in self.groups:
            self.add_penalties(of, batch)
        unrolled = first.opponent.steps > 0
        batched = (batched_g, batched_d, *self.augment.batched, *self.batched.values(), not unrolled)
        self.batches.draws_needed = not all(batched)
        for name, batched in (("G", batched_g), ("D", batched_d)):
            if not batched:
                log.info("%s has layers that cannot be batched: the members' are run one after another", name)
        if unrolled:
            log.info("unroll=%d: the members' D are unrolled one after another", first.opponent.steps)
        self.optim_d = cast(Any, StackedOptim(self.discriminator, [m.optim_d for m in self.members], self.groups))
        self.optim_g = cast(Any, StackedOptim(self.generator, [m.optim_g for m in self.members], self.groups))
        self.ema = cast(Any, StackedEMA(self.generator, self.members, self.groups))

    def add_penalties(self, of: slice, batch: Batch) -> None:
        """Those of a group; each is one kernel for all of the group if it keeps nothing and can be batched."""
        gan, b = self.members[of][0], batch.discriminator[0]
        fake = b.real
        for name, net in (("penalties_d", gan.discriminator), ("penalties_g", gan.generator)):
            for key, penalty in getattr(gan, name).items():
                getattr(self, name)[f"{of.start}.{key}"] = penalty
                self.of[penalty] = of
                one_by_one = keeps_state(penalty) or (net is gan.discriminator and not self.augment.is_batched(of))
                apply = self.applied(name, key, of)
                self.batched[penalty] = not one_by_one and can_be_batched(net, apply, *tensors(b), fake)

    def applied(self, kind: str, key: str, of: slice) -> Any:
        """A penalty of a group as a function of a member's network and its part of a minibatch."""

        def apply(i: int | None, net: Any, *parts: Any) -> Tensor:
            real, labels, noise, fake_labels, fake = parts
            member, draws = (self.members[of][0], self.batches.draws) if i is None else (self.members[i], None)
            b = Minibatch(real, labels, noise, fake_labels, draws or member.batches.draws)
            critic = as_critic(member.augment, member.loss.outputs)
            see = net if kind == "penalties_g" else lambda x, y=None: member.loss.logits(critic(i, net, x, y))
            return getattr(member, kind)[key](see, b, fake)

        return apply

    def penalty(self, penalties: Iterable[Any], due: Collection[Any], net: Any, b: Minibatch, fake: Tensor) -> Tensor:
        kind = "penalties_g" if net is self.generator else "penalties_d"
        stacked = self.generator if net is self.generator else self.discriminator
        total = [b.noise.new_zeros(len(b.noise[of])) for of in self.groups]
        with torch.autocast(self.device.type, enabled=False):
            for name, penalty in getattr(self, kind).items():
                if penalty in due:
                    of = self.of[penalty]
                    apply = self.applied(kind, name.partition(".")[2], of)
                    parts = [None if x is None else x[of] for x in (*tensors(b), fake)]
                    term = stacked.vmap_over_members(apply, *parts, of=of, batched=self.batched[penalty])
                    total[self.groups.index(of)] = total[self.groups.index(of)] + penalty.every * term
        return torch.cat(total)

    def output(self, x: Tensor, y: Tensor | None = None, of: slice = ALL) -> Tensor:
        """Of some members, as in GAN."""
        x, y = self.augment(x, of), None if y is None else y[of]
        return self.discriminator.vmap_over_members(as_critic(outputs=self.loss.outputs), x, y, of=of)

    def opponent(self, _gan: GAN, b: Minibatch, fake: Tensor, due: Due) -> Callable[..., Tensor]:
        """D's output as G's update sees it, as in GAN; of members that unroll D, one after another."""
        output = self.unrolled(b, fake, due) if self.members[0].opponent.steps else self.output
        if self.loss.mixed:
            self.loss.real_output = lambda of: output(b.real, b.labels, of)
        return output

    def unrolled(self, b: Minibatch, fake: Tensor, due: Due) -> Callable[..., Tensor]:
        """Likewise, with each member's own steps of its D."""
        outputs = list[Callable[..., Tensor]]()
        for of in self.groups:
            first = self.members[of][0]
            for i, member in enumerate(self.members[of], len(outputs)):
                parts = [None if x is None else x[i] for x in tensors(b)]
                own = Minibatch(*parts, member.batches.draws)  # type: ignore[arg-type]
                due_here = [p for key, p in member.penalties_d.items() if first.penalties_d[key] in due]
                outputs.append(member.opponent(member, own, fake[i], due_here))

        def output(x: Tensor, y: Tensor | None = None, of: slice = ALL) -> Tensor:
            numbers = range(len(outputs))[of]
            return torch.stack([outputs[i](x[i], None if y is None else y[i]) for i in numbers])

        return output

    def descend(self, optim: Any, loss: Tensor) -> Tensor:
        optim.net.zero_grad()
        self.manual_backward(loss.sum())
        norms = norm_of_each([p.grad for p in optim.net.parameters() if p.grad is not None])
        optim.step(norms)
        torch.clear_autocast_cache()
        return norms

    def optimizers_in_use(self) -> list[torch.optim.Optimizer]:
        return [*cast(Any, self.optim_d).optimizers, *cast(Any, self.optim_g).optimizers]

    def configure_optimizers(self) -> Any:
        """The members have their own; Lightning has none to step."""
        for member in self.all_members:
            cast(Member, member).configure_optimizers()
        return []

    def train_dataloader(self) -> Endless:
        return Endless()

    def on_fit_start(self) -> None:
        """Move the members' data and give their layers their draws; they are stacked when they are restored."""
        for member in self.all_members:
            cast(Member, member).on_fit_start()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert self.saving is not None
        self.saving.fill(checkpoint)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Nothing of the stack's own: a checkpoint is a member's."""
        return {}


def as_network(i: int | None, net: Any, *inputs: Any) -> Tensor:
    """A network's output, as a function for `vmap_over_members`."""
    return net(*(x for x in inputs if x is not None))


def as_critic(augment: Callable[[Tensor], Tensor] = lambda x: x, outputs: int = 1) -> Any:
    """D's output for samples seen through an augmentation, likewise."""
    return lambda i, net, x, y=None: as_logits(conditioned(net, augment(x), y), outputs)


def tensors(b: Minibatch) -> tuple[Tensor | None, ...]:
    """The fields of a minibatch but its draws, in their order."""
    return b.real, b.labels, b.noise, b.fake_labels


def norm_of_each(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of each member's values, (members,), of tensors that count members in front."""
    return torch.stack([torch.linalg.vector_norm(t.reshape(len(t), -1), dim=1) for t in tensors]).norm(dim=0)
