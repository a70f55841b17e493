"""Machines: which Ray, which actors, where a run is written, how it is watched. No other folder knows of these."""
