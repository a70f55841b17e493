"""The instruction-following reward: a language model scores how well a response follows its instruction."""
