"""Act: bring a worker to a number of vCPUs, one idempotent action at a time."""
