"""Submissions: a network's folder is made, checked without executing anything of it, and a part of it is run again."""
