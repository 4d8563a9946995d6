"""How the zoo's own entries are trained, and their cards written."""
