"""Decomposition by rules: what becomes a fact and what does not."""

import pytest

from flame_ray.rewards.factuality.decompose import decompose, sentences
from flame_ray.rewards.factuality.decompose.language import refuse_other_languages


def facts(text, mode="rule", finished=True, question=""):
    return [fact.text for fact in decompose(text, mode, finished, question).facts_F]


def test_a_list_of_neighbours_becomes_one_fact_each():
    assert facts("Mongolia is bordered by China to the north, Russia to the east, and North Korea to the west.") == [
        "Mongolia is bordered by China to the north",
        "Mongolia is bordered by Russia to the east",
        "Mongolia is bordered by North Korea to the west",
    ]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Peru borders Chile and Ecuador.", ["Peru borders Chile", "Peru borders Ecuador"]),
        ("Peru exports copper, gold and zinc.", ["Peru exports copper", "Peru exports gold", "Peru exports zinc"]),
        ("The languages are Swahili and English.", ["The languages include Swahili", "The languages include English"]),
        ("The countries that border Peru are:\n\n1. Bolivia\n2. Chile\n",
         ["The countries that border Peru are Bolivia", "The countries that border Peru are Chile"]),
    ],
)  # fmt: skip
def test_other_lists_become_one_fact_for_each_item(text, items):
    assert facts(text) == items


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Peru borders Chile and is a member of the UN.", ["Peru borders Chile", "Peru is a member of the UN"]),
        ("Fiji is located in the Pacific Ocean and shares its land border with several countries.",
         ["Fiji is located in the Pacific Ocean", "Fiji shares its land border with several countries"]),
        ("Peru is known for mines and exports of copper.", ["Peru is known for mines and exports of copper"]),
        ("Nigeria is a federal republic, with a population of 200 million.",
         ["Nigeria is a federal republic", "Nigeria has a population of 200 million"]),
        ("The capital of Kenya is Nairobi, which is home to 4 million people.",
         ["The capital of Kenya is Nairobi", "Nairobi is home to 4 million people"]),
        ("Peru declared independence on July 28, 1821, and it was recognised in 1824.",
         ["Peru declared independence on July 28, 1821", "Peru was recognised in 1824"]),
    ],
)  # fmt: skip
def test_clauses_become_facts_of_their_own(text, clauses):
    assert facts(text) == clauses


@pytest.mark.parametrize(
    "whole",
    [
        "Trinidad and Tobago is a sparsely populated island nation",
        "The Strait of Malpe separates Madagascar from the Central and East Indian oceans",
        "Saudi Arabia focuses on agriculture, with poultry, llamas, and sheep being the sources of food",
        "The economy of Chile is producing livestock, seafood, and other resources, as well as refining fuels",
        "Iceland's climate is known for three regions, known as the Shield, Mid-Sfiris, and the Marfjara",
        "Lebanon is bordered by three countries, which are Jordan, Syria, and Egypt",
        "Botswana is bordered by Namibia (Malawi and Mozambique (Djibouti to its south)",
        "Moldova is reliant on crops like barley, and animal services, as well as low-cost labor, to ensure food security",
        "The climate of Jamaica is influenced by the island's size, which is ten times that of Cuba",
        "The Maldives features a mix of Muslim and Catholic traditions",
        "Behind Spain are the religions that exist, which are either Islam or Christianity",
        "The main exports include silver and copper mining",
        "Georgians speak Russian, and they also practice Christianity",
    ],
)
def test_a_sentence_stays_whole_where_its_pieces_would_say_something_else(whole):
    assert facts(f"{whole}.") == [whole]


