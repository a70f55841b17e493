"""The tensor file that is written as its tensors come."""

import weakref

import torch
from safetensors import safe_open

from flame_ray.engines.zero_state import write_tensors

TENSORS = {
    "matrix": torch.randn(3, 5, generator=torch.Generator().manual_seed(0)),
    'a name with "quotes" and é': torch.tensor([1.5]),
    "number": torch.tensor(2.5),
    "empty": torch.empty(0, 4),
    "turned": torch.arange(6.0).view(2, 3).T,
    "half": torch.tensor([0.1, 0.2], dtype=torch.bfloat16),
}


def shapes(tensors):
    return {name: tuple(value.shape) for name, value in tensors.items()}


def test_safetensors_reads_what_was_written_with_its_metadata(tmp_path):
    write_tensors(tmp_path / "file", shapes(TENSORS), iter(TENSORS.values()), {"adam_steps": "7"})
    with safe_open(tmp_path / "file", "pt") as file:
        assert set(file.keys()) == set(TENSORS)
        assert file.metadata() == {"adam_steps": "7"}
        for name, value in TENSORS.items():
            assert torch.equal(file.get_tensor(name), value.float())


def test_no_tensor_is_kept_once_the_next_one_is_asked_for(tmp_path):
    seen = []

    def values():
        for number in range(4):
            value = torch.full((1000,), float(number))
            seen.append(weakref.ref(value))
            yield value
            del value
            assert not any(tensor() is not None for tensor in seen[:-1])

    write_tensors(tmp_path / "file", {str(number): (1000,) for number in range(4)}, values(), {})
    assert len(seen) == 4
