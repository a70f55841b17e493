"""The audit of a run by people: which facts they read, what they say, and what follows for each round."""
