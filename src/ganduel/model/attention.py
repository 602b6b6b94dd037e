"""Self-attention over the pixels of a feature map.

    y = x + γ W_v Σ_j β_ij W_h x_j        β_ij = softmax over j of (W_f x_i) · (W_g x_j)
    W_f, W_g, W_h: width → width/8, W_v: width/8 → width, all 1 × 1 convolutions without a bias

γ is learnt and starts at 0, so that a network first learns from near pixels. Time and memory grow with pixels².
Source: Zhang et al. 2019, "Self-attention generative adversarial networks", section 3 (arXiv:1805.08318).
"""

from torch import Tensor, nn, zeros

from ganduel.model.normalised import Layers


class SelfAttention(nn.Module):
    """(batch, width, h, w) → the same shape."""

    def __init__(self, layers: Layers, width: int):
        super().__init__()
        inner = max(1, width // 8)
        self.query, self.key, self.value = (layers.plain(nn.Conv2d(width, inner, 1, bias=False)) for _ in range(3))
        self.output = layers.plain(nn.Conv2d(inner, width, 1, bias=False))
        self.gamma = nn.Parameter(zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        weights = (query.transpose(1, 2) @ key).softmax(2)  # of pixel i, on each pixel j
        attended = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.output(attended)
