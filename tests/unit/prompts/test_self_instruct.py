"""New instructions: what is asked, what is read from an answer, and what is kept."""

import json

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, DataError
from flame_ray.prompts.self_instruct import InstructionBatch, InstructionMaker, load_seeds, parse_list, question
from tests.builders import make_response

THINGS = ("clock", "lever", "magnet", "sail", "bridge", "lens", "motor", "kite")
SEEDS = [f"Explain how a {thing} works to a child of ten." for thing in THINGS]


def settings(**self_instruct):
    return parse_config({"self_instruct": self_instruct}, "here").self_instruct


def maker(seeds=SEEDS, seed=7, **self_instruct):
    return InstructionMaker(seeds, settings(batch=3, **self_instruct), seed)


def kept(text, finished=True, **self_instruct):
    answer = make_response(text, finish_reason="stop" if finished else "length")
    return maker(**self_instruct).keep_new(1, [answer])


def test_a_question_numbers_its_examples_and_asks_for_the_numbers_after_them():
    text = question(["Name a river.", "Tell a joke."], 3)
    assert "1. Name a river.\n2. Tell a joke.\n" in text
    assert "Write 3 more" in text and "numbered from 3 to 5" in text


def test_seeds_stand_in_for_made_examples_until_there_are_some():
    made = maker(seed_examples=4, made_examples=2)
    first = [made.questions(1)[index].text.count("Explain how") for index in range(3)]
    made.restore(InstructionBatch(1, ("List five rivers.", "Tell a joke."), {}))
    second = [made.questions(2)[index].text for index in range(3)]
    assert first == [6, 6, 6]
    assert [text.count("Explain how") for text in second] == [4, 4, 4]
    assert all("List five rivers." in text and "Tell a joke." in text for text in second)


def test_each_question_has_examples_of_its_own_that_depend_on_the_seed_alone():
    texts = [prompt.text for batch in (1, 2) for prompt in maker().questions(batch)]
    assert len(set(texts)) == 6
    assert texts == [prompt.text for batch in (1, 2) for prompt in maker().questions(batch)]
    assert texts != [prompt.text for batch in (1, 2) for prompt in maker(seed=8).questions(batch)]
    assert len({prompt.id for batch in (1, 2) for prompt in maker().questions(batch)}) == 6


def test_no_question_is_longer_than_the_longest():
    made = maker(seed_examples=3, made_examples=1, max_words=12)
    made.restore(InstructionBatch(1, ("List " + "two " * 11,), {}))
    longest = len(made.longest_question().text)
    assert all(len(prompt.text) <= longest for batch in range(20) for prompt in made.questions(batch))


def test_a_seed_that_is_too_long_is_no_example_and_still_has_no_near_duplicates():
    long = "List the names of " + "many " * 20
    made = maker([*SEEDS, long], max_words=15, seed_examples=20)
    assert all("many" not in prompt.text for prompt in made.questions(1))
    alike = "List the names of " + "many " * 11  # 15 words, all in order in the 24 of the seed: 30 / 39 = 0.77
    assert made.keep_new(1, [make_response(f"1. {alike}")]).left_out == {"like another one": 1}


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("9. Name a river.\n10. Tell a joke.", ["Name a river.", "Tell a joke."]),
        ("Sure, here are more:\n\n**1.** Name a river.\n**2.** Tell a joke.", ["Name a river.", "Tell a joke."]),
        ("1) Name a river.\n2) Tell a joke.", ["Name a river.", "Tell a joke."]),
        ("9: **Name** a river.", ["Name a river."]),
        ("9. Sort these:\n3. three\n1. one\n10. Tell a joke.", ["Sort these: 3. three 1. one", "Tell a joke."]),
        ("9. Name a river.\n11. Tell a joke.\n12. Sing.", ["Name a river.", "Tell a joke.", "Sing."]),
        ("1. Name a river.\n1. Tell a joke.\n1. Sing.", ["Name a river.", "Tell a joke.", "Sing."]),
        ("Name a river.\nTell a joke.", []),
        ("", []),
    ],
)
def test_an_answer_is_read_as_a_list_whose_numbers_do_not_fall(text, items):
    assert parse_list(text) == items


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("", "empty"),
        ("Name one.", "too short"),
        ("Name " + "rivers " * 40, "too long"),
        ("Describe the picture that is shown below.", "asks for more than text"),
        ("Draw a house with a red roof.", "asks for more than text"),
        ("Summarize the article at https://example.org please.", "asks for more than text"),
        ("- Tell a joke about a clock.", "no word first"),
        ("Назови три реки во Франции.", "another script"),
        ("Explain how a clock works to a child of nine.", "like another one"),
    ],
)
def test_an_item_that_is_left_out_is_counted_by_its_reason(item, reason):
    found = kept(f"1. {item}\n2. List three rivers of France.", max_words=30)
    assert found.kept == ("List three rivers of France.",)
    assert found.left_out == {reason: 1}


