"""The settings of the one whole run that others must equal, and what is left of a run."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.integration.listening import Listener

REPOSITORY = Path(__file__).resolve().parents[2]
# In float32, where a sample does not depend on what else is in its batch: a run that loses workers samples in other batches,
# and in bfloat16 about one response in some hundred would then differ.
REFERENCE = {
    "model.dtype": "float32",
    "run.rounds": "2",
    "run.save_merged": "true",
    "run.select": "last",  # there are no development prompts among so few
    "prompts.sources": "[{source: factbook, heldout_limit: 4}, {source: open-ended, heldout_limit: 2}]",
    "prompts.per_round": "6",
    "rollout.workers": "2",
    "rollout.samples": "4",
    "rollout.max_tokens": "48",  # with fewer, most answers are cut off, and these are never chosen
    "rollout.batch_sequences": "12",
    "rollout.kv_cache_gib": "0.25",  # other tests run beside it, and all must fit into the memory
    "judge.kv_cache_gib": "0.25",
    "learner.workers": "2",
    "learner.batch_pairs": "2",
    "learner.micro_batch_pairs": "1",
    "learner.checkpoint_steps": "1",
    "cluster.dashboard": "false",
}


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well: what it printed, its folder, and the sockets that listened while it ran."""

    printed: str
    folder: Path
    listening: frozenset[Listener]

    @property
    def shown(self) -> str:
        """What it printed, without the lines that only say that a stage goes on."""
        return "".join(line for line in self.printed.splitlines(keepends=True) if " s  goes on" not in line)

    @property
    def summary(self) -> dict:
        return json.loads((self.folder / "summary.json").read_text())

    def table(self, name: str) -> list[dict]:
        return pq.read_table(self.folder / "rounds" / name).to_pylist()


def words_of(settings: dict[str, str]) -> list[str]:
    """As words of a command line."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def assert_merged(folder: Path, model: Path) -> None:
    """The last round's merged model is its adapter on the initial model, in the learner's bfloat16, and not the initial one."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    checkpoint = folder / "checkpoints" / "round-0002"
    assert AutoTokenizer.from_pretrained(checkpoint / "merged").chat_template
    merged = AutoModelForCausalLM.from_pretrained(checkpoint / "merged", dtype=torch.float32).state_dict()
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    initial = {name: weight.clone() for name, weight in base.state_dict().items()}
    expected = PeftModel.from_pretrained(base, checkpoint / "adapter").merge_and_unload().state_dict()
    for name, weight in merged.items():
        torch.testing.assert_close(weight, expected[name].bfloat16().float(), rtol=2**-7, atol=1e-6, msg=name)
    assert any(not torch.equal(weight, initial[name]) for name, weight in merged.items()), "the adapter must not be empty"
