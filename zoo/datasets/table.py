"""The benchmark's data sets, a row each: what is known of each, and what reads it."""

from __future__ import annotations

from zoo.datasets import cifar, idx, jpeg, vision
from zoo.datasets.spec import CIFAR_EPS, MNIST_EPS, DatasetSpec, default_eps

_CIFAR10_STATS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_CIFAR100_STATS = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
_SVHN_STATS = ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))
_STL10_STATS = ((0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713))
_GTSRB_STATS = ((0.3337, 0.3064, 0.3171), (0.2672, 0.2564, 0.2629))
_EUROSAT_STATS = ((0.3444, 0.3803, 0.4078), (0.2037, 0.1366, 0.1148))
_IMAGENET_STATS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

ROWS = (
    DatasetSpec("mnist", (1, 28, 28), 10, (0.1307,), (0.3081,), idx.load, MNIST_EPS),
    DatasetSpec("fashion-mnist", (1, 28, 28), 10, (0.2860,), (0.3530,), idx.load, MNIST_EPS),
    DatasetSpec("notmnist", (1, 28, 28), 10, (0.4266,), (0.4589,), idx.load, MNIST_EPS),
    DatasetSpec("cifar10", (3, 32, 32), 10, *_CIFAR10_STATS, cifar.load, CIFAR_EPS, jpeg.CLASSES),
    DatasetSpec("cifar10-jpeg", (3, 32, 32), 10, *_CIFAR10_STATS, jpeg.load, CIFAR_EPS, jpeg.CLASSES),
    DatasetSpec("cifar100", (3, 32, 32), 100, *_CIFAR100_STATS, cifar.load, CIFAR_EPS),
    DatasetSpec("svhn", (3, 32, 32), 10, *_SVHN_STATS, vision.svhn, CIFAR_EPS),
    DatasetSpec("stl10", (3, 96, 96), 10, *_STL10_STATS, vision.stl10, default_eps((3, 96, 96))),
    DatasetSpec("gtsrb", (3, 48, 48), 43, *_GTSRB_STATS, vision.gtsrb, default_eps((3, 48, 48))),
    DatasetSpec("eurosat", (3, 64, 64), 10, *_EUROSAT_STATS, vision.eurosat, default_eps((3, 64, 64))),
    DatasetSpec("imagenet", (3, 224, 224), 1000, *_IMAGENET_STATS, vision.imagenet, default_eps((3, 224, 224))),
)
