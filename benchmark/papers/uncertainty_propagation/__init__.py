"""Experiments of Shekhovtsov and Flach 2018, "Feed-forward Uncertainty Propagation in Belief and Neural Networks".

One command each: `and_gate` is its table 1, `accuracy` tables 2 and 3, `normalisation` table 4, `dropout` figure 4,
`stability` figures 5 and D.1, and `cost` the times of its appendix D.1. Sizes of networks and variances that the
paper's text has lost are ours, and said. The words that random numbers are derived from name `examples`, where the
commands were: other words would give other networks than those that were measured.
"""
