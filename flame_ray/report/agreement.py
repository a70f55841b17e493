"""Shows the results of `flame-ray agreement` as tables."""

from typing import Any

from rich.table import Table
from rich.text import Text

from flame_ray.shown import printable

TAUS = {
    "tau_fraction": "precision and human share of supported facts",
    "tau_errors": "unsupported facts and human errors",
    "tau_precision_errors": "precision and human errors, negated",
    "tau_length_control": "length and human errors (control)",
    "tau_length_control_fraction": "length, negated, and human share (control)",
}
PREFERENCES = {
    "": "judge",
    "longer_wins": "longer wins",
    "longer_is_helpful": "judge, where longer is better",
    "shorter_is_helpful": "judge, where shorter is better",
    "wide_gap": "judge, gap as in pairs.min_judge_gap",
}


def claims_table(found: dict[str, Any]) -> Table:
    """Accuracies in percent, as papers print them, and AUC as a share, by group and overall."""
    title = f"{found['checker']}: claims, at its own threshold {found['threshold']:g}; [95 % interval]"
    table = Table(title=Text(title))
    for heading in ("group", "n", "supported", "balanced accuracy, %", "sensitivity, %", "specificity, %", "AUC"):
        table.add_column(heading, justify="left" if heading == "group" else "right")
    for name, figures in found.get("groups", {}).items():
        table.add_row(Text(printable(name)), *_claims(figures))
    if mean := found.get("mean_over_groups"):
        table.add_row(f"mean of {mean['groups']} groups", "", "", *_figures(mean), style="bold")
    table.add_row("all", *_claims(found), style="bold")
    notes = [_evidence(found["evidence"])] if "evidence" in found else []
    if found["missing"]:
        notes.append(f"{found['missing']} claims on which the checker failed are left out")
    table.caption = Text("; ".join(notes))
    return table


def responses_table(found: dict[str, Any]) -> Table:
    """Kendall's tau-b for each comparison; positive means agreement."""
    left_out = f"{found['abstained']} abstained, {found['missing']} missing, {found['no_human_facts']} without human facts"
    title = f"{found['checker']}: Kendall's tau-b over {found['n']} responses of {found['systems']} systems"
    table = Table(title=Text(f"{title}; [95 % bootstrap interval]"), caption=Text(f"left out: {left_out}"))
    for heading in ("what is compared", "within a system", "pooled"):
        table.add_column(heading, justify="left" if heading == "what is compared" else "right")
    for name, words in TAUS.items():
        tau = found[name]
        cells = (_cell(tau[kind], tau[f"{kind}_ci95"], "{:+.3f}") for kind in ("within_system", "pooled"))
        table.add_row(words, *cells)
    return table


def preferences_table(found: dict[str, Any]) -> Table:
    """The judge's agreement in percent, by group and overall, beside that of length."""
    judge = found["judge"]
    title = f"judge {judge['backend']}: agreement with people's preferences, % (n); [95 % bootstrap interval]"
    table = Table(title=Text(title))
    for heading in ("group", *PREFERENCES.values()):
        table.add_column(heading, justify="left" if heading == "group" else "right")
    for name, figures in found.get("groups", {}).items():
        table.add_row(Text(printable(name)), *(_preference(figures, part) for part in PREFERENCES))
    table.add_row("all", *(_preference(found, part) for part in PREFERENCES), style="bold")
    left_out = f"left out: {found['ties']} ties, {found['missing']} pairs on which the judge failed"
    if (judgements := found.get("judgements")) and judgements["unread"]:
        of = judgements["read"] + judgements["unread"]
        left_out += f", {judgements['unread']} of {of} judgements without a score ({judgements['unread_share']:.1%})"
    gaps = [f"{found[name]:.3g}" if found[name] is not None else "-" for name in ("tie_gap", "other_gap")]
    table.caption = Text(f"{left_out}; mean distance of the two scores: {gaps[0]} on ties, {gaps[1]} on other pairs")
    return table


def classification_table(found: dict[str, Any]) -> Table:
    """Accuracy, precision and recall in percent, each with its n, by group and overall."""
    how = f"{found['texts']} by {found['by']} {found['model']}, fact-based from {found['threshold']:g}"
    table = Table(title=Text(printable(f"{how}; [95 % interval]")))
    headings = ("group", "n", "fact-based", "accuracy, %", "precision, % (n)", "recall, % (n)", "majority, %", "AUC")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "group" else "right")
    for name, figures in found.get("groups", {}).items():
        table.add_row(Text(printable(name)), *_classification(figures))
    table.add_row("all", *_classification(found), style="bold")
    if found["left_out"]:
        table.caption = Text(f"{found['left_out']} that the classifier was trained on are left out")
    return table


def _classification(figures: dict[str, Any]) -> tuple[str | Text, ...]:
    accuracy, *others = (
        _percent(figures[name]["share"], figures[name]["ci95"]) for name in ("accuracy", "precision", "recall")
    )
    shares = [share.append(f" ({figures[name]['n']})") for name, share in zip(("precision", "recall"), others, strict=True)]
    counts = str(figures["n"]), str(figures["fact_based"])
    return (*counts, accuracy, *shares, _percent(figures["majority"], None), _cell(figures["auc"], None, "{:.3f}"))


def _preference(figures: dict[str, Any], part: str) -> Text:
    found = figures[part] if part else figures
    return _percent(found["agreement"], found["ci95"]).append(f" ({found['n']})")


def _claims(figures: dict[str, Any]) -> tuple[str | Text, ...]:
    return (str(figures["n"]), str(figures["supported"]), *_figures(figures))


def _evidence(evidence: dict[str, Any]) -> str:
    """Where the passages came from, in words."""
    if not evidence["retrieved"]:
        return "every claim brought its evidence"
    found, kept = evidence["retrieve"], evidence["keep"] or evidence["retrieve"]
    how = f"{evidence['retriever']} by {evidence['query']} in {evidence['corpus']}, {kept} of {found} passages kept"
    return f"evidence retrieved for {evidence['retrieved']} claims ({how}), given with {evidence['given']}"


def _figures(figures: dict[str, Any]) -> tuple[Text, ...]:
    shares = (("balanced_accuracy", "ci95"), *((name, f"{name}_ci95") for name in ("sensitivity", "specificity")))
    return (*(_percent(figures[name], figures.get(bounds)) for name, bounds in shares), _cell(figures["auc"], None, "{:.3f}"))


def _percent(share: float | None, bounds: list[float] | None) -> Text:
    percent = None if share is None else 100 * share
    return _cell(percent, None if bounds is None else [100 * bound for bound in bounds], "{:.1f}")


def _cell(value: float | None, bounds: list[float] | None, form: str) -> Text:
    if value is None:
        return Text("-")
    return Text(form.format(value) + (f" [{', '.join(form.format(bound) for bound in bounds)}]" if bounds else ""))
