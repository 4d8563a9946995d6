"""The tutorial "Weight Uncertainty in Neural Networks" and Shridhar et al. 2019, with the zoo's own parts."""
