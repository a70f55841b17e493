"""The loop's peer: TRL's OnlineDPOTrainer, whose reward is a trivial function. Runs in the peers' environment."""

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from tests.benchmarks.bench.channel import Channel
from tests.benchmarks.bench.peers.trainer_turns import Turns, arguments
from tests.benchmarks.bench.work import BATCH_PAIRS, BETA, LORA_ALPHA, LORA_RANK, MAX_LENGTH, TEMPERATURE, TOKENS, Work


def length(prompts, completions, completion_ids, **others) -> list[float]:
    """The reward: it costs nothing."""
    return [float(len(ids)) for ids in completion_ids]


def main() -> None:
    channel, work = Channel(), Work.given()
    texts = work.prompt_texts()[: work.prompts]
    sampled = {"max_new_tokens": TOKENS, "temperature": TEMPERATURE, "top_p": 1.0, "top_k": 0}
    trainer = OnlineDPOTrainer(
        AutoModelForCausalLM.from_pretrained(work.model, dtype=getattr(torch, work.dtype)),
        reward_funcs=length,
        args=OnlineDPOConfig(**arguments(work, "trl-online"), **sampled, beta=[BETA], max_length=MAX_LENGTH),
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": text}]} for text in texts]),
        processing_class=AutoTokenizer.from_pretrained(work.model, padding_side="left"),
        peft_config=LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Turns(channel, len(texts) // BATCH_PAIRS)],
    )
    trainer.train()


if __name__ == "__main__":
    main()
