"""The fine-tuned checker trained on very little, for real: the weights, their card, and what is refused before."""

import io
import json

import pytest
from rich.console import Console

from flame_ray.commands.reward_model import agreement_of
from flame_ray.commands.train_checker import CARD, train_checker
from flame_ray.config import Config
from flame_ray.engines.finetuned import FinetunedModel
from flame_ray.engines.models import CHECKER_WEIGHTS
from flame_ray.errors import DataError, StorageError
from flame_ray.reward_training.data import prepare_data
from flame_ray.reward_training.grouped_split import grouped_split
from flame_ray.rewards.factuality.check.finetuned import FinetunedChecker
from flame_ray.types import Claim, Fact, LabelledClaim, Passage, Verdict, VerdictLabel

CITIES = ["Lima", "Nairobi", "Tokyo", "Havana", "Santiago", "Rome"]
ROWS = [
    {"claim": f"{city} is {what} than Oslo.", "evidence": [f"{city} is warmer than Oslo."], "label": label, "group": "cities"}
    for city in CITIES
    for what, label in (("warmer", "supported"), ("colder", "not_supported"))
]
CORPUS = ["Lima is the capital of Peru.", "Nairobi was founded in 1899 by the British.", "Tokyo is larger than Kyoto."]
TINY = {"mixed": 5, "epochs": 1, "batch": 8, "batch_twins": 16}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "labels.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    passages = [{"title": text.split()[0], "text": text} for text in CORPUS]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in passages))
    return folder


def settings(files, **changed):
    paths = {"twins": {str(files / "corpus.jsonl"): 20}, "labels": [str(files / "labels.jsonl")]}
    return Config.model_validate({"run": {"name": "t", "seed": 1}, "train_checker": TINY | paths | changed})


def train(config, out, **settings):
    screen, tables = (Console(file=io.StringIO(), width=150) for _ in range(2))
    card = train_checker(config, out, screen, tables, **settings)
    return card, screen.file.getvalue(), tables.file.getvalue()


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "new"
    return out, *train(settings(files), out)


def test_the_folder_holds_the_weights_and_their_card(trained):
    out, card, _, _ = trained
    assert sorted(path.name for path in out.iterdir()) == [CARD, CHECKER_WEIGHTS]
    assert json.loads((out / CARD).read_text()) == json.loads(json.dumps(card))


def test_the_card_says_what_it_was_trained_on_and_how_it_does(trained):
    _, card, _, _ = trained
    assert set(card) == {"model", "for", "data", "seed", "made_with", "seconds", "agreement_on_kept_aside"}
    assert set(card["data"]) == {"twins", "trained_on", "kept_aside", "labels", "settings"}
    assert {len(digest) for digest in card["data"]["labels"].values()} == {64}
    assert (card["data"]["twins"], card["data"]["trained_on"] + card["data"]["kept_aside"], card["seed"]) == (20, 12, 1)
    assert list(card["data"]["settings"]["twins"].values()) == [20]
    lexical, *small = card["agreement_on_kept_aside"]
    assert lexical["checker"].startswith("lexical") and [each["after"] for each in small] == ["twins", "labels"]
    assert all(each["checker"].startswith("small/") for each in small) and small[0]["checker"] != small[1]["checker"]
    assert all(
        each["n"] == card["data"]["kept_aside"] > 0 and each["balanced_accuracy"] is not None for each in (lexical, *small)
    )


def test_the_weights_are_those_that_the_card_names_and_they_decide(trained):
    out, card, _, _ = trained
    model = FinetunedModel(out)
    checker = FinetunedChecker(model, model.name)
    assert checker.identity == card["agreement_on_kept_aside"][-1]["checker"]
    (verdict,) = checker.check([Claim(Fact("Lima is warm", 0), (Passage("a", "", "Lima is warm."),))])
    assert 0 < verdict.score < 1


def test_a_person_sees_both_phases_and_three_tables(trained):
    out, _, screen, tables = trained
    assert "20 examples, 2 steps" in screen and f"written to {out}" in screen
    assert " ".join(tables.split()).count("claims, at its own threshold 0.5") == 3


