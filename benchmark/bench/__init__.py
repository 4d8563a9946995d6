"""How fast is it, and beside what? `python -m benchmark.bench` measures and writes `leaderboards/performance.md`."""