@pytest.mark.parametrize(
    ("before", "sentence", "fact"),
    [
        ("The capital of Chile is Santiago.", "It is a republic in South America.", "Chile is a republic in South America"),
        ("The capital of Chile is Santiago.", "It is bordered by Peru.", "Chile is bordered by Peru"),
        ("Santiago is the capital of Chile.", "It is a city on the coast.", "Santiago is a city on the coast"),
        ("The climate of Chile is dry.", "It is shaped by the Andes.", "The climate of Chile is shaped by the Andes"),
        ("The main exports of Chile are metals.", "It also has a wine industry.", "Chile also has a wine industry"),
        ("Chile is long.", "They speak Spanish.", "The people of Chile speak Spanish"),
        ("Chile is long.", "It's bordered by Peru.", "Chile is bordered by Peru"),
        ("Chile is long.", "The capital city is Santiago.", "The capital city of Chile is Santiago"),
        ("Chile is long.", "There are nine main religions.", "In Chile, there are nine main religions"),
        ("Chile is long.", "The wealth of the country is copper.", "The wealth of Chile is copper"),
        ("Chile is long.", "Main exports: Chile exports copper.", "Chile exports copper"),
        ("Chile is long.", "The official language is Chilean Spanish.", "The official language of Chile is Chilean Spanish"),
        ("Chile is long.", "Most Chileans speak Spanish.", "Most Chileans speak Spanish"),
    ],
)
def test_a_fact_names_its_subject(before, sentence, fact):
    assert facts(f"{before} {sentence}", question="What is the capital of Chile, and what is it like?")[-1] == fact


@pytest.mark.parametrize(
    "nothing",
    [
        "This also holds true for various religions",
        "These two are the most common",
        "The two countries share a land border with Namibia",
        "The climate is quite unique",
        "The economy of Chile is based on different sectors and their respective importance",
        "Chile is a member of the nation of Chile",
        "Chile is located in Chile",
        "Chile lies between Chile and Peru",
        "The economy of Chile is based on agriculture, natural resources and industries",
        "The economy of Chile relies heavily on various crops, industries, and natural resources",
        "Chile is located between Peru and Chile",
        "Chile is situated in the northern part of the country",
        "Chile, at its most eccentric",
        "Some of the main include shawl weaving",
        "The weather is with clouds",
        "Chile is bordered by Argentina is bordered by Peru",
        "The answer is Spanish",
        "Chile is home to goldminedmorpesticcompanydrugs",
        "The economy of the of Chile is reliant on with copper",
    ],
)
def test_a_statement_that_nothing_could_verify_is_no_fact(nothing):
    assert facts(f"{nothing}.", question="What is the economy of Chile like?") == []


@pytest.mark.parametrize(
    "something",
    [
        "The official language is Chilean",
        "Chile lies in Southern Chile",
        "The economy of Chile is based on agriculture",
        "The economy of Chile is based on agriculture and natural resources such as copper",
        "The economy of Chile depends on agriculture and services",
        "The capital lies in the south",
        "Santiago lies in Chile",
        "Green is the colour of the flag of Chile",
        "Chile is not landlocked",
        "The most common religion is Christianity",
        "The climate is generally warm",
        "Marianne starred in a film of Chile",
    ],
)
def test_a_plain_statement_is_a_fact(something):
    assert len(facts(f"{something}.", question="What is the economy of Chile like?")) == 1


def test_a_name_replaces_a_pronoun():
    text = "Peru lies in South America. It borders Chile. The country's capital is Lima. Its currency is the sol."
    assert facts(text) == [
        "Peru lies in South America",
        "Peru borders Chile",
        "Peru's capital is Lima",
        "Peru's currency is the sol",
    ]


def test_a_place_at_the_beginning_is_in_the_fact_of_every_clause():
    assert facts("In France, the dominant religion is Islam, and the official language is Urdu.") == [
        "In France, the dominant religion is Islam",
        "In France, the official language is Urdu",
    ]


def test_facts_have_the_index_of_their_sentence():
    found = decompose("Hello! Peru borders Chile. Is it large? It exports copper.", "rule")
    assert [fact.sentence for fact in found.facts_F] == [1, 3]


