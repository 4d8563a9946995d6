"""One `AttackSpec`, run by three libraries: `craft(library, ...)` is the only way in."""

from benchmark.attacks.spec import AttackSpec, ThreatModel, format_eps

__all__ = ["AttackSpec", "ThreatModel", "format_eps"]
