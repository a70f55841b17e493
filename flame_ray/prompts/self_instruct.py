"""Makes new instructions from examples, and keeps those that are usable and new.

The method is Self-Instruct (Wang et al. 2023, arXiv 2212.10560): examples are drawn from the seeds and from what the model
wrote before, and what comes near another instruction by ROUGE-L is left out. FLAME makes some 20,000 instructions so.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from flame_ray.config import SelfInstructConfig
from flame_ray.errors import DataError
from flame_ray.prompts.load import normal, prompts_of
from flame_ray.prompts.near_duplicates import InstructionPool
from flame_ray.seeds import derived_seed
from flame_ray.types import Prompt, Response, Split

SETTING = "self_instruct.seeds"
NUMBERED = re.compile(r"^[\s*#]*(\d+)\s*[.):][\s*]*(.*)$")  # an item of a list, with or without Markdown
# What a model of text can neither see nor make.
NOT_TEXT = re.compile(
    r"\b(?:images?|pictures?|photos?|photographs?|drawings?|diagrams?|flow ?charts?|charts?|graphs?|maps?|videos?|audio|music"
    r"|files?|attachments?|web ?sites?|links?|urls?)\b|\bdraw (?:an? |the )(?!conclusion)|\bplot (?:an? |the )|https?://",
    re.IGNORECASE,
)
QUOTES = "\"'“‘"
BEYOND_LATIN = 0x250  # the first character after the Latin letters of Unicode
# Why an answer, or an item of one, gives no new instruction.
UNREADABLE = "no list in the answer"
CUT_OFF = "cut off"
EMPTY = "empty"
OTHER_SCRIPT = "another script"
NO_WORD_FIRST = "no word first"
SHORT, LONG = "too short", "too long"
UNSUITED = "asks for more than text"
ALIKE = "like another one"


@dataclass(frozen=True, slots=True)
class InstructionBatch:
    """What a batch of answers brought: new instructions, and how many items were left out by reason.

    >>> InstructionBatch(1, ("Name a river.",), {"too short": 2}).kept
    ('Name a river.',)
    """

    number: int
    kept: tuple[str, ...]
    left_out: Mapping[str, int]


class InstructionMaker:
    """The seeds, and the instructions that were made from them so far. The same answers always make the same instructions."""

    def __init__(self, seeds: Sequence[str], config: SelfInstructConfig, seed: int):
        self._config, self._seed = config, seed
        self._seeds = [text for text in seeds if self._length(text) <= config.max_words]
        self._pool = InstructionPool(config.max_alike)
        for text in seeds:
            self._pool.add(text)
        self.made: list[str] = []

    def questions(self, batch: int) -> list[Prompt]:
        """The prompts of a batch, each with examples of its own."""
        return [
            Prompt(f"self-instruct/{batch}/{index}", question(self._examples(batch, index), self._config.asked))
            for index in range(self._config.batch)
        ]

    def longest_question(self) -> Prompt:
        """A prompt as long as any may become, in words."""
        config = self._config
        longest = sorted(self._seeds, key=len, reverse=True)[: config.seed_examples]
        made = ["example " * config.max_words] * config.made_examples
        return Prompt("self-instruct", question([*longest, *made], config.asked))

    def _examples(self, batch: int, index: int) -> list[str]:
        draw = Random(derived_seed(self._seed, "self-instruct", batch, index))
        made = draw.sample(self.made, min(self._config.made_examples, len(self.made)))
        count = self._config.seed_examples + self._config.made_examples - len(made)  # seeds stand in until there are others
        examples = [*made, *draw.sample(self._seeds, min(count, len(self._seeds)))]
        draw.shuffle(examples)
        return examples

    def keep_new(self, batch: int, answers: Sequence[Response]) -> InstructionBatch:
        """Keep what is new in the answers to a batch, in their order."""
        kept: list[str] = []
        left_out: Counter[str] = Counter()
        for answer in answers:
            items = parse_list(answer.text)
            left_out[UNREADABLE] += not items
            if items and answer.truncated:
                items.pop()
                left_out[CUT_OFF] += 1
            for text in items:
                reason = self._reason(text)
                if reason is None:
                    self._pool.add(text)
                    kept.append(text)
                else:
                    left_out[reason] += 1
        self.made += kept
        return InstructionBatch(batch, tuple(kept), dict(+left_out))

    def restore(self, batch: InstructionBatch) -> None:
        """Take over what an earlier process made."""
        for text in batch.kept:
            self._pool.add(text)
        self.made += batch.kept

    def _reason(self, text: str) -> str | None:
        """Why a text is not kept, or None."""
        if not text:
            return EMPTY
        if not self._pool.words(text) or _is_of_another_script(text):
            return OTHER_SCRIPT
        if not text[0].isalnum() and text[0] not in QUOTES:
            return NO_WORD_FIRST
        if self._length(text) < self._config.min_words:
            return SHORT
        if self._length(text) > self._config.max_words:
            return LONG
        if NOT_TEXT.search(text):
            return UNSUITED
        return ALIKE if self._pool.near_duplicate_of(text) else None

    @staticmethod
    def _length(text: str) -> int:
        return len(text.split())


def _is_of_another_script(text: str) -> bool:
    """Whether a tenth of the letters or more are outside the Latin script, as English names are not."""
    letters = [char for char in text if char.isalpha()]
    return 10 * sum(ord(char) >= BEYOND_LATIN for char in letters) >= max(len(letters), 1)


def load_seeds(config: SelfInstructConfig) -> tuple[str, ...]:
    """The training prompts of `self_instruct.seeds`, each on one line, and none twice. Raises DataError if there is none."""
    read = (prompt for source in config.seeds for prompt in prompts_of(source, SETTING))
    prompts = [prompt for prompt in read if prompt.split is Split.TRAIN]
    seeds = {normal(prompt.text): " ".join(prompt.text.split()) for prompt in reversed(prompts)}
    found = tuple(reversed(seeds.values()))
    if not any(len(text.split()) <= config.max_words for text in found):
        shown = f"{len(found)} seeds, none of them of at most {config.max_words} words (self_instruct.max_words)"
        raise DataError(f"instructions to start from in {SETTING}", shown, "name a set of instructions")
    return found


def question(examples: Sequence[str], asked: int) -> str:
    """The message that shows examples and asks for so many more."""
    shown = "\n".join(f"{number}. {text}" for number, text in enumerate(examples, start=1))
    first = len(examples) + 1
    return (
        f"Here are instructions that people gave to an assistant who only reads and writes text:\n\n{shown}\n\n"
        f"Write {asked} more such instructions. Each is of another kind and about another topic than all others, and can be "
        f"carried out as it stands. Write one a line, without an answer, numbered from {first} to {first + asked - 1}."
    )


def parse_list(text: str) -> list[str]:
    """The items of a numbered list, each on one line. A line with a lower number than the last belongs to the item before it.

    Models leave numbers out, and write the same one before every item.

    >>> parse_list("Sure!\\n9. Name a river.\\n10. List three of\\n1. these.\\n11.")
    ['Name a river.', 'List three of 1. these.', '']
    """
    items: list[list[str]] = []
    last = None
    for line in text.splitlines():
        match = NUMBERED.match(line)
        if match and (last is None or int(match[1]) >= last):
            last = int(match[1])
            items.append([match[2]])
        elif items:
            items[-1].append(line)
    return [" ".join(" ".join(lines).replace("**", "").split()) for lines in items]
