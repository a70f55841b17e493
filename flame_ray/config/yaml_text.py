"""Reads YAML as job files and --set have it, and says in a user's words what is wrong with it."""

import re
from typing import Any

import yaml

TOKEN = re.compile(r"found character '(.+)' that cannot start any token")
# How the library's messages begin, and what they mean to the person who wrote the file.
MEANINGS = {
    "mapping values are not allowed here": "a second `: ` in a line (quote the text), or lines that are indented differently",
    "could not find expected ':'": "a line without `name: value`",
    "expected <block end>, but found": "a line that is indented differently from those above",
    "expected ',' or ']'": "a list `[` that is not closed",
    "expected ',' or '}'": "a mapping `{` that is not closed",
    "expected the node content": "a list `[` or mapping `{` that is not closed",
    "found unexpected end of stream": "a quotation mark that is not closed",
    "could not determine a constructor for the tag": "a tag (`!` and a word): only plain values are read",
    "found unhashable key": "a list or a mapping as a name",
    "found undefined alias": "`*` and a word that no `&` defines",
    "but found another document": "a second document, after `---`",
}
# What YAML 1.1 reads as other than it looks stays text, of which a number's setting reads decimal digits: 010 (8), 1:30 (90),
# 2026-01-31 (a date) and = (a value without a name).
LOOKS_OTHERWISE = re.compile(r"[-+]?0[0-7_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[0-9]{4}-[0-9].*|=")
NOT_YAML = "text that is not YAML"
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Reads plain words as people do where YAML 1.1 does not."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0] and LOOKS_OTHERWISE.fullmatch(value):
            return TEXT
        return str(super().resolve(kind, value, implicit))


class BadYaml(Exception):
    """What is wrong, and in which line; the first is 1."""

    def __init__(self, line: int, reason: str):
        super().__init__(line, reason)
        self.line, self.reason = line, reason


def parse_yaml(text: str) -> Any:
    """The value that a text holds. Raises BadYaml, also for a name that is given twice, where YAML would take the last.

    >>> parse_yaml("rollout: {samples: 4}"), parse_yaml("010")
    ({'rollout': {'samples': 4}}, '010')
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, loader, set(), ())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(mark.line + 1 if mark else 1, _meaning(error)) from error
    except yaml.reader.ReaderError as error:
        raise BadYaml(text.count("\n", 0, error.position) + 1, f"a control code, U+{error.character:04X}") from error
    except RecursionError as error:
        raise BadYaml(1, "lists or mappings too deep in each other") from error


def parse_value(text: str) -> Any:
    """The same of a value on a command line. Raises BadYaml also for what YAML would leave out as a comment.

    >>> parse_value("a#1"), parse_value("'#1'")
    ('a#1', '#1')
    """
    value = parse_yaml(text)
    node = _Loader(text).get_single_node()
    if text[node.end_mark.index if node else 0 :].lstrip().startswith("#"):
        raise BadYaml(1, "a `#`, at which YAML begins a comment")
    return value


def _meaning(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or NOT_YAML
    if token := TOKEN.match(problem):
        return "a tab, where YAML takes only blanks" if token[1] == "\\t" else f"a text that begins with {token[1]}: quote it"
    return next((meaning for start, meaning in MEANINGS.items() if problem.startswith(start)), problem)


def _check(node: yaml.Node, loader: yaml.SafeLoader, seen: set[int], above: tuple[int, ...]) -> None:
    """Raise BadYaml for what YAML lets pass, or ends with an error of Python: see the two checks, and a value in itself."""
    if id(node) in above:
        raise BadYaml(node.start_mark.line + 1, "a value that contains itself, by `&` and `*`")
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        _check_exists(node, loader)
        return
    if isinstance(node, yaml.MappingNode):
        _check_names(node)
    inner = (part for pair in node.value for part in pair) if isinstance(node, yaml.MappingNode) else node.value
    for each in inner:
        _check(each, loader, seen, (*above, id(node)))


def _check_names(node: yaml.MappingNode) -> None:
    """No name stands twice."""
    lines: dict[tuple[str, str], int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        line, name = key.start_mark.line + 1, (key.tag, key.value)
        if name in lines:
            raise BadYaml(line, f"`{key.value}` again, after line {lines[name]}")
        lines[name] = line


def _check_exists(node: yaml.ScalarNode, loader: yaml.SafeLoader) -> None:
    """What looks like a date or a number is one."""
    try:
        if node.tag != MERGE:
            loader.construct_object(node)
    except (ValueError, KeyError, AttributeError) as error:  # the last two: after !!bool and !!timestamp
        reason = f"`{node.value}`, which looks like a date or a number and is none: quote it if it is text"
        raise BadYaml(node.start_mark.line + 1, reason) from error
