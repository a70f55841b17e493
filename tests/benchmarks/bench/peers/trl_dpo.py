"""The learner's peer: TRL's DPOTrainer on the given pairs. Runs in the peers' environment."""

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from tests.benchmarks.bench.channel import Channel
from tests.benchmarks.bench.peers.trainer_turns import Turns, arguments
from tests.benchmarks.bench.work import BATCH_PAIRS, BETA, LORA_ALPHA, LORA_RANK, MAX_LENGTH, Work


def main() -> None:
    channel, work = Channel(), Work.given()
    pairs = load_dataset("json", data_files=str(work.pairs), split="train", cache_dir=f"{work.folder}/datasets")
    trainer = DPOTrainer(
        AutoModelForCausalLM.from_pretrained(work.model, dtype=getattr(torch, work.dtype)),
        args=DPOConfig(**arguments(work, "trl-dpo"), beta=BETA, max_length=MAX_LENGTH),
        train_dataset=pairs,
        processing_class=AutoTokenizer.from_pretrained(work.model),
        peft_config=LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Turns(channel, len(pairs) // BATCH_PAIRS)],
    )
    trainer.train()


if __name__ == "__main__":
    main()
