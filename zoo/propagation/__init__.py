"""Means and variances propagated through a network in one pass, in place of samples (seed 001)."""
