"""A verifier without a model, for test_verifier.py. Each of its processes imports this file, so it imports no torch."""

import os

from flame_ray.rewards.verifier.client import About


class Stub:
    """A verifier that multiplies; `options` say what goes wrong with it."""

    def __init__(self, options):
        self.options, self.calls = options, []

    def about(self):
        if gate := self.options.get("late"):
            gate()
        return About("stub", 100)

    def choices(self, prompts, token_ids):
        self.calls.append(len(prompts))
        if error := self.options.get("error"):
            raise error
        if (path := self.options.get("dies_once")) and not os.path.exists(path):
            open(path, "w").close()
            os._exit(1)
        if self.options.get("dies"):
            os._exit(1)
        if gate := self.options.get("held"):
            gate()
        return [(prompt[0] * token_ids[0],) for prompt in prompts]

    def seen(self):
        return self.calls
