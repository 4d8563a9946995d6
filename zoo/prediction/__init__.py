"""What is attacked and judged: the expected prediction over draws."""
