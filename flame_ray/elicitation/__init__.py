"""Asks a model that was never tuned for answers of its own, by examples (FLAME, section 4.1): `similar` finds the examples,
`few_shot` makes the prompts of them.
"""
