"""Supervised fine-tuning: what the model learns from, and which answers are its own."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings

Answers = Literal["human", "elicited", "both"]


class DemonstrationSource(Settings):
    """One set of instructions with answers. `form` says how its rows are read.

    `table`: an instruction and its answer, each in a column, as a text or as a chat of one message. `chat`: a list of messages
    in one column, with role and content (or from and value); the first turn counts. `trees`: OpenAssistant's message trees,
    whole trees or one message a row; the first turn counts, with the answer of the best rank.
    """

    source: str  # `seeds` (built in: 48), a JSONL (also .jsonl.gz), JSON or Parquet file, or a `datasets` name
    form: Literal["table", "chat", "trees"] = "table"
    prompt_column: str = "prompt"  # of a table
    answer_column: str = "answer"  # of a table
    # Of a table: a text that belongs to the instruction, and follows it after a blank line. None: a row with text in a column
    # `input` or `context` is refused; false: such a text is left out.
    input_column: str | Literal[False] | None = None
    chat_column: str = "messages"  # of chats
    language: str = "en"  # of trees: messages in other languages are left out
    label_column: str | None = None  # of a table or of chats: says which instructions need facts
    limit: Positive | None = None  # the most demonstrations, from the first on; None: all
    weight: Annotated[float, Field(gt=0)] = 1.0  # how much each token of these answers counts in the loss, beside the others
    # Seed data: it may be classified, answered by the model itself, and shown as examples. False: it is learned as it is, as
    # examples of judging are.
    seed: bool = True


class ElicitConfig(Settings):
    """How the model before any tuning is asked for its own answers (paper: 10 to each instruction, after 5 examples).

    Sampling uses `rollout` for its temperature, its nucleus and its workers.
    """

    samples: Positive = 10  # answers to an instruction
    shots: Positive = 5  # the most examples in a prompt; fewer where they would not fit
    similarity: Literal["bm25", "dense"] = "bm25"  # which seeds are near: by words, or by meaning (paper: DRAGON+)
    embedder: str = "all-minilm-l6-v2"  # for dense: a built-in name, a folder, or a hub id
    passages: Annotated[int, Field(ge=0)] = 0  # of factuality.corpus, shown before the instruction (the paper's pilot); 0: none
    max_tokens: Positive = 256
    weight: Annotated[float, Field(gt=0)] = 1.0  # how much each token of these answers counts in the loss


class SftConfig(Settings):
    """The data of `flame-ray sft`. The paper's models: SFT (human, human), SFT^fact (elicited, elicited), SFT^flame (facts
    elicited, others human), and the mixture without classes of table 6 (both, both).
    """

    sources: tuple[DemonstrationSource, ...] = ()
    fact_based: Answers = "human"  # whose answers to seeds that need facts are learned: people's, the model's own, or both
    others: Answers = "human"  # the same for all other seeds
    elicit: ElicitConfig = ElicitConfig()
    max_dropped: Fraction = 0.05  # the largest share of the demonstrations that may be too long for model.max_length

    @property
    def elicits(self) -> bool:
        return any(answers != "human" for answers in (self.fact_based, self.others))

    @property
    def classifies(self) -> bool:
        """Whether it matters which seeds need facts."""
        return self.fact_based != self.others
