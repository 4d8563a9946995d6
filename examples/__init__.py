"""The tutorial "Weight Uncertainty in Neural Networks" (seed 004), step by step, with the zoo's own parts."""
