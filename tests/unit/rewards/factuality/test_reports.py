"""What people reported of tools like this one, each with the right value; a row stands for its kind."""

from dataclasses import dataclass

import pytest

from flame_ray.engines.finetuned import FinetunedModel
from flame_ray.rewards.factuality.check import Checker, LexicalChecker
from flame_ray.rewards.factuality.check.finetuned import SHIPPED, FinetunedChecker
from flame_ray.rewards.factuality.decompose import RuleDecomposer
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.reward import FactualityReward, Task
from flame_ray.types import FactScore, Passage, Prompt
from tests.builders import make_response
from tests.doubles import FakeRetriever

CITY = "Lima is the capital of Peru. Lima has 10 million people. The city was founded in 1535 by Francisco Pizarro."
BORDERS = "Peru borders Chile, Ecuador, Colombia, Brazil and Bolivia. Its capital is Lima. Its currency is the sol."


@dataclass(frozen=True, slots=True)
class Report:
    """A response, what the evidence says, and the precision that is right; None: the response abstains."""

    id: str
    response: str
    evidence: str
    precision: float | None
    question: str = ""


def kind(id: str, evidence: str, *cases: tuple[str, float | None], question: str = "") -> list[Report]:
    return [Report(f"{id} {index}", response, evidence, right, question) for index, (response, right) in enumerate(cases)]


