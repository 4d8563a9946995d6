"""What a network does, beside what it is made of: a change that no file of its registration shows is seen here.

What `draw()` takes from elsewhere (a fitted posterior, a constant of an imported module) is in no weight, buffer or
`repr`. Log-probabilities on a few fixed images are; they agree between threads and processors but for rounding, so they
are compared and not hashed. To compare them needs no torch.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from zoo.seeding import derive_seed, private_generator

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.posteriors import Posterior

Behaviour = tuple[float, ...]

IMAGES = 12
TOLERANCE = 1e-4  # of the largest log-probability: rounding of deep networks reaches a tenth of it
ROUNDINGS = 4  # of the largest logit: two of them are subtracted, and each may be rounded up here and down there


def behaviour_of(name: str, dataset: str, posterior: Posterior) -> Behaviour:
    """Log-probabilities of the first draw and of the average over two (over all networks that there are), of 12 images.

    Where logits are so large that their rounding is more than `same_behaviour` tolerates, its size is the last value,
    as of logits with an offset of 1e5: the only one that is certainly above 0.
    name: of the entry, from which the draws' seed is derived.
    """
    import torch

    from zoo.combine import expected, shares

    count = 2 if posterior.size is None else posterior.size
    seed = derive_seed("behaviour", name)
    draws, weights = posterior.draws(count, seed), shares(posterior.weights(count, seed))
    images = _images(dataset)
    with torch.no_grad():
        logits = torch.stack([draw.eval()(images) for draw in draws])  # (S, B, K)
    values = torch.cat([logits[0].log_softmax(-1), expected(logits, weights)]).double().flatten().tolist()
    rounding = ROUNDINGS * torch.finfo(logits.dtype).eps * float(logits.abs().max())
    if rounding > TOLERANCE * max(1.0, *map(abs, values)):
        values.append(2.0 ** math.ceil(math.log2(rounding)))  # the same on every machine
    return tuple(float(f"{value:.7g}") for value in values)


def fingerprint_of(made_of: str, behaviour: Behaviour) -> str:
    """The fingerprint of a network from outside the zoo. made_of: that of what it is made of."""
    return hashlib.sha256(f"{made_of} {behaviour}".encode()).hexdigest()


def same_behaviour(first: Behaviour, second: Behaviour) -> bool:
    """Whether two behaviours differ by no more than the rounding of threads and processors."""
    if len(first) != len(second):
        return False
    most = max(TOLERANCE * max(1.0, *(abs(value) for value in first)), first[-1])
    return all(abs(a - b) <= most for a, b in zip(first, second, strict=True))


def _images(dataset: str) -> Tensor:
    """(12, C, H, W): half of them noise, half of them smooth as photographs are."""
    import torch
    from torch.nn import functional as F

    from zoo.datasets import dataset_spec

    shape = dataset_spec(dataset).shape
    generator = private_generator("behaviour", dataset)
    noise = torch.rand((IMAGES // 2, *shape), generator=generator)
    coarse = torch.rand((IMAGES // 2, shape[0], 4, 4), generator=generator)
    return torch.cat([noise, F.interpolate(coarse, size=shape[1:], mode="bilinear")])
