"""Report: efficiency figures (pure) and how they are shown."""
