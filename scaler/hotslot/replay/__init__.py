"""Replay: what a policy would have done to recorded jobs; the same ``decide`` code as the agent."""
