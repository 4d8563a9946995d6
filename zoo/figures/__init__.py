"""Figures of networks and of what they say; those of the benchmark's results are in `benchmark.figures`."""
