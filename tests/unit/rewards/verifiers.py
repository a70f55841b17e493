"""A verifier for tests: one token a word, and answers by rules over the text that it was asked."""

from flame_ray.engines.base import Sample


class Words:
    """`says` gives the log-probabilities of True and False for a prompt's text; `writes` the sample for it."""

    def __init__(self, says=lambda text: (-1.0, -1.0), writes=lambda text: '{"facts":[]}', max_length=10_000, model="words"):
        self.model, self.max_length = model, max_length
        self.says, self.writes = says, writes
        self.asked, self.requests, self.rendered = [], [], 0
        self._known = []

    def render(self, chats):
        self.rendered += len(chats)
        return [self.encode("\n".join(message["content"] for message in messages)) for messages in chats]

    def encode(self, text):
        words = text.split(" ")
        self._known += [word for word in dict.fromkeys(words) if word not in self._known]
        return tuple(self._known.index(word) for word in words)

    def text(self, ids):
        return " ".join(self._known[index] for index in ids)

    def choices(self, prompts, token_ids):
        assert token_ids == (self.encode("True")[0], self.encode("False")[0])
        texts = [self.text(ids) for ids in prompts]
        self.asked += texts
        return [self.says(text) for text in texts]

    def sample(self, requests):
        self.requests += requests
        return [Sample(self.writes(self.text(each.prompt_token_ids)), (1,), (-0.1,), "stop") for each in requests]
