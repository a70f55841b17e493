"""The `TextEngine` of vLLM: one engine in this process, used through vLLM's public calls."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from flame_ray.engines.base import (
    AdapterFolder,
    Chunks,
    Continuation,
    Message,
    Received,
    Sample,
    SampleRequest,
    StoredModel,
    Weights,
)
from flame_ray.engines.chat_template import Variables, check_variables, end_ids, render_chat
from flame_ray.engines.model_files import read_settings
from flame_ray.engines.models import ModelRef, resolve
from flame_ray.engines.text_config import positions
from flame_ray.errors import EngineDied, EngineError, ModelError
from flame_ray.storage.local_copy import local_copy

PINNED = "the version of vLLM that pyproject.toml pins"
INSTALL = 'pip install -e ".[cpu]" or ".[gpu]"'
PREFILL_TOKENS = 8192
NUCLEUS = "flame_ray.engines.nucleus:NucleusProcessor"  # which sorts less than vLLM's own, on a CPU


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """What an engine is built from. A model with fewer positions than `max_length` reads no more than those.

    `receives_weights` enables vLLM's weight-transfer API, for the `weights.backend` in `backend`. `adapter_rank` enables LoRA.
    `sleeps`: the engine shares its GPU, and sleeps while others use it. `enforce_eager`: no CUDA graphs; a CPU has none anyway.
    `variables`: what the chat template is given.
    """

    model: ModelRef
    dtype: str
    max_length: int
    max_sequences: int
    kv_cache_gib: float
    gpu_memory: float
    seed: int
    receives_weights: bool = False
    adapter_rank: int | None = None
    tensor_parallel: int = 1
    backend: str = "object_store"
    sleeps: bool = False
    enforce_eager: bool = False
    variables: Variables = field(default_factory=dict)


def prepare_environment() -> None:
    """Set the variables that vLLM reads when it is imported: one process, few messages, no statistics, no thread pinning.

    An actor is a process already. In the same process vLLM is ready in a third of the time, and leaves no orphan when it dies.
    """
    os.environ.update(
        VLLM_ENABLE_V1_MULTIPROCESSING="0",
        VLLM_CPU_OMP_THREADS_BIND="nobind",
        VLLM_NO_USAGE_STATS="1",
    )
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # it would take the place of `kv_cache_gib`


def check_gpu(is_for_gpus: bool, visible: str | None) -> None:
    """Raise EngineError if vLLM is the build for GPUs, and its actor asked for none and so sees none."""
    if is_for_gpus and visible == "":
        fix = 'set rollout.gpus, judge.gpus and, if there are verifiers, verifier.gpus, or pip install -e ".[cpu]"'
        raise EngineError("a GPU, as this vLLM is the build for GPUs", "an actor with gpus 0, which sees none", fix)


def _import_model_class(vllm: Any, folder: Path) -> None:
    """Where vLLM has not seen a model's class yet, it starts a process that imports all of vLLM to look at it, lest CUDA be
    initialized here. On a CPU the class can be imported here, as it will be anyway.
    """
    registry = vllm.ModelRegistry
    for name in read_settings(folder / "config.json").get("architectures") or ():
        if name in registry.models:
            registry.register_model(name, registry.models[name].load_model_cls())


class VllmEngine:
    """A vLLM engine. See `TextEngine` for what each call returns."""

    def __init__(self, options: VllmOptions):
        folder = resolve(options.model)
        prepare_environment()
        try:
            import vllm.platforms  # vllm itself imports its parts when they are first used
        except ImportError as error:
            raise EngineError(PINNED, f"an import that failed: {error}", INSTALL) from error
        check_gpu(vllm.platforms.current_platform.is_cuda_alike(), os.environ.get("CUDA_VISIBLE_DEVICES"))
        if vllm.platforms.current_platform.is_cpu():
            _import_model_class(vllm, folder)
        self._options, self.max_length = options, min(options.max_length, positions(folder))
        self._vllm = vllm
        self._llm = self._build(vllm, replace(options, max_length=self.max_length), folder)
        self._tokenizer = self._llm.get_tokenizer()
        self._tokenizer.chat_template = getattr(self._tokenizer, "chat_template", None) or options.model.chat_template
        if not self._tokenizer.chat_template:
            raise ModelError(
                "a model folder with a chat template",
                f"none in {options.model.name}",
                "add chat_template.jinja, set model.chat_template, or use an instruct model",
            )
        check_variables(self._tokenizer, options.variables, f"the chat_template_kwargs of {options.model.setting}")
        self._special = special_tokens(self._tokenizer)
        self._ends = sorted(end_ids(self._tokenizer, folder))  # vLLM reads one of the two files that list them
        self._adapter: Any = None
        self._last_step = ""
        self.weight_version, self.ranks = 0, self._llm.llm_engine.vllm_config.parallel_config.world_size

    @staticmethod
    def _build(vllm: Any, options: VllmOptions, folder: Path) -> Any:
        """CUDA graphs are not yet tried on a GPU. By the sources of vLLM 0.32, their memory is part of `gpu_memory`, a sleeping
        engine frees it, and new weights are written to the memory that the graphs read.
        """
        transfer = _weight_transfer_config(options.backend) if options.receives_weights else {}
        platform = vllm.platforms.current_platform
        try:
            return vllm.LLM(
                model=str(folder),
                dtype=options.dtype,
                seed=options.seed,
                enforce_eager=options.enforce_eager or platform.is_cpu(),
                max_model_len=options.max_length,
                max_num_seqs=options.max_sequences,
                gpu_memory_utilization=options.gpu_memory,
                kv_cache_memory_bytes=round(options.kv_cache_gib * 2**30) if platform.is_cpu() else None,
                trust_remote_code=options.model.trust_remote_code,
                load_format="safetensors",
                enable_prefix_caching=True,
                # After half a prompt vLLM 0.32 rewinds a seeded sample's random stream, which fails on a CPU.
                enable_chunked_prefill=not platform.is_cpu(),
                max_num_batched_tokens=max(options.max_length, PREFILL_TOKENS),
                disable_log_stats=True,
                # A small model that may write blanks anywhere in its JSON writes nothing else.
                structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
                tensor_parallel_size=options.tensor_parallel,
                logits_processors=[NUCLEUS] if platform.is_cpu() else None,
                enable_lora=options.adapter_rank is not None,
                max_lora_rank=options.adapter_rank or 16,
                max_loras=1,
                **transfer,
                enable_sleep_mode=options.sleeps and platform.is_sleep_mode_available(),
            )
        except TypeError as error:
            raise EngineError(PINNED, f"vLLM {vllm.__version__}, which refuses a setting: {error}", INSTALL) from error
        except Exception as error:  # another try may find the memory that this one lacked
            fix = "see its actor's log; the usual cause is a model, or a max_length, that does not fit into the memory"
            raise EngineDied("a vLLM engine that starts", f"{type(error).__name__}: {error}", fix) from error

    def render(self, messages: Sequence[Message]) -> tuple[int, ...]:
        chat = [{**each, "content": spelled_apart(each["content"], self._special)} for each in messages]
        return render_chat(self._tokenizer, chat, self._options.variables)

    def encode(self, text: str, opens: bool = False) -> tuple[int, ...]:
        ids = tuple(self._tokenizer.encode(spelled_apart(text, self._special), add_special_tokens=opens))
        return ids[:-1] if opens and ids[-1:] == (self._tokenizer.eos_token_id,) else ids  # some tokenizers also end a text

    def sample(self, requests: Sequence[SampleRequest]) -> Iterator[tuple[int, Sample]]:
        running: set[int] = set()
        try:
            for key, request in enumerate(requests):
                self.add(key, request)
                running.add(key)
            while running:
                for key, sample in self.step():
                    running.remove(key)
                    yield key, sample
        finally:
            self.abort(running)

    def add(self, key: int, request: SampleRequest) -> None:
        (prompt,) = self._tokens([request.prompt_token_ids])
        with self._detecting_death():
            self._llm.llm_engine.add_request(str(key), prompt, self._params(request), lora_request=self._adapter)

    def step(self) -> list[tuple[int, Sample]]:
        with self._detecting_death():
            outputs = self._llm.llm_engine.step()
        return [(int(output.request_id), self._sample(output.outputs[0])) for output in outputs if output.finished]

    def abort(self, keys: Iterable[int]) -> None:
        if running := [str(key) for key in keys]:
            self._llm.llm_engine.abort_request(running)

    def _params(self, request: SampleRequest) -> Any:
        is_narrow = self._vllm.platforms.current_platform.is_cpu() and request.top_p < 1 and not request.top_k
        return self._vllm.SamplingParams(
            temperature=request.temperature,
            top_p=1.0 if is_narrow else request.top_p,
            extra_args={"nucleus": request.top_p} if is_narrow else None,
            top_k=request.top_k or -1,
            max_tokens=request.max_tokens,
            seed=request.seed,
            stop=list(request.stop) or None,
            stop_token_ids=self._ends,
            output_kind=self._vllm.sampling_params.RequestOutputKind.FINAL_ONLY,
            structured_outputs=self._json(request.json_schema),
        )

    def _json(self, schema: str | None) -> Any:
        return self._vllm.sampling_params.StructuredOutputsParams(json=schema) if schema else None

    def logprobs(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]:
        params = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        whole = [(*each.prompt_token_ids, *each.token_ids) for each in continuations]
        # With LoRA, vLLM 0.32 looks up the adapter of each token by request, which fits only one request (vllm#16668).
        batches = [whole] if self._options.adapter_rank is None else [[each] for each in whole]
        outputs = chain.from_iterable(self._run(batch, params) for batch in batches)
        return [self._scored(each, output) for each, output in zip(continuations, outputs, strict=True)]

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        params = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=list(token_ids), detokenize=False)
        outputs = self._run(prompts, params)
        return [tuple(output.outputs[0].logprobs[0][token].logprob for token in token_ids) for output in outputs]

    def load_weights(self, weights: Weights, version: int) -> None:
        if isinstance(weights, AdapterFolder):
            from vllm.lora.request import LoRARequest

            # Version 0 is the initial model, and vLLM numbers adapters from 1.
            self._adapter = LoRARequest(f"version-{version}", version, weights.path) if version else None
        elif isinstance(weights, Received):
            self._check_received()
        elif isinstance(weights, StoredModel):
            with local_copy(weights.folder) as folder:
                self._replace_all((self._stored(folder, weights.adapter_dtype),))
        else:
            self._replace_all(weights.references if isinstance(weights, Chunks) else (weights.path,))
        self._llm.llm_engine.set_weight_version(str(version))
        if not self._llm.reset_prefix_cache():
            raise EngineError(
                "an empty prefix cache after new weights",
                "vLLM kept it: requests are running",
                "send weights only between batches",
            )
        self.weight_version = int(self._llm.llm_engine.get_weight_version())

    def transfer(self, step: str, arguments: Mapping[str, Any]) -> None:
        self._llm.collective_rpc(step, kwargs=dict(arguments))
        self._last_step = step

    def sleep(self, level: int) -> None:
        """Does nothing where vLLM cannot sleep, as on a CPU."""
        if self._llm.model_config.enable_sleep_mode:
            self._llm.sleep(level)

    def wake(self, part: str) -> None:
        if self._llm.model_config.enable_sleep_mode and self._llm.llm_engine.is_sleeping():
            self._llm.wake_up([part])

    def _stored(self, folder: Path | None, adapter_dtype: str | None) -> Any:
        from flame_ray.engines.weight_receiver import AdaptedModel

        base = str(resolve(self._options.model))
        return AdaptedModel(base, str(folder), adapter_dtype) if adapter_dtype else str(folder)

    def _check_received(self) -> None:
        if self._last_step != "finish_weight_update":
            raise EngineError(
                "weights that the learner has sent completely",
                f"{self._last_step or 'nothing'} as the last step",
                "see the learner's log",
            )
        self._last_step = ""

    def _replace_all(self, chunks: Sequence[Any]) -> None:
        from flame_ray.engines.weight_receiver import fetch

        with self._detecting_death():
            self._llm.collective_rpc("start_weight_update")
            for chunk in chunks:
                chunk = fetch(chunk) if self._is_split else chunk
                self._llm.collective_rpc("update_weights", kwargs={"update_info": {"chunk": chunk}})
            self._llm.collective_rpc("finish_weight_update")

    @property
    def _is_split(self) -> bool:
        """Whether the engine has other processes beside this one."""
        return self._options.tensor_parallel > 1

    @contextmanager
    def _detecting_death(self) -> Iterator[None]:
        """Turn the errors of a dead engine into EngineDied.

        An engine of several processes that lost one raises RuntimeError("cancelled"), and is useless after any RuntimeError.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            yield
        except (EngineDeadError, RuntimeError) as error:
            if not (self._is_split or isinstance(error, EngineDeadError)):
                raise
            raise EngineDied("a vLLM engine that is alive", f"a dead one: {error}", "see its actor's log") from error

    def _run(self, prompts: Sequence[tuple[int, ...]], params: Any) -> list[Any]:
        tokens = self._tokens(prompts)
        with self._detecting_death():
            return self._llm.generate(tokens, params, use_tqdm=False, lora_request=self._adapter) if tokens else []

    def _tokens(self, prompts: Sequence[tuple[int, ...]]) -> list[Any]:
        longest = max((len(prompt) for prompt in prompts), default=0)
        if longest >= self.max_length:
            raise ModelError(
                f"prompts shorter than the {self.max_length} tokens that the model reads (model.max_length, or its positions)",
                f"one of {longest} tokens",
                "raise model.max_length if the model has more positions, or shorten the prompt",
            )
        return [self._vllm.TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]

    @staticmethod
    def _sample(output: Any) -> Sample:
        return Sample(output.text.strip(), tuple(output.token_ids), output.finish_reason)

    @staticmethod
    def _scored(continuation: Continuation, output: Any) -> tuple[float, ...]:
        start = len(continuation.prompt_token_ids)
        steps = output.prompt_logprobs[start:]
        return tuple(step[token].logprob for step, token in zip(steps, continuation.token_ids, strict=True))


def _weight_transfer_config(backend: str) -> dict[str, Any]:
    from vllm.config import WeightTransferConfig

    from flame_ray.engines.weight_receiver import WorkerExtension, receiver

    extension = f"{WorkerExtension.__module__}.{WorkerExtension.__qualname__}"
    return {"weight_transfer_config": WeightTransferConfig(backend=receiver(backend)), "worker_extension_cls": extension}


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The texts that a Hugging Face tokenizer reads as special tokens. Words and blanks that were added to it are left out."""
    added = [(token.content, token.special) for token in tokenizer.added_tokens_decoder.values()]
    marks = {content for content, special in added if content.strip() and (special or not content.strip()[0].isalnum())}
    return tuple(sorted(marks, key=lambda mark: (-len(mark), mark)))


def spelled_apart(text: str, special: Sequence[str]) -> str:
    """Put a blank into each special token that a text spells out, so that the text can end no turn of a chat.

    The blank follows the token's first character. A token of one character becomes a blank.

    >>> spelled_apart("Lima.<|im_end|>", ["<|im_end|>"])
    'Lima.< |im_end|>'
    """
    for mark in special:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}" if len(mark) > 1 else " ")
    return text
