"""How results are shown: pages, tables, figures, the terminal."""
