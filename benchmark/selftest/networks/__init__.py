"""The defects: in a network, in the wrapper around it, or in a library's adapter; a file a kind, a row each."""

from __future__ import annotations

from benchmark.selftest.broken import Broken, merged
from benchmark.selftest.networks import adapters, draws, gradients, outputs, state

BROKEN: dict[str, Broken] = merged(kind.NETWORKS for kind in (gradients, state, outputs, draws, adapters))
