"""flame-ray aligns language models to facts, online, on Ray, vLLM and DeepSpeed (FLAME, arXiv 2405.01525).

The data flows one way:

    prompts -> classify -> rollout (vLLM) -> rewards -> pairs -> learner (DeepSpeed) -> weights -> evaluate -> report
                                              |- factuality: sentences -> facts -> retrieve -> rerank -> check
                                              |- instruction following: judge

`round.py` is this loop, `types/` holds the records that travel along it, and `config/` holds the settings of each stage.

A name that ends in capital letters gives its shape: `responses_PG` are G responses to each of P prompts.

    P  prompts                   K  passages of evidence
    G  responses to a prompt     D  preference pairs; 2D: their chosen, then their rejected sides
    S  sentences of a response   N  sequences of a batch
    F  facts of a response       T  tokens

Importing this package loads neither torch, vllm, deepspeed nor ray.
"""

from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.errors import FlameError

__all__ = ["Config", "FlameError", "load_config"]
__version__ = "0.1.0"
