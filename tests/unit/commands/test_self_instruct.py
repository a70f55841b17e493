"""The making of instructions goes on after a kill as if nothing had been, and ends where it should."""

import json

import pytest
from rich.console import Console

from flame_ray.commands import self_instruct as command
from flame_ray.commands.resumable_file import ResumableFile
from flame_ray.commands.self_instruct import Progress, _made_by, _write, self_instruct
from flame_ray.config import PromptsConfig, PromptSource
from flame_ray.config.load import parse_config
from flame_ray.engines.models import look_up
from flame_ray.errors import ConfigError, DataError, StorageError
from flame_ray.prompts.load import load_prompts, prompts_of
from flame_ray.prompts.self_instruct import InstructionMaker
from tests.builders import make_response

SEEDS = ["List three rivers of France.", "Tell a joke about a clock."]


def answer(prompts_P, batch):
    """Two instructions that nobody has written, and a copy of a seed, in every batch up to 6; then copies only."""
    new = [" ".join(f"{word}{batch}{index}" for word in ("tell", "of", "the", "old", "king")) for index in (0, 1)]
    texts = [f"1. {SEEDS[0]}\n2. {new[0]}", f"1. {new[1]}"] if batch <= 6 else [f"1. {SEEDS[0]}", "No."]
    return [make_response(text, index=index) for index, text in enumerate(texts)]


@pytest.fixture
def progress(tmp_path):
    """Makes up to `wanted` instructions in a process that ends after `batches`; returns the progress."""

    def go(wanted=100, batches=None, patience=2, made_by=None):
        settings = parse_config({"self_instruct": {"batch": 2, "max_alike": 0.8}}, "here").self_instruct
        with ResumableFile(tmp_path / "log.jsonl", made_by or {"seed": 7}, number="batch") as file:
            found = Progress(InstructionMaker(SEEDS, settings, 7), file, wanted, patience)
            for done, _ in enumerate(found.batches(answer), start=1):
                if done == batches:
                    break
        return found

    return go


def test_it_ends_when_there_are_enough(progress):
    found = progress(wanted=5)
    assert len(found.maker.made) == 6  # the third batch brings the sixth
    assert found.is_over
    assert str(found) == "6 new instructions of 9 written in 6 answers; left out: 3 like another one"


def test_it_ends_after_batches_that_brought_nothing_and_says_so(progress):
    found = progress(patience=2)
    assert len(found.maker.made) == 12
    assert str(found) == (
        "12 new instructions of 20 written in 16 answers; left out: 8 like another one, 2 no list in the answer; "
        "ended short of 100, as the last 2 batches brought none"
    )


@pytest.mark.parametrize("batches", [1, 3, 7])
def test_one_that_was_killed_makes_the_same_as_one_that_was_not(progress, tmp_path, batches):
    progress(batches=batches)
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"batch": 99, "kept": ["half a rec')
    resumed = progress()
    log = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl").unlink()
    whole = progress()
    assert (resumed.maker.made, str(resumed)) == (whole.maker.made, str(whole))
    assert log == (tmp_path / "log.jsonl").read_bytes()


def test_one_that_is_over_asks_nothing_again_and_may_be_asked_for_more(progress):
    progress(wanted=4)
    again = progress(wanted=4, batches=1)
    assert len(again.maker.made) == 4
    assert len(progress(wanted=6).maker.made) == 6


def test_other_settings_do_not_mix_with_what_is_there(progress):
    progress(wanted=4)
    with pytest.raises(ConfigError, match="seed: 7 -> 8"):
        progress(made_by={"seed": 8})


def test_what_is_made_depends_on_the_seeds_the_model_and_the_settings_but_not_on_how_many_are_wanted(folder):
    config = parse_config({"model": {"policy": str(folder)}}, "here")
    policy = look_up(str(folder), config.model)

    def made_by(seeds=("a",), **sections):
        return _made_by(parse_config({"model": {"policy": str(folder)}} | sections, "here"), policy, seeds)

    before = made_by()
    assert before == made_by(self_instruct={"instructions": 5}, rollout={"workers": 3})
    others = [made_by(seeds=("b",)), made_by(self_instruct={"max_alike": 0.6}), made_by(rollout={"temperature": 1.0})]
    others.append(made_by(run={"seed": 1}))
    assert made_by() not in others
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert made_by() not in [before, *others]


def test_a_file_that_no_earlier_command_has_made_is_not_replaced(tmp_path):
    out = tmp_path / "mine.jsonl"
    out.write_text("mine\n")
    with pytest.raises(StorageError, match=r"a new file, or one with mine\.jsonl\.batches\.jsonl beside it; found \S*mine"):
        self_instruct(parse_config({"cluster": {"address": "local"}}, "here"), out, Console())
    assert [each.name for each in tmp_path.iterdir()] == ["mine.jsonl"]


def test_without_a_batch_no_file_is_written_and_without_a_new_instruction_it_is_an_error(folder, tmp_path, monkeypatch):
    config = parse_config({"cluster": {"address": "local"}, "model": {"policy": str(folder)}}, "here")
    monkeypatch.setattr(command, "check_prompts", lambda *_, **__: None)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_make", interrupt)
    with pytest.raises(KeyboardInterrupt):
        self_instruct(config, tmp_path / "made.jsonl", Console())
    assert not list(tmp_path.glob("made*"))

    def copy_seeds(config, policy, progress, screen):
        list(progress.batches(lambda prompts_P, batch: [make_response("No.") for _ in prompts_P]))

    monkeypatch.setattr(command, "_make", copy_seeds)
    with pytest.raises(DataError, match=r"expected new instructions; found 0 new instructions of .*ended short"):
        self_instruct(config, tmp_path / "made.jsonl", Console())
    assert not (tmp_path / "made.jsonl").exists()


def test_the_file_is_one_that_prompts_are_read_from(tmp_path):
    path = tmp_path / "made.jsonl"
    _write(path, ["Name a river.", "Erzähle etwas."])
    prompts = prompts_of(PromptSource(source=str(path)), "prompts.sources")
    assert {prompt.text for prompt in prompts} == {"Name a river.", "Erzähle etwas."}
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 and json.loads(path.read_text().splitlines()[0])


def test_two_files_are_sources_of_one_job_and_a_longer_file_keeps_the_ids_of_a_shorter_one(tmp_path):
    paths = [tmp_path / name for name in ("few.jsonl", "more.jsonl", "others.jsonl")]
    few = ["Name a river.", "Tell a joke."]
    for path, texts in zip(paths, (few, [*few, "Name a bird."], ["Sing a song.", "Name a fish."]), strict=True):
        _write(path, texts)
    sources = [PromptSource(source=str(path)) for path in paths]
    first, longer, others = ({prompt.id: prompt.text for prompt in prompts_of(each, "prompts.sources")} for each in sources)
    assert first.items() <= longer.items() and not longer.keys() & others.keys()
    both = (*sources[1:], PromptSource(source="open-ended"))
    assert {*longer, *others} <= {prompt.id for prompt in load_prompts(PromptsConfig(sources=both)).prompts}
