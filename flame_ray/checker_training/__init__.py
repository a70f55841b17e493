"""Everything that exists only to train the small checker: made statements, the split of labels, and the training loop."""
