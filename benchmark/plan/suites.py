"""Suites expand to cells. Pure: no torch, no randomness, no files but whether the referee is installed."""

from __future__ import annotations

from importlib.util import find_spec

from benchmark.plan.adaptive_suite import AdaptiveSuite
from benchmark.plan.certify_suite import CertifySuite
from benchmark.plan.masking_suite import MaskingSuite
from benchmark.plan.suite import SmokeSuite, Suite, WhiteboxSuite
from benchmark.protocol import REFEREE

# The benchmark's own; `benchmark.registry` has those of the papers beside them.
SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        SmokeSuite("smoke", "every attack at one eps per norm, 20 examples: does it work at all?", 20),
        WhiteboxSuite("whitebox", "the main job: FGSM, BIM, PGD-linf, PGD-l2 at two eps each, 100 examples", 100),
        AdaptiveSuite("adaptive", "whitebox, then all that may break surviving images: the audit of a row", 100),
        AdaptiveSuite(
            "thorough",
            "adaptive, with the costly attacks on every surviving image",
            100,
            thorough=True,
            referee=find_spec(REFEREE) is not None,
        ),
        CertifySuite("certify", "no attack, but bounds of what all can do, at eps where they say something", 100),
        MaskingSuite("masking", "Bayesian entries: what each wrong gradient hides; as whitebox, every gradient", 100),
    )
}
