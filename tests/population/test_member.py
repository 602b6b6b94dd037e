"""A member's checkpoint has its own tensors, not the stack."""

import torch

from ganduel.population.member import own


def test_a_view_is_cut_out_and_anything_else_is_left():
    stack = torch.arange(6.0).view(2, 3)
    alone = own(stack[1])
    assert torch.equal(alone, stack[1])
    assert alone.untyped_storage().nbytes() == 12
    assert own(stack) is stack
    assert own("text") == "text"
