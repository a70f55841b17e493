"""The prompts of a run: loading them, drawing those of a round, and deciding which ones need facts."""
