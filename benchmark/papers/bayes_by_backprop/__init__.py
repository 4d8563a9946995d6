"""Bayes by Backprop: Bayesian convolutional networks (Shridhar et al. 2019), and a tutorial about Blundell et al. 2015.

The sources are "A Comprehensive guide to Bayesian Convolutional Neural Network with Variational Inference", its code,
a post about both, and the tutorial "Weight Uncertainty in Neural Networks". Measurements are in `examples`.
"""
