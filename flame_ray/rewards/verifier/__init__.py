"""The language models that checkers and decomposers ask."""
