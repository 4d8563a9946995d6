"""What is kept of a cell, and where: the store of a run, the archive beside the pages."""
