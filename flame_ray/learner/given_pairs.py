"""Makes the pairs of a round from those that a file gives: their answers become responses, as if they had been sampled."""

import math
from collections import Counter, defaultdict
from collections.abc import Set

from flame_ray.learner.demonstrations import Chat
from flame_ray.prompts.given_pairs import GivenPair, GivenPairs
from flame_ray.prompts.load import id_of_text, normal
from flame_ray.types import Pair, PairSet, Response, ResponseId, SideFacts

ROUND = 1  # a file is trained on in one round


def given_pair_set(given: GivenPairs, chat: Chat, max_length: int, held_out: Set[str] = frozenset()) -> PairSet:
    """The pairs, sorted by prompt id. What is left out is counted as `file: <reason>`.

    A pair is left out if a side with its prompt has more than `max_length` tokens, or if its instruction is one of `held_out`
    (texts): an evaluation on it would measure what was trained.
    """
    dropped, answers = Counter(given.left_out), _Answers(chat)
    hidden = {normal(text) for text in held_out}
    pairs_D: list[Pair] = []
    for each in given.pairs_D:
        if normal(each.prompt) in hidden:
            dropped["held-out prompt"] += 1
            continue
        pair = _pair(each, answers)
        if max(len(side.prompt_token_ids) + len(side.token_ids) for side in (pair.chosen, pair.rejected)) > max_length:
            dropped["too long"] += 1
        else:
            pairs_D.append(pair)
    sorted_D = sorted(pairs_D, key=lambda pair: pair.prompt_id)
    return PairSet(tuple(sorted_D), {f"file: {reason}": count for reason, count in sorted(dropped.items())})


class _Answers:
    """The response of each text that answers an instruction; equal ones are one."""

    def __init__(self, chat: Chat):
        self._chat = chat
        self._known: defaultdict[str, dict[tuple[str, str, bool], Response]] = defaultdict(dict)

    def response(self, prompt: str, answer: str, truncated: bool) -> Response:
        """One that was cut off has not the token that ends an answer."""
        id, key = id_of_text(prompt, "file"), (prompt, answer, truncated)
        of_prompt = self._known[id]
        if key not in of_prompt:
            place, tokens = ResponseId(ROUND, id, len(of_prompt)), self._chat.answer(answer)
            tokens, reason = (tokens[:-1], "length") if truncated else (tokens, "stop")
            of_prompt[key] = Response(place, answer, self._chat.prompt(prompt), tokens, finish_reason=reason, weight_version=0)
        return of_prompt[key]


def _pair(given: GivenPair, answers: _Answers) -> Pair:
    sides = zip((given.chosen, given.rejected), given.truncated, strict=True)
    chosen, rejected = (answers.response(given.prompt, text, truncated) for text, truncated in sides)
    chosen_score, rejected_score = (math.nan if score is None else score for score in given.scores)
    chosen_facts, rejected_facts = (None if factuality is None else SideFacts(factuality) for factuality in given.factuality)
    return Pair(given.kind, chosen, rejected, chosen_score, rejected_score, chosen_facts, rejected_facts)
