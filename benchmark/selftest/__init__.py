"""Networks that look robust and are not, each with the check that must catch it: `python -m benchmark.selftest`.

They are what the validity checks are tested on. All of them hide `mnist/mlp`, which is not robust at all, behind a
defect that white-box attacks do not overcome; `networks` says where each is known from.
"""
