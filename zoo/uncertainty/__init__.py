"""How uncertain a prediction is, and which part of that comes from the weights. `python -m zoo.uncertainty --help`.

From S posterior draws' logits on N images, (S, N, K), two decompositions:

* of the predictive entropy H[mean_s p_s] into the draws' own mean entropy (aleatoric) and the mutual information
  between label and weights (epistemic) (Houlsby et al. 2011, "Bayesian Active Learning");
* of the predictive covariance, per class, into mean_s [p_s - p_s^2] (aleatoric) and mean_s [(p_s - mean p)^2]
  (epistemic) (Kwon et al. 2018, "Uncertainty quantification using Bayesian neural networks in classification",
  equation 4). The p_s are a softmax of the logits, or with method "normalized" their softplus divided by its sum
  (Shridhar et al. 2018, "Uncertainty Estimations by Softplus normalization", equation 15).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Method = Literal["softmax", "normalized"]


@dataclass(frozen=True)
class Entropies:
    """(N,) each, in nats: predictive entropy = expected entropy of a draw + mutual information."""

    predictive: Tensor
    expected: Tensor
    mutual_information: Tensor


def entropies(log_p: Tensor, weights: Tensor | None = None) -> Entropies:
    """Entropies from the draws' log-probabilities (S, N, K), in float64. weights: (S,) of the draws; alike if None.

    The mutual information of an image that every draw is sure of is smaller than float32 rounds its two parts.
    """
    log_p = log_p.double().log_softmax(-1)  # which they are, up to the rounding that is undone here
    if weights is None:
        mean, expected = log_p.logsumexp(0) - math.log(len(log_p)), _entropy(log_p).mean(0)
    else:
        share = weights.double() / weights.double().sum()
        mean, expected = (log_p + share.log()[:, None, None]).logsumexp(0), (share[:, None] * _entropy(log_p)).sum(0)
    predictive = _entropy(mean)
    # of two nearly equal numbers, neither of them exact
    return Entropies(predictive, expected, (predictive - expected).clamp_min(0))


@dataclass(frozen=True)
class Variances:
    """(N, K) each, per class: aleatoric + epistemic = p (1 - p) of the mean prediction p."""

    aleatoric: Tensor
    epistemic: Tensor


def variances(logits: Tensor, method: Method = "softmax") -> Variances:
    """The diagonals of the predictive covariance's two parts, from the draws' logits (S, N, K), in float64.

    Raises ValueError for a method that does not exist.
    """
    p = probabilities(logits.double(), method)
    # p (1 - p) is what p - p^2 is, without its cancellation near p = 1
    return Variances((p * (1 - p)).mean(0), p.var(0, correction=0))


def probabilities(logits: Tensor, method: Method = "softmax") -> Tensor:
    """A distribution over the last dimension: the softmax, or the softplus divided by its sum."""
    if method == "softmax":
        return logits.softmax(-1)
    if method == "normalized":
        # from its logarithm: the softplus of a logit below -104 is no float32 number
        return _log_softplus(logits).softmax(-1)
    raise ValueError(f"no method {method!r}; there are: {', '.join(get_args(Method))}")


def _log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + e^x)), which is x - e^x / 2 + ... for very negative x."""
    low = x < -15
    return torch.where(low, x, F.softplus(x.masked_fill(low, 0.0)).log())


def _entropy(log_p: Tensor) -> Tensor:
    p = log_p.exp()
    return -torch.where(p > 0, p * log_p, 0.0).sum(-1)
