"""The tutorial "Weight Uncertainty in Neural Networks" (seed 004) and seeds 002 and 003, with the zoo's own parts."""
