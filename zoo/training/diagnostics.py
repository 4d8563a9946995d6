"""Whether chains have converged, and how much their samples are worth: split R-hat and effective sample size.

Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, "Rank-Normalization, Folding, and Localization: An Improved R-hat
for Assessing Convergence of MCMC" (Bayesian Analysis 16). Every function takes values (C, N, ...), N >= 4 draws of each
of C chains, of many quantities at once, and raises ValueError for fewer or for values that are not finite.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.special import ndtri
from scipy.stats import rankdata

Values = NDArray[np.floating]


def split_rhat(values: Values) -> NDArray[np.float64]:
    """R-hat of half chains (...,): of ranks, or of the ranks of distances from the median, whichever is larger.

    Near 1 where all halves have the same distribution; the authors ask for less than 1.01. 1 where nothing varies.
    """
    halves = _halves(values)
    folded = np.abs(halves - np.median(halves, axis=(0, 1), keepdims=True))
    return np.maximum(_rhat(_rank_normalized(halves)), _rhat(_rank_normalized(folded)))


def bulk_ess(values: Values) -> NDArray[np.float64]:
    """Effective sample size (...,) of the ranks of half chains: of whatever distribution."""
    return _ess(_rank_normalized(_halves(values)))


def mean_ess(values: Values) -> NDArray[np.float64]:
    """Effective sample size (...,) for the mean: its standard error is the standard deviation over the root of it."""
    return _ess(_halves(values))


def _halves(values: Values) -> NDArray[np.float64]:
    """(2 C, N // 2, ...): first and second halves; of an odd number the middle draw is left out."""
    values = np.asarray(values, np.float64)
    if values.ndim < 2 or values.shape[1] < 4 or not np.isfinite(values).all():
        raise ValueError(f"convergence is told from finite values (C, N, ...) with N >= 4, not from {values.shape}")
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, -half:]])


def _rank_normalized(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal scores of the ranks among all chains' draws (Blom 1958)."""
    count = values.shape[0] * values.shape[1]
    ranks = rankdata(values.reshape(count, -1), axis=0)
    scores: NDArray[np.float64] = ndtri((ranks - 3 / 8) / (count + 1 / 4)).reshape(values.shape)
    return scores


def _variances(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean variance within the chains, and the estimate of the variance from all of them."""
    draws = values.shape[1]
    within = values.var(1, ddof=1).mean(0)
    return within, (draws - 1) / draws * within + values.mean(1).var(0, ddof=1)


def _rhat(values: NDArray[np.float64]) -> NDArray[np.float64]:
    within, overall = _variances(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(overall / within)  # infinite where chains stand still in different places
    return np.where(overall > 0, ratio, 1.0)


def _ess(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """All draws over the autocorrelation time, summed by Geyer's initial monotone sequence (1992, "Practical MCMC")."""
    chains, draws = values.shape[:2]
    total = chains * draws
    centred = values - values.mean(1, keepdims=True)
    spectrum = np.fft.rfft(centred, n=next_fast_len(2 * draws), axis=1)
    autocovariance = np.fft.irfft((spectrum * spectrum.conj()).real, n=next_fast_len(2 * draws), axis=1)
    autocovariance = autocovariance[:, :draws].mean(0) / draws
    within, overall = _variances(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (within - autocovariance) / overall
    rho[0] = 1
    pairs = rho[: draws // 2 * 2].reshape(draws // 2, 2, *rho.shape[1:]).sum(1)
    positive = np.cumprod(pairs > 0, axis=0)  # up to the first pair that is not: sums of pairs are positive in truth
    tau = 2 * (np.minimum.accumulate(pairs, axis=0) * positive).sum(0) - 1
    # chains that are better than independent draws are not believed beyond this (Stan, section 16.4 of its manual)
    ess = total / np.maximum(tau, 1 / np.log10(total))
    return np.where(overall > 0, ess, float(total))
