"""How fast is it, and beside what? `python -m benchmark.bench` measures what `leaderboards/performance.md` shows."""
