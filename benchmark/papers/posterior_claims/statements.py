"""Statements about posteriors, each with the p-values for and against it; what words mean was chosen by us.

robust: at most `CLOSE` below the accuracy on clean images;
susceptible: below `HALF` of it;
more robust than the maximum: more images survive, trainings and images both taken as random;
overestimates: an attack alone leaves `ADDS` more than all attacks together, or more;
vanishes: at most `TENTH` of the norm at the maximum;
rise together: Kendall's rank correlation over kinds of posteriors is positive;
withstands queries: Square breaks less than `CLOSE` of all images;
fewer errors on spheres: more points from which an attack along the sphere reaches no error;
noticed: of the errors that an attack makes, fewer than `HALF` raise no alarm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, ttest_ind

from benchmark.papers.judging import Decided
from benchmark.papers.posterior_claims.evidence import Evidence
from benchmark.papers.posterior_claims.queries import ITS_MAXIMUM
from benchmark.papers.posterior_claims.spheres import BASE
from benchmark.papers.posteriors.grid import MAP
from benchmark.papers.posteriors.suite import Attacker
from benchmark.results.detection import FALSE_ALARMS
from benchmark.statistics import Estimate, difference_over_trainings, over_trainings, share_below

CLOSE, HALF, ADDS, TENTH = 0.10, 0.50, 0.10, 0.10
KINDS = 5  # the least that a rank correlation is taken over

Statement = Callable[[Evidence], Decided | None]  # None: not measured


def robust(posterior: str, attackers: tuple[Attacker, ...] | None = None, margin: float = CLOSE) -> Statement:
    """At most a margin below the accuracy on all clean test images. attackers: in place of the view's."""

    def decide(evidence: Evidence) -> Decided | None:
        survivors, clean = evidence.survivors(posterior, attackers), evidence.measure(posterior, "accuracy")
        if survivors is None or clean is None:
            return None
        lost = over_trainings(clean[:, None] - survivors)
        above, below = _one_sided(over_trainings(clean[:, None] - survivors - margin))
        return Decided(
            f"{posterior} loses at most {100 * margin:g} points{_by(attackers)}",
            f"{100 * survivors.mean():.1f} of {100 * clean.mean():.1f} %, lost {_points(lost)}",
            below,
            above,
        )

    return decide


def susceptible(posterior: str) -> Statement:
    """Below `HALF` of the accuracy on clean images."""

    def decide(evidence: Evidence) -> Decided | None:
        survivors, clean = evidence.survivors(posterior), evidence.measure(posterior, "accuracy")
        if survivors is None or clean is None:
            return None
        above, below = _one_sided(over_trainings(survivors - HALF * clean[:, None]))
        found = over_trainings(survivors)
        numbers = f"{found.percent()} of {100 * clean.mean():.1f} %"
        return Decided(f"{posterior} keeps less than {_share(HALF)} of its accuracy", numbers, below, above)

    return decide


def more_robust_than_the_maximum(posterior: str) -> Statement:
    """More images survive than at the maximum of the posterior."""

    def decide(evidence: Evidence) -> Decided | None:
        ours, base = evidence.survivors(posterior), evidence.survivors(MAP)
        if ours is None or base is None:
            return None
        return difference(f"{posterior} is more robust than its maximum", ours, base)

    return decide


def difference(statement: str, ours: ArrayLike, base: ArrayLike) -> Decided:
    """The statement that more of one kind of network survives than of another: (T, N) and (S, N)."""
    found = difference_over_trainings(ours, base)
    means = (100 * float(np.asarray(side, float).mean()) for side in (ours, base))
    numbers = f"{' against '.join(f'{mean:.1f}' for mean in means)} %, difference {_points(found)}"
    return Decided(statement, numbers, *_one_sided(found))


def overestimates(posterior: str, attackers: tuple[Attacker, ...]) -> Statement:
    """These attackers alone leave `ADDS` more than all attacks together, on the same images."""

    def decide(evidence: Evidence) -> Decided | None:
        alone, together = evidence.survivors(posterior, attackers), evidence.survivors(posterior)
        if alone is None or together is None:
            return None
        more = alone.astype(float) - together
        found = over_trainings(more)
        return Decided(
            f"{posterior} seems at least {100 * ADDS:g} points more robust than it is{_by(attackers)}",
            f"{100 * alone.mean():.1f} against {100 * together.mean():.1f} %, difference {_points(found)}",
            *_one_sided(over_trainings(more - ADDS)),
        )

    return decide


def gradient_below(posterior: str, share: float) -> Statement:
    """The expected gradient's norm in the limit of draws is below a share of that at the maximum; Welch's t-test."""

    def decide(evidence: Evidence) -> Decided | None:
        limit, base = evidence.measure(posterior, "limit"), evidence.measure(MAP, "norm of 1")
        if limit is None or base is None:
            return None
        of = "" if share == 1 else f"{_share(share)} of "
        return Decided(
            f"the gradient's norm under {posterior} is below {of}that at the maximum",
            f"{limit.mean():.3f} against {base.mean():.3f}",
            *_smaller(limit, share * base),
        )

    return decide


