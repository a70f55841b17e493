"""What vLLM is started with and asked for, with a double of the library; on the real one it is tested in tests/integration."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flame_ray.config import ModelConfig
from flame_ray.engines.base import Sample, SampleRequest
from flame_ray.engines.models import ModelRef, load_tokenizer
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.errors import ModelError

OPTIONS = VllmOptions(ModelRef("/model"), "float32", 64, 8, 1.0, 0.8, seed=0)


class FakeLlmEngine:
    """Finishes the newest request at each step."""

    def __init__(self) -> None:
        self.running: dict[str, Any] = {}
        self.asked: list[SimpleNamespace] = []

    def add_request(self, request_id: str, prompt: Any, params: SimpleNamespace, lora_request: Any) -> None:
        self.running[request_id] = params
        self.asked.append(params)

    def step(self) -> list[SimpleNamespace]:
        request_id, _ = self.running.popitem()
        text = SimpleNamespace(text=f" answer {request_id}", token_ids=[3, 4], finish_reason="stop")
        return [SimpleNamespace(request_id=request_id, finished=True, outputs=[text])]

    def abort_request(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            self.running.pop(request_id)


def fake_vllm(cpu: bool) -> Any:
    """Only what the engine reads. `LLM` keeps what it was built with."""
    platform = SimpleNamespace(is_cpu=lambda: cpu, is_sleep_mode_available=lambda: not cpu)
    return SimpleNamespace(
        LLM=lambda **built: SimpleNamespace(built=SimpleNamespace(**built), llm_engine=FakeLlmEngine()),
        platforms=SimpleNamespace(current_platform=platform),
        ModelRegistry=SimpleNamespace(models={}),
        SamplingParams=lambda **params: SimpleNamespace(**params),
        TokensPrompt=lambda **prompt: prompt,
        sampling_params=SimpleNamespace(RequestOutputKind=SimpleNamespace(FINAL_ONLY="final")),
    )


def engine(options: VllmOptions = OPTIONS) -> VllmEngine:
    """As its constructor leaves it, but for the library."""
    made = VllmEngine.__new__(VllmEngine)
    made._options, made._vllm, made._adapter = options, fake_vllm(cpu=True), None
    made.max_length = options.max_length
    made._llm, made._ends = made._vllm.LLM(), [2, 7]
    return made


@pytest.mark.parametrize(
    ("cpu", "asked", "eager", "chunked"),
    [(False, False, False, True), (False, True, True, True), (True, False, True, False)],
    ids=["a GPU has CUDA graphs", "unless they are turned off", "a CPU has none"],
)
def test_cuda_graphs_and_prompts_in_chunks_are_for_gpus(cpu, asked, eager, chunked):
    built = VllmEngine._build(fake_vllm(cpu), replace(OPTIONS, enforce_eager=asked), Path("model")).built
    assert (built.enforce_eager, built.enable_chunked_prefill) == (eager, chunked)


@pytest.mark.parametrize(("asked", "reads"), [(48, 48), (2048, 64)])
def test_an_engine_reads_no_more_than_the_positions_of_its_model(folder, add_tokenizer, monkeypatch, asked, reads):
    """vLLM refuses to start with more, and its pool would try again and then speak of memory."""
    add_tokenizer(folder)
    library = fake_vllm(cpu=True)
    library.platforms.current_platform.is_cuda_alike = lambda: False
    one = SimpleNamespace(vllm_config=SimpleNamespace(parallel_config=SimpleNamespace(world_size=1)))
    tokenizer, built = load_tokenizer(folder, ModelConfig()), {}
    library.LLM = lambda **given: built.update(given) or SimpleNamespace(llm_engine=one, get_tokenizer=lambda: tokenizer)
    monkeypatch.setitem(sys.modules, "vllm", library)
    monkeypatch.setitem(sys.modules, "vllm.platforms", library.platforms)
    made = VllmEngine(replace(OPTIONS, model=ModelRef(str(folder), str(folder)), max_length=asked))
    assert made.max_length == built["max_model_len"] == reads
    with pytest.raises(ModelError, match=f"prompts shorter than the {reads} tokens .* its positions"):
        made.add(0, SampleRequest((3,) * reads, 1))


@pytest.mark.parametrize("trusts", [False, True])
def test_vllm_runs_the_code_of_a_model_only_where_the_settings_trust_it(trusts):
    options = replace(OPTIONS, model=replace(OPTIONS.model, trust_remote_code=trusts))
    assert VllmEngine._build(fake_vllm(cpu=True), options, Path("model")).built.trust_remote_code is trusts
    assert OPTIONS.model.trust_remote_code is False


def test_samples_come_by_their_keys_and_nothing_is_asked_of_vllm_that_nobody_reads():
    """The log-probability of each sampled token costs a third of the speed on a CPU."""
    made = engine()
    found = dict(made.sample([SampleRequest((1, 2), 16, seed=seed) for seed in range(3)]))
    assert found == {key: Sample(f"answer {key}", (3, 4), "stop") for key in range(3)}
    asked = made._llm.llm_engine.asked
    assert [params.seed for params in asked] == [0, 1, 2]
    assert all(getattr(params, "logprobs", None) is None and params.output_kind == "final" for params in asked)


def test_every_request_stops_at_each_end_of_text_token_of_the_model():
    made = engine()
    dict(made.sample([SampleRequest((1, 2), 16, stop=("\n",), seed=0)]))
    (params,) = made._llm.llm_engine.asked
    assert (params.stop_token_ids, params.stop) == ([2, 7], ["\n"])


@pytest.mark.parametrize(("top_k", "cpu", "is_ours"), [(0, True, True), (50, True, False), (0, False, False)])
def test_the_nucleus_is_found_without_sorting_on_a_cpu_unless_top_k_comes_first(top_k, cpu, is_ours):
    made = engine()
    made._vllm = fake_vllm(cpu)
    params = made._params(SampleRequest((1,), 16, top_p=0.9, top_k=top_k, seed=0))
    assert (params.top_p, params.extra_args) == ((1.0, {"nucleus": 0.9}) if is_ours else (0.9, None))
    assert made._params(SampleRequest((1,), 16, top_p=1.0, seed=0)).extra_args is None
    assert bool(VllmEngine._build(fake_vllm(cpu), OPTIONS, Path("model")).built.logits_processors) == cpu


def test_requests_may_be_added_between_the_steps_of_others():
    made = engine()
    made.add(7, SampleRequest((1,), 16))
    made.add(8, SampleRequest((1,), 16))
    assert [key for key, _ in made.step()] == [8]
    made.add(9, SampleRequest((1,), 16))
    assert [key for _ in range(2) for key, _ in made.step()] == [9, 7]


def test_what_is_not_read_to_its_end_is_dropped():
    made = engine()
    samples = made.sample([SampleRequest((1,), 16), SampleRequest((1,), 16)])
    next(samples)
    samples.close()
    assert not made._llm.llm_engine.running
