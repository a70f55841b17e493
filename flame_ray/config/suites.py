"""The suites of `flame-ray evaluate`: where their data is, how many prompts are asked, and how answers are compared."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings


class SuitesConfig(Settings):
    """The suite `factbook` has its data in the package. Each path here is a file or folder of public data."""

    limit: Positive | None = None
    """Prompts of each suite, the same ones every time; null: all."""
    max_tokens: Positive = 512
    """The most tokens of an answer."""
    ask: Literal["chat", "few_shot"] = "chat"
    """How prompts are put to the model, except by lm-eval. chat: as a user's turn. few_shot: in plain text, after the seeds of
    sft.sources that are most like the prompt, as sft.elicit says, and after sft.elicit.passages of factuality.corpus. So a
    model can be asked before any tuning.
    """
    max_length: Positive = 2048
    """Tokens of a prompt with its answer, also the judge's, who reads two answers; stands in place of model.max_length. Each
    model reads at most its own positions.
    """
    biography: str | None = None
    """A file of names, one a line: FActScore's 183 entities."""
    longfact: str | None = None
    """A folder of JSONL files, or one file, with a column `prompt`."""
    alpaca: str | None = None
    """AlpacaEval's outputs of the model to compare with: JSON with `instruction` and `output`. questions: 100 built-in held-out
    prompts, without outputs.
    """
    fava: str | None = None
    """A file of prompts: text, one a line; or JSON or JSONL with a column `prompt`."""
    truthfulqa: str | None = None
    """A folder with TruthfulQA.csv (generation) and mc_task.json (multiple choice)."""
    mmlu: str | None = None
    """A folder with test/*_test.csv and, for demonstrations, dev/*_dev.csv."""
    shots: Annotated[int, Field(ge=0)] = 5
    """Demonstrations before each question of mmlu."""
    gsm8k: str | None = None
    """A folder with test.jsonl, of `question` and `answer`."""
    labelled: str | None = None
    """For table 10 of `flame-ray reproduce`: JSONL of responses with people's counts of facts, as `flame-ray agreement --kind
    responses` reads it.
    """
    compare: Literal["ask", "score"] = "ask"
    """How two answers are compared. ask: judge.model is asked which is better, once in each order. score: by judge.backend's
    scores of the two, which a small model can do.
    """
    max_unread: Fraction = 0.05
    """The largest share of comparisons that may end without a result; more are an error."""
