"""Interpolation between two codes along curves whose points are as likely as the two ends.

Codes from N(0, I) in K dimensions lie near a sphere of radius sqrt(K) if K is large, and the
straight line between two of them passes far inside it (White 2016, arXiv:1609.04468). Two random
codes are nearly orthogonal; both functions below then give nearly the same curve.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def slerp(a: Float[Tensor, "k"], b: Float[Tensor, "k"], t: float) -> Float[Tensor, "k"]:
    """From a (t = 0) to b (t = 1) along the arc of a great circle, scaled from |a| to |b|.

    Use it for two given codes, such as those of two images, of any lengths and angle.

    >>> slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0]), 0.5)  # 3 long, at 45 degrees
    tensor([2.1213, 2.1213])
    """
    if a.norm() * b.norm() == 0:  # a zero vector has no direction
        return torch.lerp(a, b, t)
    angle = torch.acos(torch.cosine_similarity(a, b, dim=0).clamp(-1, 1))
    if angle.sin() < 1e-4:  # (nearly) on one line: the arc is the line, or not unique
        return torch.lerp(a, b, t)
    direction = ((1 - t) * angle).sin() * a / a.norm() + (t * angle).sin() * b / b.norm()
    return direction / angle.sin() * torch.lerp(a.norm(), b.norm(), t)


def between(
    start: Float[Tensor, "*n latent"], end: Float[Tensor, "*n latent"], position: float
) -> Float[Tensor, "*n latent"]:
    """From start (position 0) to end (1): cos(angle) start + sin(angle) end.

    If both ends are independent draws from N(0, I), so is every point between. The straight line
    lacks this property: halfway, the mean of two codes has only half the variance.

    >>> between(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    tensor([0.7071, 0.7071])
    """
    angle = position * math.pi / 2
    return math.cos(angle) * start + math.sin(angle) * end
