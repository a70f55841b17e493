"""flame-ray: factuality-aware alignment (FLAME, arXiv 2405.01525), online, on Ray, vLLM and DeepSpeed.

The data flows one way, and the tree follows it:

    prompts -> classify -> rollout (vLLM) -> rewards -> pairs -> learner (DPO, DeepSpeed) -> weights -> evaluate -> report
                                              |- factuality: sentences -> facts -> retrieve -> check
                                              |- instruction following: judge

`round.py` is the algorithm; `types.py` the records that travel; `config/` the settings. Shapes in names:
P prompts, G responses a prompt, S sentences, F facts, K passages, D pairs, T tokens. Importing this package loads
neither torch, vllm, deepspeed nor ray.
"""

from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.errors import FlameError

__all__ = ["Config", "FlameError", "load_config"]
__version__ = "0.1.0"
