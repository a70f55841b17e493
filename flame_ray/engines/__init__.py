"""The only home of `import vllm` and `import deepspeed`: each engine adapts one library's public API to one of our stages.

Nothing is imported here, so that importing `flame_ray` on a laptop loads neither.
"""
