"""The numeric tests as other processors compute them: `tox -e portable`, `python -m tests.portable [COMBINATION ...]`.

The libraries under torch choose their instructions when they are loaded, and can be told to choose older ones. Measured
on an AMD EPYC with AVX-512: ATen's `default` changes normal random numbers and softplus, oneDNN's AVX2 bfloat16
convolutions, its SSE41 all convolutions, MKL's COMPATIBLE all matrix products; MKL_ENABLE_INSTRUCTIONS changes nothing
on AMD. What no processor at hand computes stands in for all others: `tests.rounding`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
EXECUTORS = "tests/benchmark/evaluation/test_executors.py"
NUMERIC = (
    "tests/zoo",
    "tests/examples",
    "tests/benchmark/papers/uncertainty_propagation",
    "tests/benchmark/attacks",
    EXECUTORS,
    "tests/benchmark/evaluation/test_adaptive.py",
    "tests/benchmark/evaluation/test_evaluator.py",
    "tests/benchmark/records/test_agreement.py",
    "tests/benchmark/test_statistics.py",
)


@dataclass(frozen=True)
class Combination:
    """capability: of ATen. variables: of the libraries below it. rounding: seed of `tests.rounding`."""

    capability: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    rounding: int | None = None

    def environment(self) -> dict[str, str]:
        """Its own variables and the present ones. Threads that wait do not keep a core from those that work."""
        own = {**self.variables, "OMP_NUM_THREADS": str(self.threads), "OMP_WAIT_POLICY": "PASSIVE"}
        own |= {} if self.capability is None else {"ATEN_CPU_CAPABILITY": self.capability}
        own |= {} if self.rounding is None else {"ROUNDING": str(self.rounding)}
        return {**os.environ, "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", **own}

    def command(self) -> list[str]:
        """A process for each core, so that processes times threads are no more."""
        processes = max(1, min(4, (os.cpu_count() or 1) // self.threads))
        # which does not reach the processes that a test starts, and holds their records against its own
        plugins = [] if self.rounding is None else ["-p", "tests.rounding", f"--deselect={EXECUTORS}"]
        parallel = ["--numprocesses", str(processes), "--dist", "loadfile"]
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *parallel, *NUMERIC]

    def is_supported(self) -> bool:
        """Whether this processor has the instructions: torch falls back on what it has, and says so."""
        if self.capability is None:
            return True
        code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
        found = subprocess.run([sys.executable, "-c", code], env=self.environment(), capture_output=True, text=True)
        return found.stdout.strip().lower() == self.capability


AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
OLDEST = {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
COMBINATIONS = {
    "avx512": Combination("avx512"),
    "avx512-two-threads": Combination("avx512", threads=2),
    "avx2": Combination("avx2", AVX2),
    "avx2-two-threads": Combination("avx2", AVX2, threads=2),
    "default": Combination("default", AVX2),
    "default-two-threads": Combination("default", AVX2, threads=2),
    "oldest": Combination("default", OLDEST),
    "oldest-two-threads": Combination("default", OLDEST, threads=2),
    "rounding-1": Combination(rounding=1),
    "rounding-2": Combination(rounding=2),
}


def main(names: list[str]) -> int:
    """Run the combinations, print what failed in each and a table; 1 if anything did, 2 for an unknown name."""
    if unknown := [name for name in names if name not in COMBINATIONS]:
        print(f"no combination {unknown[0]!r}; there are: {', '.join(COMBINATIONS)}", file=sys.stderr)
        return 2
    rows, status = [], 0
    for name in names or COMBINATIONS:
        combination = COMBINATIONS[name]
        if not combination.is_supported():
            rows.append({"combination": name, "passed": "not on this processor"})
            continue
        began = time.monotonic()
        done = subprocess.run(
            combination.command(), cwd=ROOT, env=combination.environment(), capture_output=True, text=True
        )
        lines = done.stdout.strip().splitlines()
        counts = dict(re.findall(r"(\d+) (passed|failed|skipped|error)", lines[-1] if lines else ""))
        found = {kind: int(count) for count, kind in counts.items()}
        broken = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        if done.returncode:
            status = 1
            print(*(broken or [*lines[-20:], done.stderr[-2000:]]), sep="\n")
        print(f"{name}: {lines[-1] if lines else 'nothing ran'}", flush=True)
        kinds = {kind: found.get(kind, 0) for kind in ("passed", "failed", "skipped")}
        kinds["failed"] += found.get("error", 0)
        rows.append({"combination": name, **kinds, "minutes": f"{(time.monotonic() - began) / 60:.1f}"})
    print(tabulate(rows, headers="keys"))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
