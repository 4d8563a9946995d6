"""The zoo: frequentist and Bayesian networks behind one differentiable expected prediction."""

from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.registry import external_model, models, register_model

__all__ = ["ZooEntry", "external_model", "models", "register_model"]
