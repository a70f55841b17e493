"""Rewards say how good a response is: `factuality` (RM_fact) and `judge`, which scores instruction following (RM_IF).

    corpus -> retrieve (passages)
                       \
    response -> decompose (facts) -> check (a verdict per fact) -> FactScore
    prompt, response -> judge (as `judge.backend` says) -> Score

The `actor.py` files run the rewards on other machines; `verifier` is the language model that checkers and decomposers ask.
"""
