"""The entries: registered, checked, identified."""
