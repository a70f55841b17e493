"""`flame-ray judge-examples`: turns people's grades into examples of judging, a table of prompts and answers to train on."""

import json
from collections import Counter
from pathlib import Path

from rich.console import Console

from flame_ray.commands.out import check_out_file
from flame_ray.evaluation.labels import read_judgements
from flame_ray.rewards.judge.rubric import judging_example
from flame_ray.storage.atomic import write_file


def judge_examples(labels: Path, out: Path, console: Console) -> None:
    """Writes one row a judgement: `id`, `prompt` (the rubric's question) and `answer` (the reasons, then the score).

    Raises DataError, naming the line, before anything is written.
    """
    check_out_file(out)
    judgements = read_judgements(labels)
    rows = []
    for number, each in enumerate(judgements, start=1):
        prompt, answer = judging_example(each.instruction, each.response, each.rationale, each.score)
        rows.append({"id": f"judging/{number:06}", "prompt": prompt, "answer": answer})
    write_file(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), "--out")
    scores = Counter(f"{each.score:g}" for each in judgements)
    shares = ", ".join(f"{count} of score {score}" for score, count in sorted(scores.items(), key=lambda item: float(item[0])))
    console.print(f"{len(rows)} examples of judging ({shares}): {out}", highlight=False, markup=False, soft_wrap=True)
