"""The scheduler side of hotslot: Slurm and HTCondor behind one protocol, and the hook."""
