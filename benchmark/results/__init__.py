"""What the records say: sifted once, judged by the checks, ranked. No text, no torch."""

from __future__ import annotations

from benchmark.results.results import Curve, Results, compare

__all__ = ["Curve", "Results", "compare"]
