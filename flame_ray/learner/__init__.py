"""Training of the policy: examples in, new weights out.

`losses` is pure maths; `data` makes examples and batches; `training` does a round on one rank, and `train_state` says how far
it is; `actor` is one rank, `group` is all ranks, `durable` restarts them when one dies; `checkpoints` names the folders.
"""
