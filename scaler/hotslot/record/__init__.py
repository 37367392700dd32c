"""Record: leases, events and samples, append-only, in SQLite."""
