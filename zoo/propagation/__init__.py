"""Means and variances propagated through a network in one pass, in place of samples (Shekhovtsov and Flach 2018)."""

from zoo.propagation.layers import propagate, quadrature
from zoo.propagation.moments import Moments, certain
from zoo.propagation.units import sample

__all__ = ["Moments", "certain", "propagate", "quadrature", "sample"]
