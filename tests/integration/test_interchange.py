"""What a run leaves is what other libraries take: its adapter in plain peft and in plain vLLM, its pairs in TRL's trainer."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from flame_ray.engines.models import SMOLLM2, UPSTREAM
from tests.integration.runs import FinishedRun

TRL = "trl==1.16.0"
ANSWERS = 3
ADAPTER = "checkpoints/round-0002/adapter"

IN_PEFT = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

model, adapter, out = sys.argv[1:]
base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
torch.save(PeftModel.from_pretrained(base, adapter).eval()(torch.arange(2, 34)[None]).logits.detach(), out)
"""

IN_VLLM = """
import json, sys
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest

model, adapter, prompts, max_tokens = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
llm = LLM(model, dtype="float32", enforce_eager=True, max_model_len=512, max_num_seqs=4, kv_cache_memory_bytes=2**28,
          enable_lora=True, max_lora_rank=64, enable_chunked_prefill=False, max_num_batched_tokens=2048, disable_log_stats=True)
chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
greedy = SamplingParams(temperature=0.0, max_tokens=max_tokens)
found = llm.chat(chats, greedy, lora_request=LoRARequest("trained", 1, adapter), use_tqdm=False)
print("ANSWERS", json.dumps([each.outputs[0].text for each in found]))
"""

IN_TRL = """
import json, sys
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

model, pairs, out = sys.argv[1:]
config = DPOConfig(out, max_steps=1, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to="none")
trainer = DPOTrainer(
    AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
    args=config,
    train_dataset=load_dataset("json", data_files=pairs, split="train"),
    processing_class=AutoTokenizer.from_pretrained(model),
)
print("TRAINED", json.dumps([len(trainer.train_dataset), trainer.train().training_loss]))
"""


def said(script: str, mark: str, *words: object, **variables: str) -> object:
    """What a script prints after `mark`, in a process that knows nothing of flame-ray."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **variables}
    command = [sys.executable, "-c", script, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(mark)]
    return json.loads(line.removeprefix(mark))


def test_an_adapter_of_the_learners_module_gives_its_logits_in_plain_peft(model, tmp_path):
    import torch

    from flame_ray.config import LearnerConfig, LoraConfig
    from flame_ray.engines.models import ModelRef
    from flame_ray.engines.policy import adapter_weights, load_policy, write_adapter

    module = load_policy(ModelRef(SMOLLM2), LearnerConfig(lora=LoraConfig(), dtype="float32")).eval()
    torch.manual_seed(7)
    for name, value in module.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.02)
    adapter, out = tmp_path / "adapter", tmp_path / "logits.pt"
    adapter.mkdir()
    write_adapter(module, adapter_weights(module, lambda parameters: nullcontext()), adapter, ModelRef(SMOLLM2))
    done = subprocess.run([sys.executable, "-c", IN_PEFT, model, adapter, out], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    with torch.no_grad(), module.disable_adapter():
        initial = module(torch.arange(2, 34)[None]).logits
    with torch.no_grad():
        expected = module(torch.arange(2, 34)[None]).logits
    assert (expected - initial).abs().max() > 0.1, "the adapter must change the model"
    torch.testing.assert_close(torch.load(out), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_each_model_of_a_run_has_a_card_a_lineage_and_a_base_that_others_find(tiny_run, kind):
    for round in (1, 2):
        folder = tiny_run.folder / f"checkpoints/round-000{round}" / kind
        card, lineage = ModelCard.load(folder / "README.md"), json.loads((folder / "lineage.json").read_text())
        assert (card.data.base_model, card.data.license) == (UPSTREAM, "apache-2.0")
        assert (lineage["run"], lineage["round"]) == ("tiny", round)
        assert lineage["heldout"][0]["value"]["n"] and lineage["command"].startswith(
            ("flame-ray run", "python -m flame_ray run")
        )
        assert [each["round"] for each in lineage["ancestors"]] == list(range(1, round))[-1:]
        assert str(Path.home()) not in (folder / "README.md").read_text().replace(str(tiny_run.folder.parent), "")


def test_a_runs_adapter_answers_in_plain_vllm_as_in_the_run(tiny_run: FinishedRun, model):
    adapter = tiny_run.folder / ADAPTER
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == UPSTREAM
    texts = {
        row["prompt_id"]: row["text"] for row in tiny_run.table("0000/heldout_prompts.parquet") if row["split"] == "heldout"
    }
    expected = [(texts[row["prompt_id"]], row["text"]) for row in tiny_run.table("0002/heldout_responses.parquet")][:ANSWERS]
    variables = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
    prompts = json.dumps([prompt for prompt, _ in expected])
    assert said(IN_VLLM, "ANSWERS", model, adapter, prompts, 48, **variables) == [answer for _, answer in expected]


@pytest.fixture(scope="session")
def trl(tmp_path_factory) -> Path:
    """TRL alone, in a folder of its own: the rest of what it needs is what flame-ray needs."""
    target = tmp_path_factory.mktemp("trl")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, TRL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"{TRL} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return target


@pytest.mark.long
def test_the_pairs_of_a_run_train_in_trls_trainer_as_they_are(tiny_run, model, trl, tmp_path, flame):
    pairs = tmp_path / "pairs.jsonl"
    assert flame("pairs", tiny_run.folder, "--out", pairs, folder=tmp_path).returncode == 0
    rows, loss = said(IN_TRL, "TRAINED", model, pairs, tmp_path / "out", PYTHONPATH=str(trl))
    assert rows == len(pairs.read_text().splitlines()) > 0
    assert loss == pytest.approx(0.6931, abs=1e-3), "before the first step, policy and reference are one model"
