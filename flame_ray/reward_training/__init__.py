"""Everything that exists only to train the small reward models, by `flame-ray train-checker` and `flame-ray train-judge`."""