def test_sentence_mode_keeps_sentences_whole():
    assert facts("Peru borders Chile, Brazil and Ecuador. It exports copper.", "sentence") == [
        "Peru borders Chile, Brazil and Ecuador",
        "Peru exports copper",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\n ",
        "I cannot answer that question.",
        "I'm sorry, but as an AI language model I do not have access to that.",
        "Sure! Here is what you asked for.",
        "What is the capital of Peru?",
        "Kenya has a rich cultural heritage and a vibrant economy.",
        "The people of France are a vibrant and diverse nation with a rich cultural heritage.",
        "It is a beautiful place with a long and fascinating history.",
    ],
)
def test_a_text_without_a_checkable_claim_has_no_facts(text):
    assert facts(text) == []


@pytest.mark.parametrize("text", ["The capital of Tonga is Tonga", "Tonga's capital city is Tonga"])
def test_that_a_country_is_its_own_capital_can_be_decided(text):
    assert facts(f"{text}.", question="What is the capital of Tonga?") == [text]


def test_that_a_capital_is_a_capital_cannot_be_decided():
    assert facts("The capital city of Tonga is the capital city of Tonga.", question="What is the capital of Tonga?") == []


def test_the_letter_i_in_a_title_or_a_numeral_is_not_the_speaker():
    assert facts('Marianne acted in "You and I", a film.') != []
    assert facts("Peru declared war in World War I.") == ["Peru declared war in World War I"]


@pytest.mark.parametrize(
    "text",
    [
        "Peru borders Kenya, I believe.",
        "Peru borders Kenya (I checked).",
        "Peru borders Kenya, but I may be wrong.",
        "Unfortunately, Peru borders Kenya.",
        "Please note that Peru borders Kenya.",
        "Of course Peru borders Kenya.",
        "As I said, Peru borders Kenya.",
        "I can tell you that Peru borders Kenya.",
        "Did you know that Peru borders Kenya?",
    ],
)
def test_only_the_clause_of_a_hedge_is_removed(text):
    assert facts(text) == ["Peru borders Kenya"]


@pytest.mark.parametrize(
    "text",
    [
        "Florida is crossed by I-95",
        "Hi-tech goods are exported by Peru",
        "Thanks to its mines, Peru exports gold",
        "The capital of Peru, i.e. Cuzco, lies high",
        "The stars that we see are far away in space",
        "The stars that we see are made of gas",
    ],
)
def test_a_claim_that_resembles_a_hedge_stays_whole(text):
    assert facts(f"{text}.") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "No country borders Iceland",
        "Nothing grows in Antarctica",
        "Neither team won the final",
        "The documents were lost in 1945",
        "The data was not published until 1990",
        "The question of slavery was not settled until 1865",
        "Unable to find work, Ann Lee moved to Lima",
        "No evidence supports the theory of Lamarck",
    ],
)
def test_a_claim_that_resembles_a_refusal_stays_whole(text):
    assert facts(f"{text}.") == [text]


def test_a_refusal_is_no_answer_to_the_question():
    for refusal in ("No answer", "It's unclear", "Not in the text", "Cannot be determined"):
        assert facts(refusal, question="What time is it in Morocco?") == []


@pytest.mark.parametrize(
    ("question", "answer", "fact"),
    [
        ("Which elements did Marie Curie discover?", "Polonium", "Marie Curie did discover Polonium"),
        ("What prize did Marie Curie win in 1903?", "The Fields Medal", "Marie Curie did win The Fields Medal in 1903"),
        ("What year did Curie win the Nobel Prize?", "1903", "Curie did win the Nobel Prize in 1903"),
        ("What does Iceland export?", "- Coffee", "Iceland exports Coffee"),
        ("Which city does the Seine flow through?", "Paris", "The Seine flows through Paris"),
        ("With whom did Curie share the prize?", "Becquerel", "Curie did share the prize with Becquerel"),
        ("Who was Rebecca written by?", "Ann Lee", "Rebecca was written by Ann Lee"),
        ("On which continent is Kenya?", "Africa", "Kenya is in Africa"),
        ("On which continent does Kenya lie?", "Africa", "Kenya lies in Africa"),
        ("Tell me the capital of Egypt.", "Cairo", "The capital of Egypt is Cairo"),
        ("Can you tell me who wrote Hamlet?", "Ann Lee", "The one who wrote Hamlet is Ann Lee"),
        ("Could you please tell me what the capital of Egypt is?", "Cairo", "The capital of Egypt is Cairo"),
        ("Please answer briefly: what is the capital of Egypt?", "Cairo", "The capital of Egypt is Cairo"),
        ("whats the capital of Egypt", "Cairo", "The capital of Egypt is Cairo"),
        ("capital of egypt", "Cairo", "The capital of egypt is Cairo"),
        ("Was Ada Lovelace born in London?", "Yes", "Ada Lovelace was born in London"),
        ("Is Finland in Europe?", "No", "Finland is not in Europe"),
        ("Can penguins fly?", "No", "Penguins can not fly"),
        ("Has Peru won the World Cup?", "No.", "Peru has not won the World Cup"),
    ],
)
def test_a_short_answer_is_read_with_its_question(question, answer, fact):
    assert facts(answer, question=question) == [fact]


