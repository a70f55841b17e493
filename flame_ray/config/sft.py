"""Supervised fine-tuning: what the model learns from, and which answers are its own."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Fraction, Positive, Settings

Answers = Literal["human", "elicited", "both"]
READ = {  # settings of a source that some forms read, and others would pass over
    "table": {"prompt_column", "answer_column", "input_column", "label_column"},
    "chat": {"chat_column", "label_column"},
    "trees": {"language"},
}


class DemonstrationSource(Settings):
    """One set of instructions with answers."""

    source: str
    """seeds (built in: 48), a JSONL (also .jsonl.gz), JSON or Parquet file, or a `datasets` name."""
    form: Literal["table", "chat", "trees"] = "table"
    """How rows are read. table: an instruction and its answer, each in a column, as a text or as a chat of one message. chat: a
    list of messages in one column, with role and content (or from and value); the first turn counts. trees: OpenAssistant's
    message trees, whole trees or one message a row; the first turn counts, with the answer of the best rank.
    """
    prompt_column: str = "prompt"
    """The column of the instruction, in a table."""
    answer_column: str = "answer"
    """The column of the answer, in a table."""
    input_column: str | Literal[False] | None = None
    """In a table, the column of a text that belongs to the instruction, and follows it after a blank line. null: a row with
    text in a column `input` or `context` is refused; false: such a text is left out. Each of a row's `instances`, as
    self-instruct's files have them, counts as a row with its `input` and `output`.
    """
    chat_column: str = "messages"
    """The column of the messages, for chats."""
    language: str = "en"
    """The language that is kept, for trees."""
    label_column: str | None = None
    """The column that says which instructions need facts, in a table or of chats."""
    limit: Positive | None = None
    """The most demonstrations, from the first on; null: all."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How much each token of these answers counts in the loss, beside the others."""
    seed: bool = True
    """true: the answers are seed data, which may be classified, answered by the model itself, and shown as examples. false:
    they are learned as they are, as examples of judging are.
    """

    @model_validator(mode="after")
    def settings_are_read(self) -> "DemonstrationSource":
        others = sorted(set().union(*READ.values()) - READ[self.form])
        if unread := [name for name in others if getattr(self, name) != type(self).model_fields[name].default]:
            raise ValueError(f"form {self.form} does not read {', '.join(unread)}: leave that out, or name another form")
        return self


class ElicitConfig(Settings):
    """How the model before any tuning is asked for its own answers (paper: 10 to each instruction, after 5 examples).

    Sampling uses `rollout` for its temperature, its nucleus and its workers.
    """

    samples: Positive = 10
    """Answers to an instruction."""
    shots: Positive = 5
    """The most examples in a prompt; fewer where they would not fit."""
    similarity: Literal["bm25", "dense"] = "bm25"
    """Which seeds are near: by words, or by meaning (paper: DRAGON+)."""
    embedder: str = "all-minilm-l6-v2"
    """For dense: a built-in name, a folder, or a hub id."""
    passages: Annotated[int, Field(ge=0)] = 0
    """Passages of factuality.corpus that are shown before the instruction (the paper's pilot)."""
    max_tokens: Positive = 256
    """The most tokens of an answer."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How much each token of these answers counts in the loss."""


class SftConfig(Settings):
    """The data of `flame-ray sft`. The paper's models: SFT (human, human), SFT^fact (elicited, elicited), SFT^flame (facts
    elicited, others human), and the mixture without classes of table 6 (both, both).
    """

    sources: tuple[DemonstrationSource, ...] = ()
    """The sets of instructions with answers."""
    fact_based: Answers = "human"
    """Whose answers to seeds that need facts are learned: people's, the model's own, or both."""
    others: Answers = "human"
    """Whose answers to all other seeds are learned."""
    elicit: ElicitConfig = ElicitConfig()
    max_dropped: Fraction = 0.05
    """The largest share of the demonstrations that may be too long for model.max_length."""

    @property
    def elicits(self) -> bool:
        return any(answers != "human" for answers in (self.fact_based, self.others))

    @property
    def classifies(self) -> bool:
        """Whether it matters which seeds need facts."""
        return self.fact_based != self.others
