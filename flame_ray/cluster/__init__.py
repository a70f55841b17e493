"""Ray and nothing else: connecting to it, pools of actors, and what to do when one of them dies."""