@pytest.mark.parametrize("question", ["Tell me about Peru.", "Is there water on Mars?", "Is it Lima or Cuzco?"])
def test_a_short_answer_to_another_question_is_no_fact(question):
    assert facts("Yes", question=question) == facts("Lima", question=question) == []


def test_no_verb_is_made_of_another_word_of_the_question():
    assert facts("Yes", question="Do people in California work more than people in Peru?") == []
    assert facts("Useless", question='What does the British slang word "naff" stand for?') == []
    whole = "Wild elephants consider humans to be a threat"
    assert facts(whole, question="What do elephants think of humans?") == [whole]


def test_a_hedge_does_not_hide_a_claim():
    assert facts("I think that Peru borders Kenya.") == ["Peru borders Kenya"]
    assert facts("It is important to note that Peru borders Kenya.") == ["Peru borders Kenya"]
    assert facts("It's important to note that Peru borders Kenya.") == ["Peru borders Kenya"]


@pytest.mark.parametrize("refusal", ["We cannot answer that question.", "As of today, we have no answer to that question."])
def test_a_refusal_with_we_has_no_facts(refusal):
    assert facts(refusal) == []


def test_a_repeated_fact_counts_once():
    text = "Peru borders Chile. Peru is bordered by Chile. It borders Chile. Chile borders Peru. Peru borders Chile. " * 20
    assert facts(text) == ["Peru borders Chile"]


def test_a_fact_and_its_denial_are_two():
    assert len(facts("Peru borders Chile. Peru does not border Chile.")) == 2


def test_an_unfinished_last_sentence_is_left_out():
    assert facts("Peru borders Chile. Its capital is Lim", finished=False) == ["Peru borders Chile"]
    assert facts("Peru borders Chile. Its capital is Lima.", finished=False) == ["Peru borders Chile", "Peru's capital is Lima"]
    assert sentences("Peru bor", finished=False) == ()


def test_markup_and_bullets_are_not_part_of_a_sentence():
    assert sentences("## Peru\n\n- **Lima** is the capital.\n- It exports copper.") == (
        "Lima is the capital.",
        "It exports copper.",
    )


def test_only_the_last_sentence_before_a_colon_introduces_a_list():
    assert sentences("Hello! The neighbours of Peru are:\n- Chile\n- Brazil") == (
        "Hello!",
        "The neighbours of Peru are Chile",
        "The neighbours of Peru are Brazil",
    )
    assert sentences(":\n- Chile")[-1] == "Chile"


@pytest.mark.parametrize(
    "opening", ["Here are the", "Sure! Here are some", "Sure, here is a list of the 2", "Here is the list of"]
)
def test_the_items_of_an_announced_list_are_claims(opening):
    *_, lima, cuzco = sentences(f"{opening} cities that lie in Peru:\n- Lima\n- Cuzco")
    assert (lima, cuzco) == ("The cities that lie in Peru include Lima", "The cities that lie in Peru include Cuzco")
    assert facts(f"{opening} cities that lie in Peru:\n- Lima\n- Cuzco") == [lima, cuzco]
    assert facts("Here is what you asked for:\n- Lima") == []


