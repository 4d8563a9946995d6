"""The harness: attacks from three libraries on every zoo entry, verified, compared, stored and ranked."""

__version__ = "0.1.0"
