"""Splits what a person types into a shell into simple commands: enough of its grammar for the documents and files here."""

import re
import shlex
from collections.abc import Iterator

PARAMETER = re.compile(r"\$\(\(.*?\)\)|\$\{[^}]*\}|\$#")
SUBSTITUTION = re.compile(r"\$\(([^()]+)\)")
ASSIGNMENT = re.compile(r"\w+=")
RESERVED = {"do", "done", "else", "fi", "if", "then", "{", "}", "!"}
FOLDER = re.compile(r"^(?:\S*/)?(?:\.venv|venv)/bin/(?=\w)")  # of an environment that need not be active


def simple_commands(line: str) -> list[list[str]]:
    """The words of each command of a line: without redirections, variables that it sets before one, and reserved words.

    Those of a substitution come first.

    >>> simple_commands("(umask 077; TOKEN=x ray get-auth-token --generate >/dev/null) && ~/venv/bin/pip list | head -n 1")
    [['umask', '077'], ['ray', 'get-auth-token', '--generate'], ['pip', 'list'], ['head', '-n', '1']]
    """
    line = PARAMETER.sub("VALUE", line)
    inner = [words for each in SUBSTITUTION.findall(line) for words in simple_commands(each)]
    return [*inner, *(words for each in _split(SUBSTITUTION.sub("VALUE", line)) if (words := _plain(each)))]


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    is_target = False
    for token in lexer:
        if is_target:
            is_target = False
        elif set(token) <= set("<>&") and set(token) & set("<>"):
            is_target = True
            if words and words[-1].isdigit():  # 2>&1
                words.pop()
        elif set(token) <= set("();|&"):
            yield words
            words = []
        else:
            words.append(token)
    yield words


def _plain(words: list[str]) -> list[str]:
    while words and (words[0] in RESERVED or ASSIGNMENT.match(words[0])):
        words = words[1:]
    return [FOLDER.sub("", words[0]), *words[1:]] if words else []
