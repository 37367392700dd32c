"""Tests against real daemons and real virtual machines."""
