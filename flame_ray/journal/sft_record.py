"""Reads what the page of `flame-ray report` shows of a fine-tuning, finished or not, from its folder."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from flame_ray.journal.run_folder import CONFIG, SUMMARY, TIMELINE, RunFolder
from flame_ray.journal.run_record import by_name, check_version, digest_of, made_on, stages_of
from flame_ray.journal.sft_journal import TABLE
from flame_ray.journal.step_log import read_steps, step_files
from flame_ray.report.page.records import LearnedSource, SftRecord

SHOWN = (  # settings without which a fine-tuning cannot be shown
    *("run.seed", "model.policy", "learner.loss", "learner.lora", "learner.lr", "learner.lr_final", "learner.batch_pairs"),
    *("sft.fact_based", "sft.others"),
)
NO_CURVE = ("round", "step", "seconds")  # of a step


def is_fine_tuning(run: RunFolder) -> bool:
    """Whether `flame-ray sft` wrote the folder."""
    return run.storage.exists(CONFIG) and bool(run.settings().get("sft", {}).get("sources"))


class SftReader:
    """The folder of one fine-tuning. Raises StorageError for settings of another version."""

    def __init__(self, run: RunFolder):
        self._run, self._config = run, run.settings()
        check_version(run, self._config, SHOWN)

    @property
    def url(self) -> str:
        return self._run.storage.url

    @property
    def id(self) -> str:
        return self._run.summary().get("run_id") or self.url.rpartition("/")[2]

    def version(self) -> str:
        """Another one whenever the fine-tuning has gone on, by a step or by a stage."""
        return digest_of(self._run.storage, (SUMMARY, TIMELINE, *step_files(self._run.storage)))

    def record(self) -> SftRecord:
        summary, steps = self._run.summary(), by_name(read_steps(self._run.storage), NO_CURVE)
        seeds, elicited, training = (summary.get(name, {}) for name in ("seeds", "elicited", "training"))
        losses = training.get("loss_by_step", ())
        return SftRecord(
            id=self.id,
            status=summary.get("status", "running"),
            seconds=summary.get("wall_seconds"),
            stages=stages_of(self._run),
            about=self._about(),
            sources=tuple(self._sources(summary.get("examples"))),
            left_out={reason: count for reason, count in summary.get("left_out", {}).items() if count},
            seeds=seeds.get("instructions"),
            fact_based=seeds.get("fact_based"),
            asked=elicited.get("instructions", 0),
            own_answers=elicited.get("answers", 0),
            own_left_out=elicited.get("left_out", {}),
            shown=elicited.get("shown", {}),
            training={name: value for name, value in training.items() if name != "loss_by_step"},
            error=summary.get("error"),
            steps=steps or ({"loss": tuple(losses)} if losses else {}),  # an earlier version kept no other figure of a step
        )

    def _sources(self, counted: Mapping[str, Any] | None) -> Iterator[LearnedSource]:
        """Before the end only the table says what is learned, and no tokens."""
        if counted is None:
            found = Counter(row["source"] for row in self._run.read_table(TABLE, ["source"]))
            yield from (LearnedSource(name, answers) for name, answers in found.items())
            return
        tokens = counted["tokens_by_source"]
        yield from (LearnedSource(name, answers, tokens.get(name)) for name, answers in counted["by_source"].items())

    def _about(self) -> dict[str, str]:
        """What the model was made with, in the order in which it is shown."""
        config, learner, sft = self._config, self._config["learner"], self._config["sft"]
        found = {
            "model": self._run.models().get("model.policy", config["model"]["policy"]),
            "loss": f"{learner['loss']}, {'LoRA' if learner['lora'] else 'all parameters'}",
            "learning rate": f"{learner['lr']:g}, which falls towards {learner['lr_final']:g}",
            "length": _length(learner),
            "answers a step": str(learner["batch_pairs"]),
            "sources": "; ".join(map(_source, sft["sources"])),
            "answers where facts are needed": sft["fact_based"],
            "answers elsewhere": sft["others"],
            **(_elicitation(config) if {sft["fact_based"], sft["others"]} != {"human"} else {}),
            "seed": str(config["run"]["seed"]),
            **made_on(self._run),
        }
        return {name: value for name, value in found.items() if value}


def _length(learner: Mapping[str, Any]) -> str:
    """What ends the training: seconds before steps, and these before epochs."""
    named = ((f"{learner[name]} {name}") for name in ("seconds", "steps", "epochs") if learner.get(name))
    return next(named, "")


def _source(source: Mapping[str, Any]) -> str:
    """
    >>> _source({"source": "seeds.jsonl", "limit": 90, "weight": 0.5})
    'seeds.jsonl, the first 90, weight 0.5'
    """
    limit, weight = source.get("limit"), source.get("weight", 1.0)
    parts = [f"the first {limit}" if limit else "", f"weight {weight:g}" if weight != 1 else ""]
    return ", ".join([source["source"], *filter(None, parts)])


def _elicitation(config: Mapping[str, Any]) -> dict[str, str]:
    elicit = config["sft"].get("elicit", {})
    shots, similarity = elicit.get("shots"), elicit.get("similarity")
    classes = config.get("classify", {}).get("by", "") if config["sft"]["fact_based"] != config["sft"]["others"] else ""
    return {
        "who says what needs facts": classes,
        "own answers to a seed": str(elicit.get("samples") or ""),
        "examples shown": f"{shots} at most, nearest by {similarity}" if shots else "",
        "passages shown": str(elicit.get("passages") or ""),
        "weight of own answers": f"{elicit['weight']:g}" if elicit.get("weight", 1.0) != 1 else "",
    }
