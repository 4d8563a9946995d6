"""Steps by gradients of minibatches, with the noise that samples or without: of SGHMC, SGLD and SGD with momentum.

Chen, Fox and Guestrin 2014, "Stochastic Gradient Hamiltonian Monte Carlo", equation (15), for the energy U = -log p(D |
w) - log p(w), step size h and friction a:

    v <- (1 - a) v - h grad U(w) + N(0, 2 a h T),    w <- w + v.

The step size l of a training is on the gradient g of U / N, N images, so that h = l / N:

    v <- (1 - a) v - l g + N(0, 2 a l T / N),    w <- w + v.                      (*)

T = 1 is Bayes, T = 0 SGD with momentum 1 - a; a = 1 is Langevin dynamics, SGLD (Welling and Teh 2011). The noise is
of the sum over N images: one that does not know N, or has another factor, has another temperature.

What steps of finite size do is known where U is quadratic, of curvature c: at full gradients the variance is
1 / (c (1 - h c / (2 (2 - a)))) in place of 1 / c. Minibatches add noise of their own, of variance V in the gradient of
U, which is not subtracted: 1 + h V / (2 a) times the variance. Both errors vanish with h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from zoo.seeding import private_generator

# (D,) weights, (n,) indices of images -> mean negative log-likelihood of these, gradient (D,) of U / N.
Gradient = Callable[[Tensor, Tensor], tuple[float, Tensor]]


def batches_of(images: int, batch_size: int) -> int:
    """How many whole minibatches an epoch has. Raises ValueError for a minibatch of more images than there are."""
    if batch_size > images:
        raise ValueError(f"batch_size={batch_size} of {images} images: it may be all of them at most")
    return images // batch_size


def minibatches(images: int, batch_size: int, *of: object) -> Iterator[Tensor]:
    """Indices of the whole minibatches of an epoch, in an order that is a function of `of`.

    The images that are left over are others in each epoch, so that every one is as likely in each minibatch.
    """
    order = torch.randperm(images, generator=private_generator("minibatches", *of))
    return iter(order[: batches_of(images, batch_size) * batch_size].split(batch_size))


def noise_scale(step_size: float, friction: float, temperature: float, images: int) -> float:
    """Standard deviation of the noise of (*)."""
    return math.sqrt(2 * friction * step_size * temperature / images)


def step(
    weights: Tensor, velocity: Tensor, gradient: Tensor, step_size: float, friction: float, noise: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(*), of (D,) each: the next weights and velocity. noise: with its scale."""
    velocity = (1 - friction) * velocity - step_size * gradient
    if noise is not None:
        velocity = velocity + noise
    return weights + velocity, velocity
