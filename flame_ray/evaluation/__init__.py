"""How true and how helpful responses are (`metrics`), and how well checkers agree with people (`agreement`)."""
