"""Sampling from the policy: `sampling` (pure) says what to ask, `actor` holds an engine, `pool` makes N actors one object."""
