"""Merged weights, chunk by chunk, of a tiny Llama whose parameters are gathered by a double that keeps count."""

import gc
import weakref
from contextlib import contextmanager

import pytest
import torch

from flame_ray.engines.merging import Kept, MergedWeights, exact_sums, merged_tensors, rounded
from flame_ray.engines.models import ModelRef
from flame_ray.engines.policy import adapter_weights, write_adapter
from tests.unit.engines.samples import EMBEDDINGS, LIMIT, SHAPE, build


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_saved_adapter_merged_into_the_checkpoint_gives_the_learners_own_numbers(dtype, tmp_path):
    """A sampler that joins in the middle of a round has nothing else to load."""
    model, _, gathering, plain = build()
    model = model.to(dtype)
    write_adapter(model, adapter_weights(model, gathering), tmp_path, ModelRef("base"))
    learners = list(MergedWeights(model, gathering).named(LIMIT))
    checkpoint = [(name, plain[name]) for name, _ in learners]
    found = list(merged_tensors(checkpoint, tmp_path, dtype))
    assert [name for name, _ in found] == [name for name, _ in learners]
    assert all(
        value.equal(expected) and value.dtype == dtype for (_, value), (_, expected) in zip(found, learners, strict=True)
    )
    assert sum(not value.equal(plain[name].to(dtype)) for name, value in found) == 7 * SHAPE["num_hidden_layers"]


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


# Rounding to bfloat16


def test_a_number_becomes_one_of_its_two_neighbours_and_the_mean_of_many_is_the_number_itself():
    step = 2**-7  # between two bfloat16 numbers from 1 to 2
    for part, sign in ((0.5, 1), (0.1, -1), (0.003, 1)):
        exact = torch.full((200_000,), sign * (1 + part * step))
        found = rounded(exact, torch.bfloat16, seed=1).float()
        assert set(found.tolist()) == {sign * 1.0, sign * (1 + step)}
        up = (found.abs() > 1).float().mean().item()
        assert up == pytest.approx(part, abs=4 * (part * (1 - part) / len(exact)) ** 0.5)


def test_a_number_that_bfloat16_has_stays_itself_and_float32_is_never_rounded():
    exact = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    held = exact.to(torch.bfloat16)
    assert rounded(held.float(), torch.bfloat16, seed=3).equal(held)
    assert rounded(exact, torch.float32, seed=3).equal(exact)


def sums_in_float32(model) -> dict[str, torch.Tensor]:
    """Base and update of each layer with an adapter, in float32."""
    sums = {}
    for name, layer in model.named_modules():
        if hasattr(layer, "lora_A"):
            update = layer.lora_B["default"].weight.float() @ layer.lora_A["default"].weight.float() * layer.scaling["default"]
            sums[f"{name.removeprefix('base_model.model.')}.weight"] = (layer.base_layer.weight.float() + update).detach()
    return sums


def small_update() -> tuple[torch.nn.Module, MergedWeights]:
    """An adapter in bfloat16 whose update is about a thirtieth of a step of the weights, as a low rate makes them."""
    model, merged, _, _ = build()
    model.to(torch.bfloat16)
    for name, value in model.named_parameters():
        if ".lora_B." in name:
            value.data *= 3e-5
    return model, merged


def test_an_update_smaller_than_half_a_step_arrives_whole_on_average():
    """Rounded to the nearest number, next to nothing of it arrives."""
    model, merged = small_update()
    arrived = dict(merged.named(10**9))
    nearest = {name: value.to(torch.bfloat16) for name, value in sums_in_float32(model).items()}
    assert merged.kept(lambda name: nearest.get(name, arrived[name]), LIMIT).share < 0.5
    kept = merged.kept(arrived.__getitem__, LIMIT)
    assert abs(kept.share - 1) < 3 * kept.error < 0.9 and kept.is_whole  # so few numbers round by chance


def test_the_same_adapter_always_gives_the_same_weights_and_every_layer_draws_its_own_numbers():
    first, again, in_chunks = (dict(small_update()[1].named(limit)) for limit in (10**9, 10**9, LIMIT))
    assert all(value.equal(again[name]) and value.equal(in_chunks[name]) for name, value in first.items())
    exact = torch.full((4000,), 1 + 2**-8)
    assert not rounded(exact, torch.bfloat16, seed=1).equal(rounded(exact, torch.bfloat16, seed=2))


def test_weights_without_an_update_or_with_another_frozen_tensor_are_told_from_whole_ones():
    _, merged, _, plain = build()
    right = dict(merged.named(LIMIT))
    assert merged.kept(right.__getitem__, LIMIT) == Kept(pytest.approx(1.0, abs=1e-6), pytest.approx(0.0, abs=1e-6), ())
    assert merged.kept(plain.__getitem__, LIMIT).share == 0.0
    assert not merged.kept(plain.__getitem__, LIMIT).is_whole
    norm = "model.norm.weight"
    assert merged.kept(lambda name: right[name] + (name == norm), LIMIT).unequal == (norm,)
    assert merged.kept(None, LIMIT).is_whole  # a rank that only gathers


def test_exact_sums_show_a_movement_that_an_adapter_in_bfloat16_hides():
    """The slope of a layer's change of output on the same in float32, over 2,000 inputs."""
    torch.manual_seed(0)
    model, _ = small_update()
    layer = next(module for module in model.modules() if hasattr(module, "lora_A"))
    layer.lora_B["default"].weight.data *= 4
    inputs = torch.randn(2000, 8, dtype=torch.bfloat16)
    update = layer.lora_B["default"].weight.float() @ layer.lora_A["default"].weight.float() * layer.scaling["default"]
    whole = (inputs.float() @ update.T).detach()

    def slope(outputs):
        change = (outputs - layer.base_layer(inputs)).float()
        return ((change * whole).sum() / whole.square().sum()).item()

    with torch.no_grad():
        with exact_sums(model):
            exact = layer(inputs)
        assert slope(exact) == pytest.approx(1.0, abs=0.1)
        assert slope(layer(inputs)) < 0.6  # outside, the layer computes as before
