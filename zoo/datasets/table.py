"""The benchmark's data sets, a row each: what is known of each, and what reads it."""

from __future__ import annotations

from zoo.datasets import cifar, idx, jpeg
from zoo.datasets.spec import CIFAR_EPS, MNIST_EPS, DatasetSpec

_CIFAR10_STATS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_CIFAR100_STATS = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))

ROWS = (
    DatasetSpec("mnist", (1, 28, 28), 10, (0.1307,), (0.3081,), idx.load, MNIST_EPS),
    DatasetSpec("fashion-mnist", (1, 28, 28), 10, (0.2860,), (0.3530,), idx.load, MNIST_EPS),
    DatasetSpec("notmnist", (1, 28, 28), 10, (0.4266,), (0.4589,), idx.load, MNIST_EPS),
    DatasetSpec("cifar10", (3, 32, 32), 10, *_CIFAR10_STATS, cifar.load, CIFAR_EPS),
    DatasetSpec("cifar10-jpeg", (3, 32, 32), 10, *_CIFAR10_STATS, jpeg.load, CIFAR_EPS),
    DatasetSpec("cifar100", (3, 32, 32), 100, *_CIFAR100_STATS, cifar.load, CIFAR_EPS),
)
