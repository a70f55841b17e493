"""A double of a sampler, for test_turns.py. Its process imports this file, so it imports no torch."""


class FakeWorker:
    """A rollout worker that is led through an update."""

    def __init__(self):
        self.steps: list[tuple[str, dict]] = []

    def transfer(self, step, arguments):
        self.steps.append((step, arguments))

    def told(self):
        return self.steps
