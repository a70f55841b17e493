"""`flame-ray sft` on the real parts: what it leaves, and how it goes on after a kill."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from flame_ray.config import DemonstrationSource, LearnerConfig, ModelConfig
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.text_config import Longest
from flame_ray.learner.demonstrations import demonstration_examples
from flame_ray.prompts.demonstrations import load_demonstrations
from tests.integration.chaos.harness import ChaosRun
from tests.integration.runs import REPOSITORY, words_of
from tests.integration.slow_sft import slow_sft

SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
LEARNED = {"lr": 1e-3, "lr_final": 1e-4, "batch_pairs": 4, "micro_batch_pairs": 2, "epochs": 4}
SEED = 7  # of jobs/sft.yaml
TINY = {
    "cluster.address": "local",
    "cluster.dashboard": "false",
    "model.dtype": "float32",
    "learner.dtype": "float32",
    "model.chat_template": "plain",
    "learner.lora": "null",
    "sft.fact_based": "human",
    "learner.checkpoint_steps": "1",
} | {f"learner.{name}": str(value) for name, value in LEARNED.items()}


@dataclass
class SftRun(ChaosRun):
    """A fine-tuning, which is killed and goes on as a run is."""

    def start(self, resume: bool = False) -> None:
        settings = self.settings | {"run.root": str(self.root)} | ({} if resume else {"run.id": self.id})
        command = [sys.executable, "-m", "flame_ray", "sft", "jobs/sft.yaml", *words_of(settings)]
        self.log = (self.root / f"{self.id}.log").open("a+")
        self.driver = subprocess.Popen(
            [*command, *(["--resume", self.id] if resume else [])],
            cwd=REPOSITORY,
            env={key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def words_model(tmp_path_factory):
    """A tiny random Llama of whole words, without a chat template."""
    folder = tmp_path_factory.mktemp("words")
    rows = [json.loads(line) for line in (REPOSITORY / "flame_ray/prompts/seed_answers.jsonl").read_text().splitlines()]
    texts = " ".join(f"{row['prompt']} {row['answer']}" for row in rows).split()
    vocabulary = {word: place for place, word in enumerate(["<unk>", "</s>", *dict.fromkeys(texts)])}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(vocabulary), num_key_value_heads=2, initializer_range=0.2, eos_token_id=1, **SHAPE)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_killed_fine_tuning_goes_on_to_the_losses_and_weights_of_a_slow_loop_that_nothing_disturbed(tmp_path, words_model):
    run = SftRun(tmp_path, "killed", TINY | {"model.policy": str(words_model)})
    run.start()
    try:
        run.kill_driver("training", lambda: any(run.folder.glob("checkpoints/round-0001/steps/000005")))
        run.start(resume=True)
        assert run.finish() == 0, run.printed
    finally:
        run.end()
    seeds = load_demonstrations([DemonstrationSource(source="seeds", label_column="facts")]).demonstrations
    chat = ChatTokenizer(words_model, ModelConfig(chat_template="plain"))
    examples = demonstration_examples(seeds, chat, Longest("model.max_length", 1024, 8192), 0.0).examples_D
    expected = slow_sft(words_model, examples, LearnerConfig(**LEARNED, loss="nll", lora=None), SEED)
    summary = run.summary
    assert (summary["status"], summary["examples"]["by_source"]) == ("complete", {"seeds": 48})
    assert summary["training"]["loss_by_step"] == pytest.approx(expected.losses, abs=1e-4)
    assert len(expected.losses) == 48 and expected.losses[-1] < expected.losses[0]
    merged = AutoModelForCausalLM.from_pretrained(summary["model"], dtype=torch.float32).state_dict()
    for name, value in merged.items():
        torch.testing.assert_close(value, expected.weights[name], atol=1e-4, rtol=1e-3, msg=name)
    assert ChatTokenizer(run.folder / "checkpoints/round-0001/merged", ModelConfig()).prompt("Why?") == chat.prompt("Why?")


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_job_runs_from_its_seeds_to_a_model_that_vllm_serves(tmp_path, model):
    """Classified and elicited by SmolLM2 itself; what it saved samples in vLLM."""
    small = {"sft.elicit.samples": "2", "sft.elicit.max_tokens": "64", "learner.steps": "4", "classify.by": "model"}
    small |= {"cluster.address": "local", "cluster.dashboard": "false"}
    run = SftRun(tmp_path, "whole", small)
    run.start()
    try:
        assert run.finish() == 0, run.printed
    finally:
        run.end()
    summary = run.summary
    asked, kept = summary["elicited"]["instructions"], summary["elicited"]["answers"]
    assert asked == summary["seeds"]["fact_based"] and 10 <= asked <= 38
    assert kept + sum(summary["elicited"]["left_out"].values()) == 2 * asked
    assert summary["examples"]["by_source"] == {"seeds": 48 - asked, "elicited": kept}
    rows = run.table("0001/demonstrations.parquet")
    assert {row["source"] for row in rows if row["fact_based"]} == {"elicited"}
    assert not any("### " in row["answer"] for row in rows)
    served = "import sys; from tests.integration.test_sft import sample; sample(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", served, summary["model"]], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and len(done.stdout.split()) > 3, done.stderr[-2000:]


def sample(folder: str) -> None:
    """Print a greedy answer of a model, in a process of its own."""
    from flame_ray.engines.base import SampleRequest
    from flame_ray.engines.models import reference
    from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions

    engine = VllmEngine(VllmOptions(reference(folder), "float32", 256, 4, 1.0, 0.8, seed=0))
    prompt = engine.render([{"role": "user", "content": "What is the largest planet?"}])
    ((_, found),) = engine.sample([SampleRequest(prompt, max_tokens=32)])
    print(found.text)  # noqa: T201
