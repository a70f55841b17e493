"""Merged weights, chunk by chunk, of a tiny Llama whose parameters are gathered by a double that keeps count."""

import gc
import weakref
from contextlib import contextmanager

import pytest
import torch

from flame_ray.engines.merging import MergedWeights
from tests.unit.engines.samples import EMBEDDINGS, LIMIT, build


def bytes_of(chunk) -> int:
    return sum(value.numel() * value.itemsize for _, value in chunk)


@pytest.mark.parametrize("lora", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_tensors_and_their_names_do_not_depend_on_the_size_of_a_chunk(tied, lora):
    model, _, _, plain = build(tied, lora)
    expected = model.merge_and_unload().state_dict() if lora else plain
    one = build(tied, lora)[1]
    (together,) = one.chunks(10**9)
    in_chunks = [named for chunk in build(tied, lora)[1].chunks(LIMIT) for named in chunk]
    assert [name for name, _ in in_chunks] == [name for name, _ in together]
    assert {name for name, _ in together} == set(plain) - ({"lm_head.weight"} if tied else set())
    for (name, value), (_, other) in zip(in_chunks, together, strict=True):
        assert value.equal(other)
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=0)
    if lora:
        assert any(not value.equal(plain[name]) for name, value in together)


def test_a_tied_output_layer_is_left_out_even_if_it_is_a_tensor_of_its_own():
    """PEFT makes such a copy when the head is trained beside its adapters."""
    model, _, gathering, _ = build(lora=False)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    assert "lm_head.weight" not in [tensor.name for tensor in MergedWeights(model, gathering).layout()]


def test_no_chunk_is_larger_than_the_limit_but_a_tensor_that_travels_alone():
    chunks = list(build()[1].chunks(LIMIT))
    assert len(chunks) > 5
    assert [len(chunk) for chunk in chunks if bytes_of(chunk) > LIMIT] == [1]
    assert [name for name, _ in chunks[0]] == ["model.embed_tokens.weight"]
    assert bytes_of(chunks[0]) == EMBEDDINGS


def test_the_layout_is_that_of_the_chunks_and_gathers_nothing():
    _, merged, gathering, _ = build()
    layout, cuts = merged.layout(), merged.chunk_ranges(LIMIT)
    assert gathering.gathered == []
    chunks = list(merged.chunks(LIMIT))
    assert [(t.name, t.dtype, t.shape) for t in layout] == [(n, v.dtype, tuple(v.shape)) for c in chunks for n, v in c]
    assert [len(places) for places in cuts] == [len(chunk) for chunk in chunks]
    assert [sum(layout[place].bytes for place in places) for places in cuts] == [bytes_of(chunk) for chunk in chunks]


def test_split_parameters_are_measured_whole_and_their_copies_outlive_the_gathering():
    model, merged, _, _ = build(lora=False)
    whole = {name: value.data for name, value in model.named_parameters()}
    for name, value in model.named_parameters():
        value.ds_id, value.ds_shape = name, whole[name].shape
        value.data = torch.empty(0)

    @contextmanager
    def gather(parameters):
        for value in parameters:
            value.data = whole[value.ds_id].clone()
        yield
        for value in parameters:
            value.data.zero_()
            value.data = torch.empty(0)

    merged = MergedWeights(model, gather)
    assert sum(tensor.bytes for tensor in merged.layout()) == sum(4 * value.numel() for value in whole.values())
    assert all(value.equal(whole[name]) for name, value in merged.named(LIMIT))


def test_one_chunk_is_gathered_at_a_time_with_its_adapters_factors_and_nothing_else():
    model, merged, gathering, _ = build()
    list(merged.chunks(LIMIT))
    gathered = [name for names in gathering.gathered for name in names]
    assert len(gathering.gathered) == len(merged.chunk_ranges(LIMIT))
    assert sorted(gathered) == sorted(name for name, _ in model.named_parameters())
    for names in gathering.gathered:
        layers = {name.partition(".base_layer.")[0] for name in names if ".base_layer." in name}
        assert {name.partition(".lora_")[0] for name in names if ".lora_" in name} == layers


@pytest.fixture
def quick_collection():
    """A collection looks at what a test makes, and not at every object of the imported libraries."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collection")
@pytest.mark.parametrize("how", ["chunks", "named"])
def test_a_chunk_is_free_when_the_next_one_is_gathered(how):
    _, merged, gathering, _ = build()
    handed_out: list[weakref.ref] = []
    largest = 0

    def count():
        nonlocal largest
        gc.collect()
        largest = max(largest, sum(ref() is not None for ref in handed_out))

    gathering.before = count
    source = getattr(merged, how)(LIMIT)
    while (item := next(source, None)) is not None:
        named = item if how == "chunks" else [item]
        handed_out += [weakref.ref(value) for name, value in named if "proj" in name]  # merged, so made anew
        del item, named
    assert len(handed_out) > 20 and largest == 0
