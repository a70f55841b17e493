"""The sampler's peer: vLLM called directly with the same requests. It is the vLLM of flame-ray's own environment.

... vllm_alone TOP_P
"""

import os
import sys
import time

from tests.benchmarks.bench.channel import Channel, serve
from tests.benchmarks.bench.samples import Measured, Turn
from tests.benchmarks.bench.work import KV_CACHE_GIB, MAX_LENGTH, MAX_SEQUENCES, SAMPLES, SEED, TEMPERATURE, TOKENS, Work

ROOM = 8192  # tokens of a step, as flame-ray gives it


def main() -> None:
    channel, work, top_p = Channel(), Work.given(), float(sys.argv[2])
    os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_OMP_THREADS_BIND="nobind", VLLM_NO_USAGE_STATS="1")
    os.environ.update(OMP_NUM_THREADS=str(work.threads), VLLM_LOGGING_LEVEL="ERROR")
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=work.model,
        dtype=work.dtype,
        seed=SEED,
        enforce_eager=True,
        max_model_len=MAX_LENGTH,
        max_num_seqs=MAX_SEQUENCES,
        max_num_batched_tokens=ROOM,
        kv_cache_memory_bytes=round(KV_CACHE_GIB * 2**30),
        enable_prefix_caching=True,
        enable_chunked_prefill=False,
        disable_log_stats=True,
    )
    render = engine.get_tokenizer().apply_chat_template

    def turn(number: int) -> Turn:
        common = {"temperature": TEMPERATURE, "top_p": top_p, "max_tokens": TOKENS}
        chats = [[{"role": "user", "content": text}] for text in work.turn_texts(number)]
        first = (number + 1) * SAMPLES * len(chats)
        seeds = range(first, first + SAMPLES * len(chats))
        start = time.perf_counter()
        rendered = [render(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
        requests = [{"prompt_token_ids": tokens} for tokens in rendered for _ in range(SAMPLES)]
        found = engine.generate(requests, [SamplingParams(**common, seed=seed) for seed in seeds], use_tqdm=False)
        took = time.perf_counter() - start
        return {"tokens": Measured(sum(len(each.outputs[0].token_ids) for each in found) / took, "tokens/s")}

    turn(-1)
    serve(channel, turn)


if __name__ == "__main__":
    main()