def test_the_same_seed_trains_the_same_weights(files, trained, tmp_path):
    out, card, _, _ = trained
    again, _, _ = train(settings(files), tmp_path)
    assert (tmp_path / CHECKER_WEIGHTS).read_bytes() == (out / CHECKER_WEIGHTS).read_bytes()
    differing = {"seconds": 0, "made_with": {}}
    assert again | differing == card | differing


def test_training_that_is_cut_off_leaves_the_weights_that_were_there(files, tmp_path):
    (tmp_path / CHECKER_WEIGHTS).write_bytes(b"those of before")
    phases = []

    def interrupted(model, tokenizer, phase, seed, advance):
        phases.append(phase)
        advance(1, 1, 0.5)
        if len(phases) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings(files), tmp_path, train=interrupted)
    assert (tmp_path / CHECKER_WEIGHTS).read_bytes() == b"those of before" and not (tmp_path / CARD).exists()


def test_without_twins_there_is_one_phase(files, tmp_path):
    card, screen, _ = train(settings(files, twins={}), tmp_path)
    assert [each.get("after") for each in card["agreement_on_kept_aside"]] == [None, "labels"]
    assert "0 examples" not in screen


def test_what_is_trained_on_and_what_is_kept_aside_have_no_claim_or_evidence_in_common(files):
    data = prepare_data(settings(files, labels=[str(files / "labels.jsonl")] * 2))
    assert len(data.labelled) + len(data.held_out) == 24 and data.labelled and data.held_out
    assert (data.labelled, data.held_out) == grouped_split([*data.labelled, *data.held_out], 0.3)
    evidence = [{each.claim.passages_K for each in part} for part in (data.labelled, data.held_out)]
    assert not evidence[0] & evidence[1]


def test_a_claim_on_which_the_checker_fails_is_missing_and_no_score():
    class Failing:
        identity, threshold = "failing", 0.5

        def check(self, claims):
            labels = [VerdictLabel.ERROR, VerdictLabel.SUPPORTED, VerdictLabel.NOT_FOUND]
            return tuple(Verdict(claim.fact, label, 0.0, None) for claim, label in zip(claims, labels, strict=True))

    claims = [LabelledClaim(Claim(Fact("a", 0), ()), supported, "g") for supported in (True, True, False)]
    found = agreement_of(Failing(), claims, Config.model_validate({"run": {"name": "t"}}))
    assert (found["missing"], found["n"], found["balanced_accuracy"]) == (1, 2, 1.0)


def write(folder, text):
    path = folder / "other.jsonl"
    path.write_text(text)
    return [str(path)]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no line in"),
        ('{"claim": "a"', "other.jsonl:1"),
        (json.dumps(ROWS[0] | {"label": "refuted"}), "other.jsonl:1: 'refuted'"),
        (f"{json.dumps(ROWS[0])}\n{json.dumps(ROWS[2])}", "claims of both labels"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_and_leave_nothing(files, tmp_path, text, part):
    with pytest.raises(DataError) as error:
        train(settings(files, labels=write(tmp_path, text)), tmp_path / "out")
    assert part in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"labels": []}, "none in train_checker.labels"),
        ({"labels": ["/nowhere.jsonl"]}, "/nowhere.jsonl"),
        ({"twins": {"/nowhere.jsonl": 1}}, "/nowhere.jsonl"),
        ({"aside": 1.0, "twins": {}}, "something to train on"),
    ],
)
def test_what_is_not_there_is_named_before_anything_is_made(files, tmp_path, changed, part):
    with pytest.raises(DataError) as error:
        train(settings(files, **changed), tmp_path / "out")
    assert part in str(error.value) and not (tmp_path / "out").exists()


def test_a_corpus_that_states_nothing_is_refused(files, tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"title": "a", "text": "What?"}\n')
    with pytest.raises(DataError, match="a corpus of English statements"):
        train(settings(files, twins={str(tmp_path / "corpus.jsonl"): 5}), tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_refused_before_the_training(files, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        train(settings(files), tmp_path / "file")
