"""The dtype `auto`."""

import pytest

from flame_ray.config import Config
from flame_ray.config.load import changed_settings, parse_config
from flame_ray.config.model import cpu_dtype


@pytest.fixture
def on_cpu(monkeypatch):
    """Sets what the CPU of this machine is found to compute in fast."""

    def set_to(dtype):
        monkeypatch.setattr("flame_ray.config.model.cpu_dtype", lambda: dtype)

    return set_to


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("flags\t\t: fpu sse2 avx2 avx512f avx512_bf16", "bfloat16"),
        ("flags\t\t: fpu amx_bf16 amx_tile", "bfloat16"),
        ("Features\t: fp asimd i8mm bf16", "bfloat16"),
        ("flags\t\t: fpu sse2 avx2 avx512f avx512_vnni", "float32"),
        ("", "float32"),
    ],
)
def test_a_cpu_computes_in_bfloat16_if_it_has_instructions_for_it(tmp_path, flags, dtype):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{flags}\n")
    assert cpu_dtype(cpuinfo) == dtype


def test_where_no_flags_can_be_read_a_cpu_computes_in_float32(tmp_path):
    assert cpu_dtype(tmp_path / "none") == "float32"


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_auto_is_what_the_cpu_computes_in_and_bfloat16_on_a_gpu(on_cpu, dtype):
    on_cpu(dtype)
    config = Config()
    assert (config.model.dtype, config.learner.dtype) == (dtype, dtype)
    config = Config.model_validate({"rollout": {"gpus": 1}, "learner": {"gpus": 1}})
    assert (config.model.dtype, config.learner.dtype) == ("bfloat16", "bfloat16")


def test_a_dtype_that_is_named_stays(on_cpu):
    on_cpu("float32")
    config = Config.model_validate({"model": {"dtype": "float16"}, "learner": {"dtype": "bfloat16"}})
    assert (config.model.dtype, config.learner.dtype) == ("float16", "bfloat16")


@pytest.mark.parametrize("short", ["bfloat16", "float16"])
def test_a_learner_gives_samplers_in_16_bits_weights_that_they_need_not_round(on_cpu, short):
    on_cpu("float32")
    assert Config.model_validate({"model": {"dtype": short}}).learner.dtype == "bfloat16"
    with pytest.raises(ValueError, match=f"learner.dtype float32 needs model.dtype float32 .given {short}"):
        Config.model_validate({"model": {"dtype": short}, "learner": {"dtype": "float32"}})


def test_a_run_keeps_the_dtype_that_it_began_with(on_cpu):
    on_cpu("float32")
    stored = parse_config(Config().model_dump(mode="json"), "a run")
    on_cpu("bfloat16")
    assert parse_config(stored.model_dump(mode="json"), "a run") == stored
    assert changed_settings(stored, Config()) == [
        "learner.dtype: float32 -> bfloat16",
        "model.dtype: float32 -> bfloat16",
    ]


@pytest.mark.parametrize(("checker", "dtype"), [("llm", "bfloat16"), ("lexical", "float32")])
def test_a_verifier_on_a_gpu_computes_in_bfloat16_if_anything_asks_it(on_cpu, checker, dtype):
    on_cpu("float32")
    sections = {"factuality": {"checker": checker}, "verifier": {"gpus": 1}}
    assert Config.model_validate(sections).model.dtype == dtype
