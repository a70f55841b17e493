"""What the shell offers at the Tab key. A shell waits for it: only a name that needs it loads what lists it."""

from collections.abc import Iterable
from pathlib import Path

from flame_ray.config import Config
from flame_ray.config.describe import sections

Offers = list[tuple[str, str]]  # each word, and what it means


def names_of_settings(incomplete: str) -> Offers:
    """Sections and settings, for `flame-ray settings`."""
    known: dict[str, str] = {}
    for section in sections(Config):
        known |= {section.path: section.meaning} | {each.path: each.meaning for each in section.settings}
    return [(path, meaning) for path, meaning in known.items() if path.startswith(incomplete)]


def assignments(incomplete: str) -> Offers:
    """`section.key=`, for --set. Of a single one, its default too: bash puts a blank behind the only offer."""
    listed = (setting for section in sections(Config) for setting in section.settings if "[]" not in setting.path)
    found = [setting for setting in listed if setting.path.startswith(incomplete)]
    offers = [(f"{each.path}=", each.meaning) for each in found]
    return offers + [(f"{each.path}={each.default}", "the default") for each in found if len(found) == 1]


def job_files(incomplete: str) -> Offers:
    """YAML files, and folders, which may hold some. A single folder is opened: bash puts a blank behind the only offer."""
    folder, _, name = incomplete.rpartition("/")
    here = Path(f"{folder}/" if folder or incomplete.startswith("/") else ".").expanduser()
    found = sorted(each for each in here.glob("*") if each.name.startswith(name) and (name or not each.name.startswith(".")))
    before = incomplete.removesuffix(name)
    folders = [(f"{before}{each.name}/", "") for each in found if each.is_dir()]
    files = [(f"{before}{each.name}", "") for each in found if each.suffix in (".yaml", ".yml") and not each.is_dir()]
    return (len(folders) == 1 and not files and job_files(folders[0][0])) or folders + files


def suites(incomplete: str) -> list[str]:
    """The names that --suite takes."""
    from flame_ray.evaluation.suites import SUITES

    return _starting(incomplete, SUITES)


def tables(incomplete: str) -> list[str]:
    """The names that `flame-ray reproduce` takes."""
    from flame_ray.reproduction.tables import TABLES

    return _starting(incomplete, TABLES)


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
