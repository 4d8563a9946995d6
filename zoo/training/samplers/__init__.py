"""A module a sampler: `run(job) -> draws`, by settings of `zoo.catalogue.samplers`.

A new sampler is a class of settings there, a module here and its line in `SAMPLERS`. Each is tested on Bayesian linear
and logistic regression, whose posteriors are known.
"""

from __future__ import annotations

from collections.abc import Callable

from zoo.catalogue.samplers import Dropout, Ensemble, Hmc, Laplace, Sampler, Sghmc, Swag
from zoo.training.samplers import dropout, ensemble, hmc, laplace, sghmc, swag
from zoo.training.samplers.job import Draws, Job

SAMPLERS: dict[type[Sampler], Callable[[Job], Draws]] = {
    Hmc: hmc.run,
    Sghmc: sghmc.run,
    Swag: swag.run,
    Ensemble: ensemble.run,
    Dropout: dropout.run,
    Laplace: laplace.run,
}

__all__ = ["SAMPLERS", "Draws", "Job"]
