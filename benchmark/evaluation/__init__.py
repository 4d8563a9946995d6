"""From cells to records: the only run loop, and what it evaluates them with."""
