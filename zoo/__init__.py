"""The zoo: frequentist and Bayesian networks behind one differentiable expected prediction."""

from zoo.entry import ZooEntry
from zoo.registry import external_model, models, register_model

__all__ = ["ZooEntry", "external_model", "models", "register_model"]
