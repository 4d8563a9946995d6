"""Numbers of PyTorch's FGSM tutorial and of Madry et al. 2018, to compare ours with."""
