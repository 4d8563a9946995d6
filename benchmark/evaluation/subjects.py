"""What suites need to know of an entry, which is loaded once for it, before anything is attacked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmark.plan.cells import Subject
from zoo import ZooEntry, models
from zoo.bounds import steps_of
from zoo.catalogue.conformance import check_accuracy
from zoo.catalogue.randomness import random_calls
from zoo.catalogue.registry import for_the_same_images
from zoo.combine import answered, expected
from zoo.datasets import Split, dataset_spec
from zoo.posteriors import Kind, Posterior
from zoo.prediction.expected import ExpectedPrediction
from zoo.prediction.target_networks import undefined_targets
from zoo.seeding import derive_seed
from zoo.structure import counted, dropout_layers

ACCURACY_IMAGES, ACCURACY_DRAWS = 500, 16  # a stated accuracy is compared with that on these


def subject_of(entry: ZooEntry, split: Split, device: str, together: Iterable[ZooEntry] = ()) -> Subject:
    """What suites need to know of the entry. split: its test images. together: all that are evaluated with it.

    Raises ValueError for a network that is refused when it is loaded, or that misses its stated accuracy.
    """
    spec = dataset_spec(entry.dataset)
    image = torch.zeros(1, *spec.shape)
    network, posterior = entry.load()
    is_point = posterior.kind is Kind.POINT
    one_draw = ExpectedPrediction.of(network, 1, derive_seed("cost"), posterior=posterior)
    if entry.accuracy is not None:
        _require_accuracy(entry, entry.accuracy, split, device)
    counter = _Counter()
    with counter, torch.no_grad():
        one_draw.logits(image)
    sources = own_sources(entry)
    named = [other for other in models.values() if not other.is_external or other.name in {name for _, name in sources}]
    others = for_the_same_images(named, entry.name, entry.dataset)
    if not others:  # networks that are evaluated together serve each other where there is nothing else
        serving = (other for other in together if other.is_deterministic or other.load()[1].mean is not None)
        others = for_the_same_images(serving, entry.name, entry.dataset)
    return Subject(
        entry.name,
        entry.dataset,
        len(split),
        is_point,
        cost=counter.operations // 2,
        others=others,
        undefined=undefined_targets(network, posterior, image),
        found=_found(network, posterior, image),
        members=posterior.size,
        is_sample=posterior.is_sample,
        sources=sources,
        classes=spec.classes,
        bounded=_bounded(posterior),
    )


def _bounded(posterior: Posterior) -> bool:
    """Whether every layer of a draw has a rule in `zoo.bounds`."""
    try:
        steps_of(posterior.draws(1, derive_seed("cost")), torch.float32)
    except ValueError:
        return False
    return True


class _Counter(TorchDispatchMode):
    """Counts floating-point operations by torch's formulas.

    torch's own counter looks for formulas inside of operations that have none, for which it imports its compiler (three
    seconds), and fails on a network that takes gradients in its forward pass.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; keeping the compiler away from it would import it."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _found(network: nn.Module, posterior: Posterior, image: Tensor) -> str:
    """What the prediction is, in words, and what might be meant to be random and is off."""
    if posterior.kind is not Kind.POINT:
        calls = random_calls(network.eval(), image).on if posterior.what == "its forward pass" else []
        return f"averaged over {posterior.what}" + (f" ({'; '.join(calls)})" if calls else "")
    layers = dropout_layers(network)
    off = f"; {counted(layers)} off, as in evaluation mode: randomness='dropout' averages over it" if layers else ""
    return f"one network, none random{off}"


def own_sources(entry: ZooEntry) -> tuple[tuple[str, str], ...]:
    """(`map` or `twin`, name): what the entry names, or else its deterministic twin by the zoo's convention of names.

    Raises KeyError, with suggestions, for a name that does not exist.
    """
    if entry.sources or entry.is_deterministic:
        return tuple((role, models[name].name) for role, name in entry.sources)
    dataset, _, network = entry.name.partition("/")
    _, hyphen, plain = network.partition("-")
    twin = f"{dataset}/{plain}"
    return (("twin", twin),) if hyphen and twin in models and models[twin].is_deterministic else ()


def _require_accuracy(entry: ZooEntry, accuracy: float, split: Split, device: str) -> None:
    x, y = split.sample(min(ACCURACY_IMAGES, len(split)), "accuracy")
    prediction = entry.predictor(ACCURACY_DRAWS, derive_seed("accuracy", entry.name), device=device)
    log_p = expected(prediction.logits_in_batches(x.to(device)), prediction.weights).cpu()
    right = answered(log_p, y) == y
    check_accuracy(entry.name, accuracy, int(right.sum()), len(y))
