"""A histogram of demand that forgets: quantiles as Kubernetes' recommender takes them."""

from __future__ import annotations

from hotslot.decide.law import State

BUCKETS = 64
"""Buckets of equal width from nothing to the request."""


def add_weight(state: State, at: int, demand: float, request: float, weight: float) -> None:
    """Add to the bucket of this demand; a demand on a border counts below it."""
    bucket = int(demand / request * BUCKETS * (1 - 1e-6)) if request > 0 else 0
    state[at + min(BUCKETS - 1, max(0, bucket))] += weight


def fade(state: State, at: int, factor: float) -> None:
    """Multiply all weights."""
    for bucket in range(BUCKETS):
        state[at + bucket] *= factor


def quantile(state: State, at: int, part: float, request: float) -> float:
    """Return the upper border of the bucket in which ``part`` of the weight is reached."""
    total = 0.0
    for bucket in range(BUCKETS):
        total += state[at + bucket]
    if total <= 0:
        return request
    reached = 0.0
    for bucket in range(BUCKETS):
        reached += state[at + bucket]
        if reached >= part * total - 1e-12:
            return request * (bucket + 1) / BUCKETS
    return request
