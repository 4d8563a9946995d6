"""What is to be run: cells, suites, adaptive attacks. Pure: no torch, no files."""
