"""Makes the training data of the fine-tuned checker, trains it, and describes it; used only by `flame-ray train-checker`."""
