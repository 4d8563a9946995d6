"""Networks that look robust and are not, each with the check that must catch it: `python -m benchmark.selftest`.

The validity checks are tested on them. All of them hide `mnist/mlp`, which is not robust at all, behind a defect that
white-box attacks do not overcome; `networks` names the source of each.
"""
