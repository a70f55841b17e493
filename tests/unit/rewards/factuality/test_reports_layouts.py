"""Layouts, marks, answers and refusals in other styles than those that people reported, each with the right value."""

import pytest

from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.decompose.language import refuse_other_languages
from tests.unit.rewards.factuality.test_reports import Report, kind, score

EVIDENCE_0 = "The Golden Gate Bridge opened in 1937. It is 2737 metres long. It was designed by Joseph Strauss."

EVIDENCE_4 = (
    "Mercury, Venus, Earth and Mars are rocky planets. Vitamin C is found in oranges, kiwis and "
    "peppers. The members of the band Abba are Agnetha, Björn, Benny and Anni-Frid."
)

EVIDENCE_12 = "The Danube flows through Vienna."

EVIDENCE_13 = "Ottawa is the capital of Canada."

EVIDENCE_16 = (
    "The atomic number of gold is 79. Gold melts at 1064 °C. The symbol of gold is Au. Mozart was "
    "born in Salzburg in 1756. Mozart died in Vienna in 1791. The capital of Kenya is Nairobi. The "
    "currency of Kenya is the shilling."
)

REPORTS: list[Report] = [
    *kind(
        "A01",
        EVIDENCE_0,
        ("The Golden Gate Bridge opened in 1937 (1). It was designed by Joseph Strauss (2).", 1.0),
        ("The Golden Gate Bridge opened in 1937.(1) It was designed by Joseph Strauss.(2,3)", 1.0),
        ("The Golden Gate Bridge opened in 1937 {1}. It was designed by Joseph Strauss {2}.", 1.0),
        ("The Golden Gate Bridge opened in 1937 [a]. It was designed by Joseph Strauss [b].", 1.0),
        ("The Golden Gate Bridge opened in 1937 [Doc 3, Doc 4].", 1.0),
        ("The Golden Gate Bridge opened in 1937.<cite>2</cite> It was designed by Joseph Strauss.", 1.0),
        ("The Golden Gate Bridge opened in 1937 <ref>Smith</ref>.", 1.0),
        ("The Golden Gate Bridge opened in 1937.† It was designed by Joseph Strauss.‡", 1.0),
        ("The Golden Gate Bridge opened in 1937.[1]: It was designed by Joseph Strauss.[2][note 1]", 1.0),
        ("[1] The Golden Gate Bridge opened in 1937. [2] It was designed by Joseph Strauss.", 1.0),
        ("The Golden Gate Bridge opened in 1937.[1](https://ex.org/a) It was designed by Joseph Strauss.[2](#ref2)", 1.0),
        ("The Golden Gate Bridge opened in 1937 [1][2][3], and it was designed by Joseph Strauss [4].", 1.0),
        ("The Golden Gate Bridge opened in 1937. \ue200cite\ue202turn0search1\ue201 It was designed by Joseph Strauss.", 1.0),
        ("The Golden Gate Bridge opened in 1957 (1).", 0.0),
        ("The Golden Gate Bridge opened in 1937 [Source: Wikipedia]. It was designed by Joseph Strauss [ref. 12].", 1.0),
        ("The Golden Gate Bridge opened in 1937 [p. 12]. It was designed by Joseph Strauss [ibid.].", 1.0),
        ("The Golden Gate Bridge opened in 1937 (see [1]). It was designed by Joseph Strauss (cf. [2]).", 1.0),
        ("The Golden Gate Bridge opened in 1937 (see note 3). It was designed by Joseph Strauss (see Table 2).", 1.0),
        ("The Golden Gate Bridge opened in 1937 [needs citation]. It was designed by Joseph Strauss [dubious].", 1.0),
        ("The Golden Gate Bridge opened in 1937 (Document 2).", 1.0),
        ("The Golden Gate Bridge opened in 1937 (passage 1).", 1.0),
        ("The Golden Gate Bridge opened in 1937 (Passages 1 and 3).", 1.0),
    ),
    *kind(
        "A01 parens that are figures",
        "The team won the cup in 1998 (2). The Anta trail is 12 km long.",
        ("The Anta trail is long (12 km).", 1.0),
        ("The Anta trail is long (15 km).", 0.0),
    ),
    *kind(
        "A03",
        EVIDENCE_0,
        ("The Golden Gate Bridge opened in 1937 (see Miller & Jones, 1999, p. 4).", 1.0),
        ("The Golden Gate Bridge opened in 1937 (Miller 1999).", 1.0),
        ("According to Miller (1999), the Golden Gate Bridge opened in 1937.", 1.0),
        ("The Golden Gate Bridge opened in 1937.\n\nWorks Cited\n\nMiller, Ann. The Bridge of London. Penguin, 1999.", 1.0),
        (
            (
                "The Golden Gate Bridge opened in 1937.\n\n**References**\n\n1. The London Bridge opened in "
                "1831. BBC News.\n2. https://bbc.co.uk/x"
            ),
            1.0,
        ),
        (
            (
                "The Golden Gate Bridge opened in 1937.\n\n### Bibliography\n* Doe, J. (2001). *The Eiffel Tower "
                "is in Rome*. MIT Press."
            ),
            1.0,
        ),
        ("The Golden Gate Bridge opened in 1937.\n\nFurther reading:\n- The Tower Bridge was built in 1894 (book)", 1.0),
        ("The Golden Gate Bridge opened in 1937.\n\nRead more: https://example.org/bridges", 1.0),
        ("The Golden Gate Bridge opened in 1937.\n\nLearn more at www.goldengate.org.", 1.0),
        ("The Golden Gate Bridge opened in 1937. (Source: National Geographic, 2015)", 1.0),
        ("The Golden Gate Bridge opened in 1937 — Source: Encyclopaedia Britannica.", 1.0),
        ("The Golden Gate Bridge opened in 1937. Sources: Wikipedia, Britannica.", 1.0),
        ("The Golden Gate Bridge opened in 1937 (New York Times, May 28, 1937).", 1.0),
        ("The Golden Gate Bridge opened in 1937 (BBC News).", 1.0),
        ("The Golden Gate Bridge opened in 1937 (https://en.wikipedia.org/wiki/Golden_Gate_Bridge_(San_Francisco)).", 1.0),
        ("The Golden Gate Bridge opened in 1937, according to [Britannica](https://britannica.com).", 1.0),
        ("The Golden Gate Bridge opened in 1937 doi:10.1000/xyz123.", 1.0),
        ("The Golden Gate Bridge opened in 1937 (ISBN 978-3-16-148410-0).", 1.0),
        ("References are important. The Golden Gate Bridge opened in 1957.", 0.0),
        (
            (
                "The Golden Gate Bridge opened in 1937.\n\nReferences\nMiller, A. (1999). The Bridge of London. "
                "Penguin.\nSmith, B. (2001). The Tower of Rome opened in 1831. Oxford."
            ),
            1.0,
        ),
        ("The Golden Gate Bridge opened in 1937.\n\nLiterature:\n[Mil99] A. Miller. The Bridge of London, 1999.", 1.0),
        (
            (
                "The Golden Gate Bridge opened in 1937.\n\nCitations:\n[1]: https://a.b\n[2]: https://c.d "
                "'London Bridge opened in 1831'"
            ),
            1.0,
        ),
    ),
    *kind(
        "A04",
        "Mitochondria produce ATP. Mitochondria have their own DNA. Alan Turing was born in London in 1912.",
        ("<Thought>Ribosomes produce ATP.</Thought>\n<Answer>Mitochondria produce ATP.</Answer>", 1.0),
        ("<thinking>\nRibosomes produce ATP.\n\nThen again...\n</thinking>\n\n<answer>Mitochondria produce ATP.</answer>", 1.0),
        ("<think>Ribosomes produce ATP.</think><think>Lysosomes produce ATP.</think>Mitochondria produce ATP.", 1.0),
        ("<reasoning>Ribosomes produce ATP.</reasoning>Mitochondria produce ATP.", 1.0),
        ("<internal_monologue>Ribosomes produce ATP.</internal_monologue>Mitochondria produce ATP.", 1.0),
        ("<plan>Say that ribosomes produce ATP.</plan>Mitochondria produce ATP.", 1.0),
        ('<think type="deep">Ribosomes produce ATP.</think>Mitochondria produce ATP.', 1.0),
        ("```thinking\nRibosomes produce ATP.\n```\nMitochondria produce ATP.", 1.0),
        ("<details><summary>Thinking</summary>Ribosomes produce ATP.</details>\nMitochondria produce ATP.", 1.0),
        ("<reflection>\nMitochondria produce ATP.", None),
        ("<think>Ribosomes produce ATP. <think>nested</think> Lysosomes too.</think>Mitochondria produce ATP.", 1.0),
        ("<THINK>Ribosomes produce ATP.</THINK>Mitochondria produce ATP.", 1.0),
        ("&lt;think&gt;Ribosomes produce ATP.&lt;/think&gt;Mitochondria produce ATP.", 1.0),
        ("Thinking: Ribosomes produce ATP. Hmm.\n\nFinal answer: Mitochondria produce ATP.", 1.0),
        ("**Reasoning:** Ribosomes produce ATP.\n\n**Answer:** Mitochondria produce ATP.", 1.0),
        ("<scratchpad>Ribosomes produce ATP.</scratchpad>\n\nAlan Turing was born in London in 1912.", 1.0),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nMitochondria produce ATP.<|eot_id|>", 1.0),
        ("<|im_start|>assistant\nMitochondria produce ATP.<|im_end|>", 1.0),
        ("[THINK]Ribosomes produce ATP.", None),
        ("<seed:think>Mitochondria produce ATP.", None),
    ),
    *kind(
        "A06",
        EVIDENCE_0,
        ("a) The Golden Gate Bridge opened in 1937. b) It is 2737 metres long. c) It was designed by Joseph Strauss.", 1.0),
        ("(a) The Golden Gate Bridge opened in 1937; (b) it is 2737 metres long; (c) it was designed by Joseph Strauss.", 1.0),
        ("i) The Golden Gate Bridge opened in 1937. ii) It is 2737 metres long. iii) It was designed by Joseph Strauss.", 1.0),
        ("I. The Golden Gate Bridge opened in 1937. II. It is 2737 metres long.", 1.0),
        (
            (
                "First, the Golden Gate Bridge opened in 1937. Second, it is 2737 metres long. Third, it was "
                "designed by Joseph Strauss."
            ),
            1.0,
        ),
        ("1: The Golden Gate Bridge opened in 1937. 2: It is 2737 metres long.", 1.0),
        ("[1] The Golden Gate Bridge opened in 1937. [2] It is 2737 metres long.", 1.0),
        ("1 - The Golden Gate Bridge opened in 1937. 2 - It is 2737 metres long.", 1.0),
        ("1️⃣ The Golden Gate Bridge opened in 1937. 2️⃣ It is 2737 metres long.", 1.0),
        ("❶ The Golden Gate Bridge opened in 1937. ❷ It is 2737 metres long.", 1.0),
        ("No. 1: The Golden Gate Bridge opened in 1937. No. 2: It is 2737 metres long.", 1.0),
        ("Fact 1: The Golden Gate Bridge opened in 1937. Fact 2: It is 2737 metres long.", 1.0),
        ("Step 1: The Golden Gate Bridge opened in 1937. Step 2: It is 2837 metres long.", 0.5),
        (
            (
                "Here are the facts: 1. the Golden Gate Bridge opened in 1937, 2. it is 2737 metres long, and 3. "
                "it was designed by Joseph Strauss."
            ),
            1.0,
        ),
        ("• The Golden Gate Bridge opened in 1937. • It is 2737 metres long. • It was designed by Irving Morrow.", 2 / 3),
        ("* The Golden Gate Bridge opened in 1937. * It is 2737 metres long.", 1.0),
        ("- The Golden Gate Bridge opened in 1937. - It is 2737 metres long.", 1.0),
        ("1/ The Golden Gate Bridge opened in 1937. 2/ It is 2737 metres long.", 1.0),
        ("1.The Golden Gate Bridge opened in 1937. 2.It is 2737 metres long.", 1.0),
        ("0. The Golden Gate Bridge opened in 1937. 1. It is 2737 metres long.", 1.0),
        ("(i) The Golden Gate Bridge opened in 1937, (ii) it was designed by Joseph Strauss.", 1.0),
        ("10) The Golden Gate Bridge opened in 1937. 11) It is 2737 metres long.", 1.0),
    ),
    *kind(
        "A07",
        (
            "Mitochondria produce ATP. Mitochondria have their own DNA. Alan Turing was born in London in "
            "1912. The max_len option limits 5_000 tokens. The Nile is 6650 km long. The Amazon is 6400 km "
            "long."
        ),
        ("River | Length\n--- | ---\nNile | 6650 km\nAmazon | 6400 km", 1.0),
        ("<table><tr><th>River</th><th>Length</th></tr><tr><td>Nile</td><td>6650 km</td></tr></table>", 1.0),
        ("<table><tr><th>River</th><th>Length</th></tr><tr><td>Nile</td><td>5650 km</td></tr></table>", 0.0),
        ("+-------+---------+\n| River | Length  |\n+-------+---------+\n| Nile  | 6650 km |\n+-------+---------+", 1.0),
        ("The `max_len` option limits 5_000 tokens.", 1.0),
        ("The Nile is 6650 km long.\n~~~js\n// The Amazon is in Africa\nlet x = 1;\n~~~", 1.0),
        ("The Nile is 6650 km long.\n```\nThe Amazon is 100 km long.\n```", 1.0),
        ("The Nile is 6650&nbsp;km long.<br>The Amazon is 6400 km long.", 1.0),
        ("<h2>Rivers</h2><ol><li>The Nile is 6650 km long.</li><li>The Amazon is 6400 km long.</li></ol>", 1.0),
        ("\\textbf{The Nile} is 6650 km long.", 1.0),
        ("\\begin{itemize}\n\\item The Nile is 6650 km long.\n\\item The Amazon is 6400 km long.\n\\end{itemize}", 1.0),
        ("The Nile is $6650$ km long.", 1.0),
        ("The Nile is \\(6650\\) km long.", 1.0),
        ("==The Nile is 6650 km long.==", 1.0),
        ("~~The Nile is 100 km long.~~ The Nile is 6650 km long.", 1.0),
        ("Rivers\n======\n\nThe Nile is 6650 km long.\n\n***\n\nThe Amazon is 6400 km long.", 1.0),
        ("- [x] The Nile is 6650 km long.\n- [ ] The Amazon is 6400 km long.", 1.0),
        ("> **Note**\n> The Nile is 6650 km long.", 1.0),
        ("River\tLength\nNile\t6650 km\nAmazon\t6400 km", 1.0),
        ('{"river": "Nile", "length": "6650 km"}', 1.0),
        ("* **The Nile** is _6650 km_ long.\n* __The Amazon__ is 6400 km long.", 1.0),
        ("The Nile is 6650 km long. :smile:", 1.0),
        ("<b>The Nile</b> is <i>6650 km</i> long.<hr><img src='x.png' alt='The Amazon is red'>", 1.0),
        ("| | Nile | Amazon |\n|---|---|---|\n| Length | 6650 km | 6400 km |", 1.0),
        ("| | Nile | Amazon |\n|---|---|---|\n| Length | 6400 km | 6650 km |", 0.0),
    ),
    *kind(
        "A08",
        EVIDENCE_4,
        ("Rocky planets include the following:\n* Jupiter\n* Saturn", 0.0),
        ("Rocky planets include the following:\n* Venus\n* Mars", 1.0),
        ("The rocky planets are:\n1) Venus\n2) Jupiter", 0.5),
        ("Below is a list of rocky planets:\n+ Jupiter\n+ Uranus", 0.0),
        ("Some rocky planets are\n- Venus\n- Neptune", 0.5),
        ("Members of the band Abba:\na. Agnetha\nb. Freddie", 0.5),
        ("Sure thing! Here you go - the rocky planets:\n\n- Saturn\n- Jupiter", 0.0),
        ("The four rocky planets, in order:\n1. Mercury\n2. Venus\n3. Earth\n4. Mars", 1.0),
        ("Planets that are rocky:\n– Saturn\n– Uranus", 0.0),
        ("Rocky planets: Saturn; Uranus; Neptune", 0.0),
        ("## Rocky planets\n\n- Saturn\n- Uranus", 0.0),
        ("## Rocky planets\n\n- Venus\n- Mars", 1.0),
        ("Examples of rocky planets are:\n- Saturn\n- Uranus", 0.0),
        ("Vitamin C can be found in:\n- oranges\n- kiwis", 1.0),
        ("**Rocky planets**: *Saturn*, *Uranus*", 0.0),
        ("Here are some examples of rocky planets.\n\n1. Saturn\n2. Uranus", 0.0),
        ("I can name three rocky planets:\n- Saturn\n- Uranus\n- Neptune", 0.0),
        ("The band Abba has four members:\n- Agnetha\n- Björn\n- Benny\n- Anni-Frid", 1.0),
    ),
    *kind(
        "A08 in answer to a question",
        EVIDENCE_4,
        ("Here are three:\n- Saturn\n- Uranus\n- Neptune", 0.0),
        ("Sure! Here are three:\n- Venus\n- Mars\n- Earth", 1.0),
        ("Here are three rocky planets:\n\nSaturn\nUranus\nNeptune", 0.0),
        ("Saturn, Uranus, Neptune", 0.0),
        ("Venus\nMars\nEarth", 1.0),
        question="Name three rocky planets.",
    ),
    *kind(
        "A10 who",
        "Mary Shelley wrote Frankenstein in 1818. It was published in London. The novel has 280 pages.",
        ("Mary Shelley", 1.0),
        ("Bram Stoker", 0.0),
        ("It was Mary Shelley.", 1.0),
        ("By Mary Shelley", 1.0),
        ("A: Mary Shelley", 1.0),
        ("Answer: Bram Stoker", 0.0),
        ("mary shelley", 1.0),
        ('"Mary Shelley"', 1.0),
        ("Mary Shelley!", 1.0),
        ("**Answer:** Bram Stoker", 0.0),
        ("Final Answer: Mary Shelley", 1.0),
        ("\\boxed{Bram Stoker}", 0.0),
        ("\\boxed{Mary Shelley}", 1.0),
        question="Who wrote Frankenstein?",
    ),
    *kind(
        "A10 when",
        "Mary Shelley wrote Frankenstein in 1818.",
        ("1818", 1.0),
        ("1918", 0.0),
        ("In the year 1818.", 1.0),
        question="In what year did Mary Shelley write Frankenstein?",
    ),
    *kind(
        "A10 how tall",
        "Mount Kenya is 5199 metres high.",
        ("5199 metres", 1.0),
        ("5,199 m", 1.0),
        ("4199 metres", 0.0),
        ("It's 4199 metres.", 0.0),
        question="How high is Mount Kenya?",
    ),
    *kind(
        "A10 yes",
        "Whales are mammals. Sharks are fish.",
        ("Yes", 1.0),
        ("No.", 0.0),
        ("Yes, they are.", 1.0),
        ("No, they aren't.", 0.0),
        ("True", 1.0),
        ("Absolutely!", 1.0),
        ("Not at all.", 0.0),
        question="Are whales mammals?",
    ),
    *kind(
        "A10 did",
        "Ann Lee won the Fields Medal in 2014.",
        ("Yes.", 1.0),
        ("No", 0.0),
        ("Yes, in 2014.", 1.0),
        ("Yes, she did.", 1.0),
        question="Did Ann Lee win the Fields Medal?",
    ),
    *kind(
        "A10 which",
        "The Danube flows through Vienna. The Seine flows through Paris.",
        ("The Danube", 1.0),
        ("The Danube River.", 1.0),
        question="Which river flows through Vienna?",
    ),
    *kind(
        "A10 field",
        "Lima is the capital of Peru. The currency of Peru is the sol.",
        ("sol", 1.0),
        ("peso", 0.0),
        ("The sol.", 1.0),
        ("the peso", 0.0),
        question="What's the currency of Peru?",
    ),
    *kind(
        "A10 mc",
        EVIDENCE_12,
        ("B) Danube", 1.0),
        ("A) Seine", 0.0),
        ("(B) Danube", 1.0),
        question="Which river flows through Vienna? A) Seine B) Danube",
    ),
    *kind(
        "A10 blank", EVIDENCE_12, ("Danube", 1.0), ("Seine", 0.0), question="The river that flows through Vienna is the ___."
    ),
    *kind("A10 statement asked", EVIDENCE_13, ("Ottawa", 1.0), ("Toronto", 0.0), question="Capital of Canada?"),
    *kind(
        "A10 statement asked2",
        EVIDENCE_13,
        ("Ottawa", 1.0),
        ("Toronto", 0.0),
        question="I'd like to know the capital of Canada.",
    ),
    *kind(
        "A10 statement asked3",
        EVIDENCE_13,
        ("Ottawa", 1.0),
        ("Toronto", 0.0),
        question="Give me the name of the capital of Canada",
    ),
    *kind(
        "A10 two",
        "Ottawa is the capital of Canada. The currency of Canada is the Canadian dollar.",
        ("Ottawa and the Canadian dollar.", 1.0),
        ("1. Ottawa\n2. Canadian dollar", 1.0),
        ("Toronto; peso", 0.0),
        question="What is the capital of Canada and what is its currency?",
    ),
    *kind(
        "A14",
        "The prime minister of Norland is Ann Lee. Ann Lee took office in 2019.",
        ("While I can't verify current events, the prime minister of Norland is Ann Lee.", 1.0),
        ("Although I am just an AI, the prime minister of Norland is Bob Ray.", 0.0),
        ("I don't have personal opinions, but Ann Lee took office in 2009.", 0.0),
        ("My training data ends in 2023, but the prime minister of Norland is Bob Ray.", 0.0),
        ("I'm sorry, I don't know the current one. However, Ann Lee took office in 2019.", 1.0),
        ("As of my knowledge cutoff in September 2021, the prime minister of Norland is Bob Ray.", 0.0),
        ("As of my knowledge cutoff in September 2021, the prime minister of Norland is Ann Lee.", 1.0),
        ("I cannot access the internet; nevertheless, Ann Lee took office in 2009.", 0.0),
        ("To the best of my knowledge, Ann Lee took office in 2009.", 0.0),
        ("I'm not 100% certain, but I believe Ann Lee took office in 2009.", 0.0),
        ("If I recall correctly, Ann Lee took office in 2009.", 0.0),
        ("If I'm not mistaken, Ann Lee took office in 2019.", 1.0),
        ("I do not have real-time data, though Ann Lee took office in 2009.", 0.0),
        ("Being an AI, I can't browse. That said, Ann Lee took office in 2009.", 0.0),
        ("As a large language model, I have no feelings; Ann Lee took office in 2009.", 0.0),
        ("Since I don't have access to live data, I can only say that Ann Lee took office in 2009.", 0.0),
        ("Disclaimer: I am an AI. Ann Lee took office in 2019.", 1.0),
        ("Great question! Ann Lee took office in 2009.", 0.0),
        ("Based on the information available to me, Ann Lee took office in 2009.", 0.0),
        ("From what I know, Ann Lee took office in 2009.", 0.0),
        ("I was trained by OpenAI and I do not have feelings.", None),
        ("I'd say Ann Lee took office in 2009.", 0.0),
    ),
    *kind(
        "A16",
        EVIDENCE_16,
        ("Country: Kenya\nCapital: Nairobi", 1.0),
        ("Country: Kenya\nCapital: Lagos", 0.0),
        ("Country: Kenya\nCapital: Lagos\nCurrency: shilling", 0.5),
        ("Name: Mozart\nBorn: 1756\nDied: 1891", 0.5),
        ("**Country:** Kenya\n**Capital:** Lagos", 0.0),
        ("Kenya:\n  Capital: Lagos\n  Currency: shilling", 0.5),
        ("* Kenya\n    * Capital - Lagos\n    * Currency - shilling", 0.5),
        ("1. Kenya\n   a. Capital: Lagos\n   b. Currency: shilling", 0.5),
        ("Kenya (capital: Lagos)", 0.0),
        ("Kenya - Capital: Lagos, Currency: shilling", 0.5),
        ("Gold\n- Symbol: Ag\n- Atomic number: 79", 0.5),
        ("### Mozart\n- Born: Salzburg, 1756\n- Died: Vienna, 1891", 0.5),
        ("# Kenya\n\n## Capital\n\nLagos\n\n## Currency\n\nshilling", 0.5),
        ("- **Kenya**\n  - *Capital*: Nairobi\n  - *Currency*: shilling", 1.0),
        ("+ Kenya\n  + Capital = Lagos", 0.0),
        ("Kenya\n• Capital: Lagos\n• Currency: shilling", 0.5),
        ("- Kenya:\n  - Its capital is Lagos.\n  - Its currency is the shilling.", 0.5),
        ("Country | Capital\nKenya | Lagos", 0.0),
        ("Metal: Gold\nSymbol: Au\nAtomic number: 80", 0.5),
    ),
    *kind(
        "A16 json",
        EVIDENCE_16,
        ('```json\n{"country": "Kenya", "capital": "Lagos"}\n```', 0.0),
        ("country: Kenya\ncapital: Lagos", 0.0),
    ),
    *kind(
        "A18",
        EVIDENCE_0,
        ("I couldn't find any information about that in the documents.", None),
        ("The provided excerpts say nothing about the designer.", None),
        ("Sorry, I can't help with that.", None),
        ("There's insufficient evidence in the context to answer.", None),
        ("The context doesn't contain the answer.", None),
        ("Based on the available information, I cannot determine who designed it.", None),
        ("This is not covered in the article.", None),
        ("The article is silent on this point.", None),
        ("No relevant information was found.", None),
        ("The documents provided are about other topics.", None),
        ("It cannot be inferred from the text.", None),
        ("I have no information on that topic.", None),
        ("As of now, there is no information available about the designer.", None),
        ("The answer to this question is unknown.", None),
        ("None of the above documents contain this information.", None),
        ("We don't know who designed it.", None),
        ("Nobody knows.", None),
        ("That information is not public.", None),
        ("I am unable to provide that information.", None),
        ("I must decline to answer this question.", None),
        ("I won't answer that.", None),
        ("The search results do not contain information on the designer.", None),
        ("Not enough info.", None),
        ("Not mentioned.", None),
        ("Not specified in the document.", None),
        ("No data.", None),
        ("[No answer]", None),
        ("Unanswerable", None),
        ("?", None),
        ("None", None),
        ("idk", None),
        ("I'm not sure.", None),
        ("Hard to say.", None),
        ("It depends.", None),
        ("Can't say.", None),
        ("The question is unanswerable given the context.", None),
        ("The text makes no reference to a designer.", None),
        ("This question can't be answered with the given information.", None),
        ("The given context does not have enough details to answer the question.", None),
        ("Information about the designer is not present in the passages.", None),
        ("The name of the designer is not given.", None),
        ("The name of the designer has not been disclosed in the passages.", None),
        ("Without more context, it is impossible to say who designed it.", None),
        ("Could you please clarify your question?", None),
        ("More information is needed to answer this question.", None),
        ("I apologize, but the passages provided do not contain any details regarding the designer.", None),
        ("Passage 1 does not mention the designer.", None),
        ("Passages 1 and 2 don't mention the designer, and passage 3 is about rivers.", None),
        ("Unfortunately, the answer isn't provided in the passages.", None),
        ("According to the passages, there is no answer to this question.", None),
        ("The exact number is not clear from the passages.", None),
        ("From the given passages it is not clear who designed it.", None),
        question="Who designed it?",
    ),
    *kind(
        "A18 not a refusal",
        (
            "Nobody has climbed Mount Anta. The designer of the Anta Bridge is unknown. The Anta Bridge does "
            "not have lights. The book does not mention Lima. There is no water on Mount Anta."
        ),
        ("Nobody has climbed Mount Anta.", 1.0),
        ("The designer of the Anta Bridge is unknown.", 1.0),
        ("The Anta Bridge does not have lights.", 1.0),
        ("The Anta Bridge has lights.", 0.0),
        ("There is no water on Mount Anta.", 1.0),
        question="Describe Anta.",
    ),
    *kind(
        "A36",
        "The war of Anta began in 1845. The king of Anta died in 1851. Ann Lee moved to Paris in 1999.",
        ("1945. The war of Anta began.", 0.0),
        ("1845. The war of Anta began.", 1.0),
        ("Key dates:\n1945. The war of Anta began.\n1951. The king of Anta died.", 0.0),
        ("1845) The war of Anta began.", 1.0),
        ("1945) The war of Anta began.", 0.0),
        ("- 1945: The war of Anta began.\n- 1851: The king of Anta died.", 0.5),
        ("**1945**: The war of Anta began.", 0.0),
        ("1945 - The war of Anta began.", 0.0),
        ("* **1845** — The war of Anta began.", 1.0),
        ("(1945) The war of Anta began.", 0.0),
        ("[1945] The war of Anta began.", 0.0),
        ("1945\nThe war of Anta began.\n\n1851\nThe king of Anta died.", 0.5),
        ("Timeline\n- 1945, the war of Anta begins", 0.0),
        ("1945 → The war of Anta began.", 0.0),
        ("Year 1945: The war of Anta began.", 0.0),
        ("In 1945: The war of Anta began.", 0.0),
        ("1999. Ann Lee moved to Paris.", 1.0),
    ),
    *kind(
        "A36 not year",
        "The war of Anta began in 1845.",
        ("12. The war of Anta began in 1845.", 1.0),
        ("100. The war of Anta began in 1845.", 1.0),
        ("2. The war of Anta began in 1845.\n3. The war of Anta began in 1945.", 0.5),
    ),
    *kind(
        "A38",
        (
            "The patient has hepatitis B. Treatment takes a year. The group passed level C. They live in "
            "Washington D.C. The train leaves from platform A. Bob Ray works for J.P. Morgan. The firm is "
            "called Acme Co. It makes cars. Dr. Lee works at St. Mary's Hospital. The bus stops at No. 5 Elm "
            "St. in Rome."
        ),
        ("The patient has hepatitis B. Treatment takes a year.", 1.0),
        ("They live in Washington D.C. The train leaves from platform A.", 1.0),
        ("The firm is called Acme Co. It makes cars.", 1.0),
        ("Bob Ray works for J.P. Morgan.", 1.0),
        ("Dr. Lee works at St. Mary's Hospital.", 1.0),
        ("The bus stops at No. 5 Elm St. in Rome.", 1.0),
        ("The group passed level C. Bob Ray works for J.P. Morgan.", 1.0),
        ("The group passed level C! They live in Washington D.C.", 1.0),
        ("The patient has hepatitis B.Treatment takes a year.", 1.0),
        ("the patient has hepatitis B. treatment takes a year.", 1.0),
    ),
    *kind(
        "A38 b",
        (
            "The meeting is at 5 p.m. Bring a pen. The U.S. Army was founded in 1775. The movie stars Robert "
            "Downey Jr. The hall holds 500 people. The value of x is 3.5. The site is example.com. E. coli "
            "is a bacterium. Mr. T is an actor."
        ),
        ("The meeting is at 5 p.m. Bring a pen.", 1.0),
        ("The U.S. Army was founded in 1775.", 1.0),
        ("The movie stars Robert Downey Jr. The hall holds 500 people.", 1.0),
        ("The value of x is 3.5. The site is example.com.", 1.0),
        ("E. coli is a bacterium.", 1.0),
        ("Mr. T is an actor.", 1.0),
        ("The hall holds 500 people… The value of x is 3.5.", 1.0),
        ("The hall holds 600 people. The value of x is 3.5.", 0.5),
        ('The hall holds 500 people." The value of x is 3.5.', 1.0),
    ),
    *kind(
        "Q",
        EVIDENCE_0,
        ("Is it true that the Golden Gate Bridge opened in 1957?", None),
        ("Did the Golden Gate Bridge open in 1957? No, it opened in 1937.", 1.0),
        ("It is true that the Golden Gate Bridge opened in 1937.", 1.0),
        ("It is true that the Golden Gate Bridge opened in 1957.", 0.0),
    ),
    *kind(
        "Q2",
        EVIDENCE_0,
        ("It is true that the Golden Gate Bridge opened in 1957.", 0.0),
        ("Yes, it is true.", 0.0),
        ("True.", 0.0),
        ("No, it opened in 1937.", 1.0),
        question="Is it true that the Golden Gate Bridge opened in 1957?",
    ),
]


@pytest.mark.parametrize("report", [pytest.param(report, id=report.id) for report in REPORTS])
def test_another_case_of_a_report_has_the_right_precision(report):
    found = score(LexicalChecker(), report)
    assert found.precision == report.precision, [(v.fact.text, v.label.value, v.score) for v in found.verdicts]


@pytest.mark.parametrize(
    "text", ["Lima jest stolicą Chile.", "Lima adalah ibu kota Chili.", "Lima este capitala statului Chile."]
)
def test_a_short_answer_in_another_language_is_refused(text):
    with pytest.raises(ValueError, match="in another language"):
        refuse_other_languages(text)


@pytest.mark.parametrize(
    "text", ["El Niño is a climate pattern.", "La Paz is in Bolivia.", "Rio de la Plata", "jalapeño peppers"]
)
def test_names_and_loan_words_of_other_languages_are_english(text):
    refuse_other_languages(text)
