"""What other libraries call a posterior, as networks that the zoo takes: one file a library, none of them imported.

An object is recognised by the module that its class is from. What is an `nn.Module` that samples in its forward pass
(Bayesian-Torch, BLiTZ, most of Torch-Uncertainty) needs no adapter.
"""

from zoo.posteriors.adapters.given import as_network, is_network, sampled

__all__ = ["as_network", "is_network", "sampled"]
