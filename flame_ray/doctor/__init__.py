"""Finds out what a job lacks on this machine or cluster, and what would fit, without starting anything."""
