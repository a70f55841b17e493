"""Samples from the policy: `sampling` (pure) makes the requests, `actor` holds an engine, `pool` spreads the prompts."""
