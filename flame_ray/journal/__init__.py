"""The folder of a run: its shards, its record of rounds, its timeline and its telemetry."""
