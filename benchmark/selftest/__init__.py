"""Networks that look robust and are not, each with the checks that must catch it, and honest ones.

`python -m benchmark.selftest` audits both. A broken network hides one that is not robust at all behind a defect that
white-box attacks do not overcome. Those that came first hide `mnist/mlp`, from which the zoo's transfers come, too; the
others hide networks that were trained for this alone (`hidden`). `networks` has a file for every kind of defect.
"""
