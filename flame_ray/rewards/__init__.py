"""Rewards: how good is a response. The factuality side flows through five pure files, each unaware of the next:

    corpus -> retrieve (evidence, once a prompt)
                        \
    response -> decompose (facts) -> check (a verdict a fact) -> factuality (FactScore, or Missing)

Nothing here imports ray or torch; the actors that carry these to other machines live beside them.
"""
