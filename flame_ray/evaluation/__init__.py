"""How true and how helpful: `metrics` turns scored held-out responses into means with intervals. Pure."""
