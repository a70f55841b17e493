"""The features of texts and the best window are what the plain loops find, which read every clause and every window anew."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flame_ray.rewards.factuality.check.figures import (
    BEGINS,
    FIGURE,
    FIRST,
    MAY_HAVE_FIGURES,
    ORDINALS,
    SCALES,
    TOP,
    _figures,
    _without,
    figures,
    rank,
)
from flame_ray.rewards.factuality.check.lexical import (
    COEFFICIENTS,
    INTERCEPT,
    TWIN,
    Features,
    _bounded,
    _compare,
    _compare_numbers,
    _is_reversed,
    _logit,
    _turned,
    best_window,
)
from flame_ray.rewards.factuality.check.lexical_features import (
    _LIGHT_STEMS,
    CLAUSE,
    JOINED,
    KINDS,
    LIGHT,
    NEGATIONS,
    OF_NAMES,
    OPPOSITES,
    STOP,
    TOKEN,
    Number,
    TextFeatures,
    _bare,
    _comparison,
    _features,
    _in_order,
    _is_letter,
    _neighbours,
    _normal,
    _stem,
    _units,
    claim_features,
    windows_of,
)
from flame_ray.rewards.factuality.check.one_form import (
    _WEEKDAY,
    BOUNDS,
    CLOCK,
    DATES,
    ERA,
    GROUPED,
    MONEY,
    NAME_THE_NTH,
    NTH_NAME,
    NUMERAL,
    POWER,
    _clock,
    _date,
    _numeral,
    _power,
    _with_fractions,
    in_one_form,
)
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.types import Passage

FACTS = Path(__file__).parents[4] / "benchmarks" / "country_facts.jsonl"
PLAIN = re.compile(FIGURE.pattern.replace(BEGINS, ""), FIGURE.flags)
ODD = (
    "",
    "Fıve ſeven İts ten — 2² x³, and no more than m²",
    "The 1st and 2nd album, the 2nd century, the first president, on Monday, 15 Jan. 1967",
    "US$ 5m, EUR 7 and GBP 8.5bn between 80% and 90%, no fewer than 16 181; thirty-two dozen",
    "Not for vitamin C, but Peru and Lima (two of the 12 million), 1967-01-15, 15.01.1967, 3/4/1999",
    "Saint Kitts and Nevis does not have twenty-five km of coast, up to 5 nmi, about US $3 trillion",
    "in the 1960s, at the 19th century's end, 7th of May, ٣ and ٤-٥",
)
PROSE = Passage(
    "wiki/0",
    "Lima",
    "Lima is the capital of Peru.\nIt was founded in 1535 by Francisco Pizarro, who was not born there.\n"
    "The city has 10 million people and no river longer than 160 km.\nIt is less dry than Cairo.",
)


@pytest.fixture(scope="module")
def passages():
    return tuple(load_corpus("factbook"))


@pytest.fixture(scope="module")
def facts():
    return [json.loads(line)["claim"] for line in FACTS.read_text(encoding="utf-8").splitlines()]


def texts_of(passage):
    lines = [list(_units(line)) for line in passage.text.split("\n") if line.strip()]
    return [(passage.text, ""), *(text for units in lines for text in units), *_neighbours(lines)]


def test_every_window_of_the_factbook_has_the_features_of_the_plain_loop(passages):
    for passage in (*passages[::150], PROSE, *(Passage("o", "Odd", text) for text in ODD)):
        for text, label in texts_of(passage):
            assert _features(text, label) == plain_features(text, label), text


def test_every_fact_has_the_features_of_the_plain_loop(facts):
    for text in (*facts[::20], *ODD):
        assert _features(text) == plain_features(text), text


def test_a_text_without_dates_and_money_is_written_as_the_whole_list_of_patterns_writes_it(passages, facts):
    for text in (*(passage.text for passage in passages[::100]), *facts[::10], *ODD):
        assert in_one_form(text) == plain_form(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In Paris I saw the tower", "In Paris I saw the tower"),
        ("When Peter and I met", "When Peter and I met"),
        ("Elizabeth I of England reigned", "Elizabeth 1 of England reigned"),
        ("World War I began in 1914", "World War 1 began in 1914"),
        ("Pope John Paul I was born in Italy", "Pope John Paul 1 was born in Italy"),
    ],
)
def test_a_pronoun_is_no_numeral(text, expected):
    assert in_one_form(text) == expected


def test_the_figures_of_a_clause_and_the_rest_are_those_of_two_searches(passages, facts):
    clauses = [clause for passage in passages[::200] for clause in CLAUSE.split(passage.text)]
    for clause in (*clauses, *facts[::20], *ODD):
        assert figures(clause) == plain_figures(clause), clause


def test_the_best_window_is_that_of_a_loop_over_all_windows(passages, facts):
    by_title = {title: tuple(each for each in passages if each.title == title)[:8] for title in ("Luxembourg", "Peru", "Haiti")}
    for title, evidence in by_title.items():
        windows = windows_of((*evidence, PROSE, replace(PROSE, id="wiki/1"), replace(evidence[0], id="again")))
        about = [fact for fact in facts if title in fact][:12]
        for fact in (*about, "Lima has 10 million people", "It rains", "The capital of Peru is Cuzco", *ODD):
            assert best_window(fact, windows) == plain_best(fact, windows.all), fact
            text = claim_features(fact)
            assert all(bound >= _logit(_compare(text, windows.all[place])) for bound, place in _bounded(text, windows)), fact


def plain_form(text):
    text = NTH_NAME.sub(lambda found: f"{found[2]} {rank(found[1]):.0f}", text)
    text = NAME_THE_NTH.sub(lambda found: f"{found[1]} {rank(found[2]):.0f}", text)
    text = _with_fractions(NUMERAL.sub(_numeral, text))
    if not any(map(str.isdigit, text)):
        return text
    text = _WEEKDAY.sub("", text)
    for code, sign in MONEY:
        text = code.sub(sign, text)
    for pattern, order in DATES:
        text = pattern.sub(lambda match, order=order: _date(match, order=order), text)
    for pattern, instead in BOUNDS:
        text = pattern.sub(instead, text)
    text = ERA.sub(lambda found: "BC" if found[1] else "AD", CLOCK.sub(_clock, text))
    text = POWER.sub(_power, text)
    return GROUPED.sub(lambda match: match[1] + re.sub(r"\D", ",", match[2]), text)


def plain_figures(clause):
    top = [FIRST] if TOP.search(clause) else []
    if not MAY_HAVE_FIGURES.search(clause):
        return top, clause
    clause = re.sub(r"\b(?:1st|2nd)\b(?![- ]century)", lambda match: ORDINALS[match[0]], clause)
    matches = list(PLAIN.finditer(clause))
    return [*_figures(matches, clause), *top], _without(matches, clause)


def plain_features(text, label=""):
    subject, names, weights, numbers, bare = set(), set(), {}, [], []
    denies, opening = False, True
    binding = plain_features(label).stems - _LIGHT_STEMS if label else frozenset()
    normal = _normal(text)
    for clause in CLAUSE.split(normal):
        found, rest = plain_figures(clause)
        tokens = TOKEN.findall(rest)
        words = [token.lower() for token in tokens]
        around = frozenset(_stem(word) for word in words if word not in STOP) - _LIGHT_STEMS | binding
        numbers += [Number(figure, around) for figure in found]
        for before, token, word in zip(["", *tokens], tokens, words, strict=False):
            if word in NEGATIONS:
                denies = True
            elif word in JOINED or (word in STOP and word not in OF_NAMES):
                opening = opening and not subject
            elif (word not in STOP and word not in SCALES and len(word) > 1) or _is_letter(token, before):
                stem = _stem(word)
                is_name = token[0].isupper()
                is_kind = is_name and word in KINDS
                if _bare(word):
                    bare.append((stem, _bare(word)))
                if is_name and not is_kind:
                    (subject if opening else names).add(stem)
                opening = opening and is_name
                weights[stem] = 0.1 if word in LIGHT or is_kind else 1.2 if len(word) >= 8 else 1.0
        opening = opening and not subject
    return TextFeatures(
        frozenset(weights),
        frozenset(subject),
        frozenset(names - subject),
        weights,
        tuple(numbers),
        denies,
        _in_order(normal),
        tuple(bare),
        _comparison(normal),
    )


def plain_best(claim, windows):
    text = claim_features(claim)
    best, found, decided = -math.inf, None, None
    for window in windows:
        if (text.stems - window.title).isdisjoint(window.own) and not text.numbers:
            continue
        features = plain_compare(text, window)
        assert _compare(text, window) == features
        logit = INTERCEPT + sum(weight * value for weight, value in zip(COEFFICIENTS, features, strict=True))
        assert _logit(features) == logit
        if logit > best:
            best, found, decided = logit, features, window
    return found, decided


def plain_compare(claim, window):
    missed = claim.stems - window.own - window.title
    turned = _turned(claim.comparison, window.comparison)
    missed -= claim.comparison.how if turned is False else frozenset()
    plain = claim.stems - claim.names - claim.subject - window.title
    plain_total = math.fsum(claim.weights[stem] for stem in plain)
    plain_got = math.fsum(claim.weights[stem] for stem in plain - missed)
    names = claim.names & missed
    numbers_missed, numbers_elsewhere = _compare_numbers(claim, window)
    reversed_ = _is_reversed(missed - names, claim, window) if turned is None else float(turned)
    denial = float(claim.denies != window.denies)
    subject_missed = len(claim.subject & missed) / len(claim.subject) if claim.subject else 0.0
    share = plain_got / plain_total if plain_total else 1.0
    alike = not names and claim.subject <= window.own | window.title | window.passage and (share >= TWIN or reversed_)
    return Features(
        plain=share,
        no_plain=float(plain_total > 0 and plain_got == 0),
        names_missed=min(3, len(names)),
        names_missed_on_record=0.0 if window.is_prose else min(3, len(names)),
        names_absent=min(3, len(names - window.passage)),
        subject_missed=subject_missed,
        numbers_missed=min(2, numbers_missed),
        numbers_elsewhere=min(2, numbers_elsewhere),
        opposites=float(any(not OPPOSITES[stem].isdisjoint(window.own) for stem in missed if stem in OPPOSITES)),
        verbatim=float(not denial and not numbers_missed and claim.words in window.words),
        twin=float(bool(alike and window.is_prose and (numbers_missed or reversed_ or denial))),
        reversed=reversed_,
        value_missed=float(bool(claim.value) and claim.value.isdisjoint(window.own | window.passage | window.title)),
        denial=denial,
        plain_absent=math.fsum(claim.weights[stem] for stem in plain - window.passage) / plain_total if plain_total else 0.0,
        matched=math.log1p(len(claim.stems - missed - window.title)),
        prose=float(window.is_prose),
        prose_length=window.is_prose * max(0.0, math.log((len(claim.stems) + len(claim.numbers) or 1) / 5)),
    )