REPORTS = [
    *kind(
        "A01 citation markers are no claims",
        CITY,
        (
            "Lima is the capital of Peru.[1] It has 10 million people.[2][3] The city was founded in 1535 by "
            "Francisco Pizarro.[4]",
            1.0,
        ),
        ("Lima is the capital of Peru [1, 2]. It has 10 million people [3-5].", 1.0),
        ("Lima is the capital of Peru.【4†source】 It has 10 million people.[citation needed]", 1.0),
        ("Lima is the capital of Peru.¹ It has 10 million people.²", 1.0),
        ("Lima is the capital of Peru.[^1] It has 10 million people.[^note]", 1.0),
        ("Lima is the capital of Peru.<sup>1</sup> It has 10 million people.", 1.0),
        ("Lima is the capital of Peru [Source 1]. It has 10 million people [Passage 2].", 1.0),
        (r"Lima is the capital of Peru\[1\]. It has 10 million people.\[2\]", 1.0),
        ("Lima is the capital of Chile.[1]", 0.0),
    ),
    *kind(
        "A03 references are no facts",
        CITY,
        ("Lima is the capital of Peru ([Wikipedia](https://en.wikipedia.org/wiki/Lima)).", 1.0),
        ("Lima was founded in 1535 (Smith, 2011).", 1.0),
        ("Lima was founded in 1535 (Smith et al., 2011; Doe and Roe, 2012).", 1.0),
        ("Lima is the capital of Peru (source: https://example.org/lima).", 1.0),
        ("[Lima](https://en.wikipedia.org/wiki/Lima) is the capital of Peru.", 1.0),
        (
            "Lima is the capital of Peru.\n\nReferences:\n1. Smith, J. (2011). A history of Quito. Oxford.\n2. "
            "Doe, A. Peru today.",
            1.0,
        ),
        ("Lima is the capital of Peru.\n\n## Sources\n- Wikipedia is a free encyclopedia.\n- https://example.org", 1.0),
        ("Lima is the capital of Peru [1].\n\n[1] Smith, J. A history of Quito, 2011.", 1.0),
        ("Lima is the capital of Peru.\nSource: Britannica", 1.0),
        ("Lima is the capital of Peru (Wikipedia).", 1.0),
        ("Lima was founded in 1535 (Smith 2010: 45).", 1.0),
        ("Lima is the capital of Peru.\n\nSources used:\n- Wikipedia is a free encyclopedia.", 1.0),
        ("Lima is the capital of Peru.\n\n**Sources:** Wikipedia is a free encyclopedia.", 1.0),
    ),
    *kind(
        "A04 thought is no answer",
        CITY,
        (
            "<think>\nMaybe Lima is the capital of Chile. Quito is the capital of Ecuador.\n</think>\nLima is "
            "the capital of Peru.",
            1.0,
        ),
        ("Maybe Lima is the capital of Chile.\n</think>\n\nLima is the capital of Peru.", 1.0),
        ("<thinking>Lima is the capital of Chile.</thinking>Lima is the capital of Peru.", 1.0),
        ("<think>\nLima is the capital of Peru. Lima has 10 million people.", None),
        ("<think></think>Lima is the capital of Chile.", 0.0),
        ("<|begin_of_thought|>Lima is in Chile.<|end_of_thought|>Lima is the capital of Peru.", 1.0),
        ("<seed:think>Lima is in Chile.</seed:think>Lima is the capital of Peru.", 1.0),
        ("<reason>Lima is in Chile.</reason>Lima is the capital of Peru.", 1.0),
        (
            "<|channel|>analysis<|message|>Lima is in Chile.<|end|><|start|>assistant<|channel|>final<|message|>"
            "Lima is the capital of Peru.<|return|>",
            1.0,
        ),
        ("<|channel|>analysis<|message|>Lima is the capital of Peru.", None),
    ),
    *kind(
        "A06 numbers on one line",
        CITY,
        ("1) Lima is the capital of Peru. 2) It was founded in 1535. 3) It has 10 million people.", 1.0),
        ("1. Lima is the capital of Peru. 2. It was founded in 1535. 3. It has 10 million people.", 1.0),
        ("Three facts: (1) Lima is the capital of Peru. (2) Lima was founded in 1535.", 1.0),
        ("1) Lima is the capital of Peru. 2) It was founded in 1835.", 0.5),
        ("1- Lima is the capital of Peru. 2- It was founded in 1535.", 1.0),
        ("1)Lima is the capital of Peru. 2)It was founded in 1535.", 1.0),
        ("#1 Lima is the capital of Peru. #2 It was founded in 1535.", 1.0),
        ("① Lima is the capital of Peru. ② It was founded in 1535.", 1.0),
        ("1- Lima is the capital of Peru.\n2- It was founded in 1835.", 0.5),
    ),
    *kind(
        "A07 layout is no fact",
        CITY + " get_user_name returns 10_000 rows.",
        ("| City | Founded |\n|---|---|\n| Lima | 1535 |", 1.0),
        ("| City | Founded |\n|---|---|\n| Lima | 1835 |", 0.0),
        ("get_user_name returns 10_000 rows.", 1.0),
        (
            "<p>Lima is the capital of Peru.</p><ul><li>Lima has 10 million people.</li><li>It was founded in 1535.</li></ul>",
            1.0,
        ),
        ("Lima is the capital of Peru.\n```python\n# Quito is the capital of Ecuador\nprint(1)\n```", 1.0),
        ("# About Lima\n\n**Lima** is the *capital* of Peru.\n\n---\n> It has 10 million people.", 1.0),
        ("Lima is the capital of Peru.<br/>Lima has 10&nbsp;million people.<!-- Quito is the capital of Ecuador. -->", 1.0),
    ),
    *kind(
        "A08 the items of a list claim what the list claims",
        BORDERS,
        ("Here are three countries bordering Peru:\n- Kenya\n- Norway\n- Japan", 0.0),
        ("Here are two countries bordering Peru:\n- Chile\n- Brazil", 1.0),
        ("Peru borders:\n1. Chile\n2. Kenya", 0.5),
        ("Peru is bordered by five countries:\n* Chile\n* Kenya", 0.5),
        ("The following countries border Peru:\n- Kenya\n- Norway", 0.0),
        ("There are 2 countries that border Peru:\n- Kenya\n- Norway", 0.0),
        ("Countries that border Peru:\n- **Kenya**: a country in the east\n- **Norway**", 0.0),
        ("These countries border Peru:\n\n- Chile\n- Bolivia", 1.0),
    ),
    *kind(
        "A10 a short answer is read with its question",
        "Quito is the capital of Ecuador.",
        ("Quito", 1.0),
        ("Quito.", 1.0),
        ("Lima", 0.0),
        ("- Quito", 1.0),
        ("**Quito**", 1.0),
        question="What is the capital of Ecuador?",
    ),
    *kind("A10 a year", CITY, ("1535", 1.0), ("1935", 0.0), ("In 1935.", 0.0), question="When was Lima founded?"),
    *kind(
        "A10 a list",
        BORDERS,
        ("- Kenya\n- Norway", 0.0),
        ("- Chile\n- Brazil", 1.0),
        ("Chile and Kenya", 0.5),
        ("Kenya", 0.0),
        question="Which countries border Peru?",
    ),
    *kind("A10 name", BORDERS, ("1. Chile\n2. Kenya", 0.5), question="Name two countries that border Peru."),
    *kind("A10 who", CITY, ("Francisco Pizarro", 1.0), ("Simon Bolivar", 0.0), question="Who founded Lima in 1535?"),
    *kind("A10 yes or no", "Peru is not landlocked.", ("No", 1.0), ("Yes.", 0.0), question="Is Peru landlocked?"),
    *kind(
        "A14 what follows a remark of the model is judged",
        "In the 2021 season the number 95 car is driven by Kyle Busch.",
        (
            "As an AI language model, I don't have access to real-time information, but as of the 2021 season the number 95 "
            "car is driven by Kyle Busch.",
            1.0,
        ),
        (
            "As an AI language model, I don't have access to real-time information, but as of the 2021 season the number 95 "
            "car is driven by Jeff Gordon.",
            0.0,
        ),
        ("I'm not able to browse; however, the number 95 car is driven by Jeff Gordon.", 0.0),
        ("As of my last update, the number 95 car is driven by Jeff Gordon.", 0.0),
        ("As an AI, I can tell you that the number 95 car is driven by Jeff Gordon.", 0.0),
        ("As an AI language model, I don't have access to real-time information.", None),
    ),
    *kind(
        "A16 nested lists",
        BORDERS,
        ("- Peru\n  - Capital: Santiago\n  - Currency: yen", 0.0),
        ("- Peru\n  - Capital: Lima\n  - Currency: sol", 1.0),
        ("## Peru\n\n- **Capital:** Santiago\n- **Currency:** sol", 0.5),
        ("1. Peru\n   - Borders:\n     - Chile\n     - Kenya", 0.5),
    ),
    *kind("A16 with the question's name", BORDERS, ("Capital: Santiago\nCurrency: sol", 0.5), question="Describe Peru."),
    *kind(
        "A18 refusals abstain",
        CITY,
        *(
            (text, None)
            for text in (
                "The passages do not provide the current time in Morocco.",
                "The answer cannot be determined based on the provided passages.",
                "There is no information in the provided passages about the capital of Peru.",
                "The given passages do not mention who won the game.",
                "It is not possible to determine the answer from the given context.",
                "No information is provided about the author of the book.",
                "The text does not specify the date.",
                "The provided context does not contain information about Lima.",
                "Based on the provided passages, it is unclear who founded Lima.",
                "Based on the provided passages, the answer cannot be determined.",
                "The question cannot be answered from the passages.",
                "Insufficient information.",
                "N/A",
                "Unknown.",
                "None of the passages mention Lima.",
                "The document doesn't say when Lima was founded.",
                "I'm sorry, but I don't have information about that.",
                "There is not enough information to answer this question.",
                "The passages provided do not give the population of Peru.",
                "It is not specified in the passages who the king was.",
                "The exact date is not mentioned in the given passages.",
                "The number of episodes cannot be determined from the given passages.",
                "The passages do not directly answer the question.",
                "No answer is given in the passages.",
                "Sorry, the information provided does not include the price.",
                "There is no mention of Lima in the passages.",
                "We cannot answer that question.",
                "I do not know the answer to that.",
                "Cannot be determined.",
                "Unable to determine from the text.",
                "No answer.",
                "No information available.",
                "It's unclear.",
                "It is unknown.",
                "The information is not available.",
                "This information isn't given.",
                "The answer is not in the text.",
                "There isn't any information on that in the text.",
                "The passage makes no mention of Lima.",
                "Neither passage mentions Lima.",
                "Neither of the passages mentions Lima.",
                "The passages lack information about Lima.",
                "Nothing in the passages says when Lima was founded.",
                "The passages are not relevant to the question.",
                "The provided text is irrelevant to the question.",
                "Not in the text.",
            )
        ),
        ("The passages do not say it, but Lima was founded in 1535.", 1.0),
        ("The passages do not say it, but Lima was founded in 1835.", 0.0),
        question="Who founded Lima?",
    ),
    *(
        report
        for wrote in (
            "Jan 15, 1967",
            "1967-01-15",
            "01/15/1967",
            "15 January 1967",
            "January 15th, 1967",
            "15 Jan. 1967",
            "the 15th of January 1967",
        )
        for report in kind(f"A21 {wrote}", "Ann Lee was born on January 15, 1967.", (f"Ann Lee was born on {wrote}.", 1.0))
    ),
    *kind(
        "A21 another day",
        "Ann Lee was born on January 15, 1967.",
        *((f"Ann Lee was born on {wrote}.", 0.0) for wrote in ("Jan 16, 1967", "1967-02-15", "01/15/1968", "15 March 1967")),
    ),
    *kind(
        "A21 the evidence in digits",
        "Ann Lee was born on 1967-01-15.",
        ("Ann Lee was born on January 15, 1967.", 1.0),
        ("Ann Lee was born on May 15, 1967.", 0.0),
    ),
    *kind(
        "A23 thousands with a point",
        "The service has 16,181 users.",
        ("The service has 16.181 users.", 1.0),
        ("The service has 16 181 users.", 1.0),
        ("The service has 16181 users.", 1.0),
        ("The service has 16.281 users.", 0.0),
    ),
    *kind(
        "A24 a decimal comma",
        "The rate is 1.8260 dollars.",
        ("The rate is 1,8260 dollars.", 1.0),
        ("The rate is 1,9260 dollars.", 0.0),
    ),
    *kind(
        "A25 thousands with a space",
        "The town has 16 181 people.",
        ("The town has 16,181 people.", 1.0),
        ("The town has 16\u00a0181 people.", 1.0),
        ("The town has 17,181 people.", 0.0),
    ),
    *kind(
        "A25 short scales",
        "The firm raised $50 million.",
        ("The firm raised $50M.", 1.0),
        ("The firm raised $50m.", 1.0),
        ("The firm raised 50,000,000 dollars.", 1.0),
        ("The firm raised $60M.", 0.0),
        ("The firm raised $50B.", 0.0),
    ),
    *kind(
        "A25 thousands with a letter",
        "The club has 12,000 members.",
        ("The club has 12K members.", 1.0),
        ("The club has 13k members.", 0.0),
    ),
    *kind(
        "A25 plain",
        "The firm sold 4,523,000 shares.",
        ("The firm sold 4523000 shares.", 1.0),
        ("The firm sold 4.523 million shares.", 1.0),
        ("The firm sold 5523000 shares.", 0.0),
    ),
    *kind(
        "A23 a thousand times as many",
        "The storm killed 45 people.",
        ("The storm killed 45,000 people.", 0.0),
        ("The storm killed 45 people.", 1.0),
    ),
    *kind(
        "A25 another scale",
        "India has 1.428 billion people.",
        ("India has 1.428 million people.", 0.0),
        ("India has 1,428 million people.", 1.0),
    ),
    *kind(
        "A03 more forms",
        CITY,
        ("Lima is the capital of Peru [Smith, 2011]. Lima has 10 million people [12, p. 5].", 1.0),
        ("Lima is the capital of Peru.[[1]](https://example.org) It has 10 million people.", 1.0),
        ("According to Wikipedia, Lima is the capital of Peru.", 1.0),
    ),
    *kind(
        "A08 more forms",
        BORDERS,
        ("Here's a list of countries that border Peru:\n• Kenya\n• Norway", 0.0),
        ("Countries bordering Peru: Kenya, Norway, Japan", 0.0),
        ("Sure! Peru shares borders with the following countries:\n\n1. **Kenya** - to the north.\n2. **Norway** - east.", 0.0),
        ("Peru:\n- Capital: Santiago\n- Currency: yen", 0.0),
    ),
    *kind(
        "A08 titles without a colon",
        "Famous Icelandic writers include Halldor Laxness and Gunnar Gunnarsson. Iceland exports fish and aluminium.",
        ("Famous Icelandic writers:\n1. Leo Tolstoy (1828-1910)\n2. Halldor Laxness", 0.5),
        ("**Exports of Iceland**\n- Bananas\n- Fish", 0.5),
    ),
    *kind(
        "A16 a bold or plain owner",
        "The capital of Kenya is Nairobi. Its currency is the shilling.",
        ("**Kenya**\n\n- Capital: Lagos\n- Currency: shilling", 0.5),
        ("Kenya\n- Capital: Nairobi", 1.0),
    ),
    *kind(
        "A36 years that are headings",
        CITY,
        ("### 1935\nLima was founded by Pizarro.", 0.0),
        ("**1535**\n- Lima was founded by Pizarro.", 1.0),
        ("| Year | Event |\n|---|---|\n| 1935 | Lima was founded by Pizarro. |", 0.0),
        ("In 1935. Lima was founded by Pizarro.", 0.0),
    ),
    *kind("A10 how many", CITY, ("10 million", 1.0), ("90 million", 0.0), question="How many people does Lima have?"),
    *kind("A10 where", CITY, ("Peru", 1.0), ("Chile", 0.0), question="In which country is Lima?"),
    *kind("A10 at the end", CITY, ("Peru", 1.0), ("Chile", 0.0), question="Lima is the capital of which country?"),
    *(
        report
        for wrote in ("15-Jan-1967", "Sunday, January 15, 1967", "1967/01/15", "15/01/1967", "15.01.1967")
        for report in kind(f"A21 {wrote}", "Ann Lee was born on January 15, 1967.", (f"Ann Lee was born on {wrote}.", 1.0))
    ),
    *kind(
        "A25 money",
        "The firm raised $50 million.",
        ("The firm raised USD 50 million.", 1.0),
        ("The firm raised US$50M.", 1.0),
        ("The firm raised 50 million euros.", 0.0),
    ),
    *kind(
        "A25 other currencies",
        "The firm raised €50 million.",
        ("The firm raised $50 million.", 0.0),
        ("The firm raised £50 million.", 0.0),
        ("The firm raised €50 mn.", 1.0),
        ("The firm raised 50 million EUR.", 1.0),
    ),
    *kind(
        "A29 money in words",
        "The ticket costs 20 euros.",
        ("The ticket costs $20.", 0.0),
        ("The ticket costs 20 rupees.", 0.0),
        ("The ticket costs 20 EUR.", 1.0),
    ),
    *kind(
        "A29 below zero",
        "The lake was at -5 °C.",
        ("The lake was at 5 °C.", 0.0),
        ("The lake was at -5 °C.", 1.0),
    ),
    *kind("A33 as many as", "As many as 500 people died.", ("At least 500 people died.", 0.0), ("Up to 500 people died.", 1.0)),
    *kind(
        "A33 more bounds",
        "The village of Anta has at least 200 houses.",
        ("The village of Anta has nearly 200 houses.", 0.0),
        ("The village of Anta has 200 houses or fewer.", 0.0),
        ("The village of Anta has 200 houses or more.", 1.0),
    ),
    *kind("A33 years", "The tower was built before 1990.", ("The tower was built in 1990.", 0.0)),
    *kind(
        "A28 years",
        "The war lasted from 1914 to 1918.",
        ("The war lasted from 1914 to 1945.", 0.0),
        ("The war lasted from 1914 to 1918.", 1.0),
    ),
    *kind("A34 fewer", "More women than men vote.", ("Fewer women than men vote.", 0.0), ("More women than men vote.", 1.0)),
    *kind(
        "A28 ranges",
        "The students got test scores of 85, 86 and 89.4%.",
        ("The students all got test scores between 80% and 90%.", 1.0),
        ("The students all got test scores from 80% to 90%.", 1.0),
        ("The students all got test scores between 60% and 70%.", 0.0),
    ),
    *kind("A28 a dash", "The trip takes 12 days.", ("The trip takes 10-14 days.", 1.0), ("The trip takes 20–24 days.", 0.0)),
    *kind(
        "A29 units",
        "The road is 100 km long.",
        ("The road is 100 miles long.", 0.0),
        ("The road is 100 kilometers long.", 1.0),
        ("The road is 62 miles long.", 1.0),
    ),
    *kind("A29 times", "The siege lasted 2 months.", ("The siege lasted 2 years.", 0.0), ("The siege lasted two months.", 1.0)),
    *kind("A29 weights", "The bridge weighs 40 tons.", ("The bridge weighs 40 kilograms.", 0.0)),
    *kind(
        "A29 degrees",
        "Water boils at 100 degrees Celsius.",
        ("Water boils at 100 degrees Fahrenheit.", 0.0),
        ("Water boils at 100 °C.", 1.0),
    ),
    *kind(
        "A29 shares",
        "The tax takes 20 percent of income.",
        ("The tax takes 20 dollars of income.", 0.0),
        ("The tax takes 20% of income.", 1.0),
    ),
    *kind(
        "A31 ranks",
        "Jefferson was the 3rd president of the United States.",
        ("Jefferson was the 5th president of the United States.", 0.0),
        ("Jefferson was the third president of the United States.", 1.0),
        ("Jefferson was the fifth president of the United States.", 0.0),
    ),
    *kind(
        "A31 higher ranks",
        "Lincoln was the 16th president.",
        ("Lincoln was the sixteenth president.", 1.0),
        ("Lincoln was the 17th president.", 0.0),
    ),
    *kind(
        "A31 ranks above twenty",
        "Roosevelt was the 26th president.",
        ("Roosevelt was the twenty-sixth president.", 1.0),
        ("Roosevelt was the twenty-fifth president.", 0.0),
    ),
    *kind(
        "A31 centuries in words",
        "The church was built in the 17th century.",
        ("The church was built in the eighteenth century.", 0.0),
        ("The church was built in the seventeenth century.", 1.0),
    ),
    *kind(
        "A31 counts in words",
        "The town has 125 houses.",
        ("The town has one hundred and twenty-five houses.", 1.0),
        ("The town has one hundred and twenty-six houses.", 0.0),
    ),
    *kind(
        "A33 bounds",
        "At most 500 people died in the flood.",
        ("At least 500 people died in the flood.", 0.0),
        ("At most 500 people died in the flood.", 1.0),
        ("No more than 500 people died in the flood.", 1.0),
        ("More than 500 people died in the flood.", 0.0),
    ),
    *kind(
        "A33 the other way",
        "At least 500 people died in the flood.",
        ("At most 500 people died in the flood.", 0.0),
        ("Fewer than 500 people died in the flood.", 0.0),
        ("At least 500 people died in the flood.", 1.0),
    ),
    *kind(
        "A34 comparisons",
        "The new engine is more efficient than the old one.",
        ("The new engine is less efficient than the old one.", 0.0),
        ("The new engine is more efficient than the old one.", 1.0),
    ),
    *kind("A34 others", "The new engine is faster than the old one.", ("The new engine is slower than the old one.", 0.0)),
    *kind("A34 risks", "The new drug is safer than the old one.", ("The new drug is riskier than the old one.", 0.0)),
    *kind("A34 courts", "The court upheld the law in 2019.", ("The court overturned the law in 2019.", 0.0)),
    *kind(
        "A34 prefixes",
        "The berries of the plant are toxic.",
        ("The berries of the plant are nontoxic.", 0.0),
        ("The berries of the plant are non-toxic.", 0.0),
        ("The berries of the plant are toxic.", 1.0),
    ),
    *kind(
        "A34 fates",
        "Ann Lee survived the crash in 1990. All passengers survived the crash in 1990. She joined the party in 1995.",
        ("Ann Lee died in the crash in 1990.", 0.0),
        ("Few passengers survived the crash in 1990.", 0.0),
        ("She left the party in 1995.", 0.0),
        ("She joined the party in 1995.", 1.0),
    ),
    *kind("A34 growth", "Sales increased in 2019.", ("Sales decreased in 2019.", 0.0), ("Sales fell in 2019.", 0.0)),
    *kind(
        "A36 years are no list numbers",
        CITY,
        ("Timeline of Lima:\n1935. Lima was founded by Pizarro.", 0.0),
        ("Timeline of Lima:\n1535. Lima was founded by Pizarro.", 1.0),
        ("1535. Lima was founded by Pizarro.", 1.0),
        ("1935: Lima was founded by Pizarro.", 0.0),
        ("- 1935 – Lima was founded by Pizarro.", 0.0),
    ),
    *kind(
        "A38 a letter ends a sentence",
        "The device passes test E. Set the switch to STOP.",
        ("The device passes test E. Set the switch to STOP.", 1.0),
        ("The device passes test F. Set the switch to STOP.", 0.0),
    ),
    *kind(
        "A38 vitamins",
        "Oranges contain vitamin C. They come from China.",
        ("Oranges contain vitamin C. They come from China.", 1.0),
    ),
    *kind("A38 initials", "Ulysses S. Grant was a general.", ("Ulysses S. Grant was a general.", 1.0)),
    *kind(
        "quotes",
        'Ann Lee wrote the novel "Salt" in 1990.',
        ('Ann Lee wrote the novel "Salt" in 1990.', 1.0),
        ("Ann Lee wrote the novel “Salt” in 1990.", 1.0),
    ),
    *kind(
        "titles",
        "Ann Lee has a Ph.D. from Yale and founded Acme Inc. in 1990.",
        ("Ann Lee has a Ph.D. from Yale.", 1.0),
        ("Ann Lee founded Acme Inc. in 1990.", 1.0),
    ),
    *kind(
        "lines",
        CITY,
        ("Lima is the capital of Peru.\u2028Lima has 10 million people.", 1.0),
        ("Lima is the capital of Peru.\x00", 1.0),
        ("🇵🇪 Lima is the capital of Peru 🎉", 1.0),
    ),
    *kind("nothing", CITY, ("", None), (" \n", None), ("I cannot answer that.", None), ("...", None)),
]


