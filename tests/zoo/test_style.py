"""The visual language of figures."""

from __future__ import annotations

from collections import Counter

from zoo import models
from zoo.style import ARCHITECTURES, architecture_of, family_line, network_style


def test_no_two_networks_of_a_data_set_look_alike() -> None:
    looks = Counter(
        (entry.dataset, *network_style(name), str(family_line(entry.family))) for name, entry in models.items()
    )
    assert max(looks.values()) == 1, looks.most_common(1)


def test_every_network_is_drawn_with_its_architecture() -> None:
    assert {architecture_of(name) for name in models} == set(ARCHITECTURES)
    assert architecture_of("mnist/bayesian-mlp-50") == architecture_of("mnist/hmc-mlp") == "mlp"
    assert architecture_of("mine/resnet") == "other"
