"""The experiment and the claims of Iyer, "Robustness of Bayesian Approach to Gradient-Based Attacks"."""
