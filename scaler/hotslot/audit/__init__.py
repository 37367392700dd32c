"""The audit log: who changed what of this host's allocations, when and why, chained by hashes."""
