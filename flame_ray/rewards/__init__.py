"""Rewards: how good is a response. The factuality side flows through five pure files, each unaware of the next:

    corpus -> retrieve (evidence, once a prompt)
                        \
    response -> decompose (facts) -> check (a verdict a fact) -> factuality (FactScore, or Missing)

The pure files import neither ray nor torch; the actors that carry them to other machines, and the client of one, live beside
them.
"""
