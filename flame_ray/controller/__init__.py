"""Binds the stages of a round to pools of actors, and decides who has the GPU."""
