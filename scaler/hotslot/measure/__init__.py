"""Measure: read what workers and the host do; change nothing."""
