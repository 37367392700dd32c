"""hotslot: batch jobs whose CPUs follow what they really use (the host side)."""

__version__ = "0.1.0"