def gradient_falls_with_width() -> Statement:
    """Kendall's exact test of the norm of the expected gradient against width."""

    def decide(evidence: Evidence) -> Decided | None:
        widths, norms = [*evidence.moons], [*evidence.moons.values()]
        if len(widths) < 2:
            return None
        told = ", ".join(f"{norm:.3f} at {width}" for width, norm in evidence.moons.items())
        return Decided("the expected gradient's norm falls with width", told, *_trend(widths, norms)[::-1])

    return decide


def rise_together() -> Statement:
    """Kendall's test of accuracy against robust accuracy over the kinds of posteriors, the maximum left out."""

    def decide(evidence: Evidence) -> Decided | None:
        found = [
            (float(clean.mean()), float(survivors.mean()))
            for name in evidence.posteriors
            if (survivors := evidence.survivors(name)) is not None
            and (clean := evidence.measure(name, "accuracy")) is not None
        ]
        if len(found) < KINDS:
            return None
        accuracy, robustness = zip(*found, strict=True)
        numbers = f"tau {kendalltau(accuracy, robustness).statistic:+.2f} over {len(found)} kinds"
        return Decided("kinds that are more accurate are more robust", numbers, *_trend(accuracy, robustness))

    return decide


def noticed(attacker: str, *, holds: bool = True) -> Statement:
    """Fewer than `HALF` of an attack's errors stay below the mutual information that 5 % of clean images exceed.

    attacker: `unaware` or `aware` of the detector. holds: false for the opposite.
    """

    def decide(evidence: Evidence) -> Decided | None:
        for one in evidence.detections:
            if (one.attacker, one.threat) == (attacker, evidence.threat) and "mutual information" in one.unnoticed:
                right = round(one.clean.accuracy * one.images)
                missed = round(one.unnoticed["mutual information"] * right)
                if not one.succeeded:
                    return None
                less, more = share_below(missed, one.succeeded, HALF)
                return Decided(
                    f"at {_share(FALSE_ALARMS)} false alarms mutual information misses "
                    f"{'less' if holds else 'more'} than {_share(HALF)} of the errors",
                    f"{missed} of {one.succeeded} missed; its mean goes from {one.clean.mutual_information:.3f} to "
                    f"{one.attacked.mutual_information:.3f} nats",
                    *((less, more) if holds else (more, less)),
                )
        return None

    return decide


def withstands_queries(model: str) -> Statement:
    """Square breaks less than `CLOSE` of all images; exact binomial test."""

    def decide(evidence: Evidence) -> Decided | None:
        if (found := evidence.queried(model)) is None:
            return None
        base = evidence.queried(ITS_MAXIMUM)
        beside = "" if base is None else f"; of its maximum {base.broken} of {base.right}"
        return Decided(
            f"{found.queries:,} queries break less than {_share(CLOSE)} of the images of {model}",
            f"{found.broken} of the {found.right} that are right, of {found.images} images{beside}",
            *share_below(found.broken, found.images, CLOSE),
        )

    return decide


def fewer_errors_on_spheres(kind: str) -> Statement:
    """An attack along the sphere finds errors from fewer points than at the maximum."""

    def decide(evidence: Evidence) -> Decided | None:
        ours, base = evidence.on_spheres(kind), evidence.on_spheres(BASE)
        if ours is None or base is None:
            return None
        return difference(f"an attack along the sphere spares more points under {kind} than at the maximum", ours, base)

    return decide


def _one_sided(found: Estimate) -> tuple[float, float]:
    """(p of zero against a mean above it, against one below), from the two-sided p-value."""
    half = found.p / 2
    return (half, 1 - half) if found.mean >= 0 else (1 - half, half)


def _smaller(first: ArrayLike, second: ArrayLike) -> tuple[float, float]:
    """Welch's p-values of (a smaller mean, a larger one); of values that do not vary 0 and 1."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    if not np.ptp(a) and not np.ptp(b):
        return (float(a.mean() >= b.mean()), float(a.mean() <= b.mean()))
    less, greater = (float(ttest_ind(a, b, equal_var=False, alternative=side).pvalue) for side in ("less", "greater"))
    return less, greater


def _trend(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Kendall's p-values of (rising, falling); 1 and 1 where one of both does not vary."""
    if not np.ptp(x) or not np.ptp(y):
        return 1.0, 1.0
    rising, falling = (float(kendalltau(x, y, alternative=side).pvalue) for side in ("greater", "less"))
    return rising, falling


def _points(found: Estimate) -> str:
    return f"{found.percent('+z.1f')} points"


def _share(share: float) -> str:
    return {HALF: "half", TENTH: "a tenth"}.get(share, f"{100 * share:g} %")


def _by(attackers: tuple[Attacker, ...] | None) -> str:
    return "" if attackers is None else f" by {' and '.join(attackers)} alone"