@pytest.mark.parametrize(
    "item",
    [
        "Draw a conclusion from these two facts: it rains, and the street is wet.",
        "What is the plot of Hamlet in two sentences?",
        '"Carpe diem": what does it mean, and who wrote it?',
        "Who was Gabriel García Márquez, and why is he known?",
        "3 friends share 12 apples. How many has each?",
    ],
)
def test_what_only_looks_unusable_is_kept(item):
    assert kept(f"1. {item}").kept == (item,)


def test_an_answer_without_a_list_and_the_end_of_one_that_was_cut_off_are_counted():
    assert kept("I cannot do that.").left_out == {"no list in the answer": 1}
    found = kept("1. List three rivers of France.\n2. Tell me a joke about", finished=False)
    assert (found.kept, found.left_out) == (("List three rivers of France.",), {"cut off": 1})


def test_an_instruction_is_compared_with_those_of_the_same_answer_and_of_earlier_batches():
    made = maker()
    first = made.keep_new(1, [make_response("1. List three rivers of France.\n2. List four rivers of France.")])
    second = made.keep_new(2, [make_response("1. List three rivers of Spain.\n2. Tell me a joke about clocks.")])
    assert first.kept == ("List three rivers of France.",)
    assert second.kept == ("Tell me a joke about clocks.",)
    assert made.made == [*first.kept, *second.kept]


def test_a_later_process_keeps_the_same():
    answers = [make_response("1. List three rivers of Spain.\n2. Tell me a joke about clocks.")]
    first, later = maker(), maker()
    batch = first.keep_new(1, [make_response("1. List three rivers of France.")])
    later.restore(batch)
    assert first.keep_new(2, answers) == later.keep_new(2, answers)
    assert [prompt.text for prompt in first.questions(3)] == [prompt.text for prompt in later.questions(3)]


def test_seeds_are_the_training_prompts_of_their_sources_once_each_and_on_one_line(tmp_path):
    path = tmp_path / "seeds.jsonl"
    rows = [("Name\na river.", "train"), ("name a  river.", "train"), ("Tell a joke.", "heldout"), ("Write.", "train")]
    path.write_text("".join(json.dumps({"instruction": text, "split": split}) + "\n" for text, split in rows))
    assert load_seeds(settings(seeds=[{"source": str(path), "column": "instruction"}])) == ("Name a river.", "Write.")


def test_every_row_of_a_file_without_splits_is_a_seed(tmp_path):
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Name {number} rivers."}) + "\n" for number in range(50)))
    assert len(load_seeds(settings(seeds=[{"source": str(path)}]))) == 50


def test_the_built_in_seeds_have_no_held_out_prompt():
    assert len(load_seeds(settings())) == 200


@pytest.mark.parametrize("rows", [None, [], [{"text": "Name a fish."}], [{"prompt": "Name it.", "input": "A fish."}]])
def test_a_fault_of_the_seeds_names_their_own_setting(tmp_path, rows):
    path = tmp_path / "seeds.jsonl"
    if rows is not None:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"in self_instruct\.seeds") as caught:
        load_seeds(settings(seeds=[{"source": str(path)}]))
    assert "prompts.sources" not in str(caught.value)


def test_seeds_that_are_all_too_long_are_refused(tmp_path):
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps({"prompt": "word " * 200}))
    with pytest.raises(DataError, match=r"1 seeds, none of them of at most 150 words"):
        load_seeds(settings(seeds=[{"source": str(path)}]))


def test_the_least_words_are_not_above_the_most():
    with pytest.raises(ConfigError, match=r"self_instruct\.min_words \(9\) must not be above max_words \(8\)"):
        settings(min_words=9, max_words=8)