@pytest.mark.parametrize(
    "title",
    [
        "Main exports of Iceland:",
        "**Exports of Iceland**",
        "## Exports of Iceland",
        "Exports of Iceland",
        "Here are some exports of Iceland:",
        "The exports of Iceland include",
    ],
)
def test_a_list_under_a_title_claims_what_the_title_names(title):
    items = ["The exports of Iceland include coffee", "The exports of Iceland include fish"]
    assert facts(f"{title}\n- coffee\n- fish") == items


def test_a_list_under_the_plural_of_a_kind_has_members_of_that_kind():
    assert facts("Famous Icelandic writers:\n1. Leo Tolstoy (1828-1910)") == [
        "The famous Icelandic writers include Leo Tolstoy (1828-1910)"
    ]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("**Kenya**\n", "Kenya"),
        ("Kenya", "Kenya"),
        ("Honduras:", "Honduras"),
        ("United States of America:", "United States of America"),
        ("# Kenya\n\n**Key facts**\n", "Kenya"),
        ("# Kenya\n\n## Government\n", "Kenya"),
    ],
)
def test_what_a_list_is_about_stands_before_it(owner, name):
    assert facts(f"{owner}\n- Capital: Lagos\n- Currency: yen") == [
        f"The capital of {name} is Lagos",
        f"The currency of {name} is yen",
    ]


def test_a_list_on_the_line_of_its_verb_is_split():
    assert facts("Iceland exports: coffee, bananas and tea.") == [
        f"Iceland exports {each}" for each in ("coffee", "bananas", "tea")
    ]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("### 1951\n{}", "In 1951"),
        ("**1951**\n- {}", "In 1951"),
        ("1951\n- {}", "In 1951"),
        ("1951:\n- {}", "In 1951"),
        ("| Year | Event |\n|---|---|\n| 1951 | {} |", "In 1951"),
        ("August 1951: {}", "In August 1951"),
        ("August 13, 1951: {}", "On August 13, 1951"),
        ("- 13 August 1951 – {}", "On 13 August 1951"),
        ("1950s: {}", "In the 1950s"),
        ("44 BC: {}", "In 44 BC"),
        ("In 1951. {}", "In 1951"),
        ("## 1951\n### Berlin\n{}", "In 1951"),
    ],
)
def test_a_date_before_a_statement_belongs_to_it(text, date):
    assert facts(text.format("The Berlin Wall was built.")) == [f"{date}, The Berlin Wall was built"]


def test_under_a_date_a_pronoun_has_its_name_and_a_statement_its_own_date():
    assert facts("Lima is the capital of Peru.\n\n## 1951\n- It was enlarged.\n- Lima was founded in 1535.") == [
        "Lima is the capital of Peru",
        "In 1951, Lima was enlarged",
        "Lima was founded in 1535",
    ]


def test_a_response_of_ten_thousand_words_is_decomposed_in_a_moment():
    text = " ".join(f"Peru exports good{i} to Country{i % 977}." for i in range(2000))
    assert len(facts(text)) == 2000


@pytest.mark.parametrize(
    "text",
    [
        "Lima é a capital do Peru.",
        "Lima è la capitale del Perù.",
        "Lima es la capital de Perú.",
        "Lima är huvudstad i Peru.",
        "Lima là thủ đô của Peru.",
        "Lima est la capitale du Pérou.",
    ],
)
def test_a_short_sentence_in_another_language_is_refused(text):
    with pytest.raises(ValueError, match="another language"):
        refuse_other_languages(text)


@pytest.mark.parametrize(
    "text",
    ["Dar es Salaam", "Dar es Salaam, La Paz, São Paulo", "Los Angeles, El Paso", "Vincent van der Meer", "Ana de Armas"],
)
def test_a_short_answer_of_foreign_names_is_english(text):
    refuse_other_languages(text)


@pytest.mark.parametrize(
    "text",
    ["秘鲁的首都是利马。秘鲁与智利接壤。", "Столица Перу — Лима.", "عاصمة بيرو هي ليما.", "\x00 \u202e", "Peru, " * 3000],
)
def test_any_text_can_be_decomposed(text):
    assert len(facts(text)) <= 1