# The shipped weights of the small checker do not read these well yet; the lexical checker does.
NOT_YET_BY_SMALL = {
    "A08 the items of a list claim what the list claims 1",
    "A10 a list 1",
    "A21 another day 1",
    "A25 money 2",
    "A29 money in words 1",
    "A34 fates 2",
    "A28 a dash 0",
    "A29 units 2",
    "A29 shares 0",
}


@pytest.fixture(scope="module", params=["lexical", "small"])
def checker(request) -> Checker:
    return LexicalChecker() if request.param == "lexical" else FinetunedChecker(FinetunedModel(SHIPPED), "shipped")


def score(checker: Checker, report: Report) -> FactScore:
    reward = FactualityReward(RuleDecomposer(), Evidence(FakeRetriever(), 1), checker)
    given = (Passage("given", "", report.evidence),)
    prompt = Prompt(id="asked", text=report.question)
    (found,) = reward.score([Task(prompt, make_response(report.response, prompt="asked"), given)])
    assert isinstance(found, FactScore), found
    return found


@pytest.mark.parametrize("report", [pytest.param(report, id=report.id) for report in REPORTS])
def test_a_report_has_the_right_precision(checker, report, request):
    if isinstance(checker, FinetunedChecker) and report.id in NOT_YET_BY_SMALL:
        request.applymarker(pytest.mark.xfail(strict=True, reason="the weights of the small checker"))
    found = score(checker, report)
    assert found.precision == report.precision, [(v.fact.text, v.label.value, v.score) for v in found.verdicts]
