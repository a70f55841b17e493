"""`flame-ray settings`: lists settings with what they may be, their defaults and what they mean."""

import json
import re
from dataclasses import asdict, replace

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flame_ray.config import Config
from flame_ray.config.describe import Section, Setting, sections
from flame_ray.config.faults import did_you_mean
from flame_ray.errors import ConfigError

WIDE = 120  # columns from which on a table is easier to read than a list


def list_settings(name: str | None, as_json: bool, console: Console) -> None:
    """Print a section with those inside it, or one setting; None: all. Raises ConfigError with the nearest names."""
    chosen = list(sections(Config)) if name is None else _named(name)
    if as_json:
        found = [asdict(setting) for section in chosen for setting in section.settings]
        console.print(json.dumps(found, indent=1, ensure_ascii=False), soft_wrap=True)
        return
    for section in chosen:
        console.print(Text.assemble((section.path, "bold"), f": {section.meaning}"))
        if console.width >= WIDE:
            console.print(_table(section))
        else:
            _print_list(section, console)


def _named(name: str) -> list[Section]:
    wanted = _plain(name)
    chosen = [part for section in sections(Config) if (part := _part(section, wanted))]
    if not chosen:
        fix = "correct the name; `flame-ray settings` lists all of them"
        raise ConfigError("the name of a section or a setting", f"{name}{did_you_mean(name, Config)}", fix)
    return chosen


def _part(section: Section, wanted: str) -> Section | None:
    """What a section has of a name: itself if it bears the name or is inside such a one, or else its setting of the name."""
    if f"{_plain(section.path)}.".startswith(f"{wanted}."):
        return section
    named = tuple(setting for setting in section.settings if _plain(setting.path) == wanted)
    return replace(section, settings=named) if named else None


def _plain(path: str) -> str:
    """`prompts.sources.limit` of `prompts.sources[].limit` and of `prompts.sources.0.limit`."""
    return re.sub(r"\[\d*\]|\.\d+(?=\.|$)", "", path.strip("."))


def _table(section: Section) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("setting", "may be", "default", "with --resume", "meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "setting", ratio=4 if heading == "meaning" else None)
    for each in section.settings:
        table.add_row(each.path, each.may_be, _default(each), _resumed(each), each.meaning)
    return table


def _print_list(section: Section, console: Console) -> None:
    for each in section.settings:
        facts = f"{each.may_be}; {_default(each, 'default ')}; {_resumed(each)} with --resume"
        text = Text.assemble((each.path, "bold"), f"\n{facts}\n{each.meaning}")
        console.print("", Padding(text, (0, 0, 0, 2)), sep="\n")
    console.print()


def _default(setting: Setting, before: str = "") -> str:
    return "must be given" if setting.default is None else f"{before}{setting.default}"


def _resumed(setting: Setting) -> str:
    return "may change" if setting.changeable else "stays"
