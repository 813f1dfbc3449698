"""Leave out what a comment in the code asks to be left out, and find comments that do nothing.

Start with `kept`. `# vmapguide: ignore[VG101]` stands in a line of the code that a finding is
about, or in the last line of its statement. It may name several codes, and the beginning of a code
stands for all that begin so: `ignore[VG1, VG301]`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterator, Sequence

from vmapguide._data import Finding, Rule, Source
from vmapguide._jaxpr.source_comments import Comment, Notes, notes_in
from vmapguide._jaxpr.source_files import is_library
from vmapguide._rules.subject import Subject


IGNORES_NOTHING = Rule(
    "VG901",
    "ignores nothing",
    "note",
    "`{code}` {why}.",
    "{what}.",
)

RULES = (IGNORES_NOTHING,)

# Such a comment as it has to be.
_RIGHT = re.compile(r"#\s*vmapguide:\s*ignore\s*\[(?P<codes>[^\]]*)\]")

# What may be meant as such: after `vmapguide`, a word that may be `ignore`, or a code.
_MEANT = re.compile(r"#\s*vmapguide\b\s*:?\s*(?P<rest>.*)", re.IGNORECASE)
_CODE = re.compile(r"\bVG\d*\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class _Ignore:
    """A comment that asks for something to be left out.

    Attributes:
        comment: the comment.
        codes: what is to be left out: codes, or what they begin with.
        why: what to say of it if it leaves out nothing, or is wrong.
        what: what to do then.
        is_wrong: whether it is not as such a comment has to be.
    """

    comment: Comment
    codes: tuple[str, ...]
    why: str
    what: str
    is_wrong: bool = True


def kept(
    subject: Subject,
    findings: Sequence[Finding],
    codes: Collection[str],
    elsewhere: Collection[str],
) -> Iterator[Finding]:
    """Yield the findings that no comment asks to be left out, and those about such comments.

    Args:
        subject: the call that was explained.
        findings: what was found.
        codes: the codes that there are.
        elsewhere: those that are not found in an explanation.
    """
    used: set[tuple[str, int]] = set()
    for finding in findings:
        ignoring = _ignoring(finding, codes)
        used |= ignoring
        if not ignoring:
            yield finding
    for file, sources in _files(subject).items():
        notes = notes_in(file)
        if not notes.comments or not all(map(notes.says, sources)):
            continue
        for comment in _taking_part(notes, sources):
            ignore = _read(comment, codes)
            if ignore is None or _names(ignore, IGNORES_NOTHING.code):
                continue
            named = {code for code in codes if _names(ignore, code)}
            if named and named <= {*elsewhere} and not ignore.is_wrong:
                continue
            if ignore.is_wrong or (file, comment.line) not in used:
                yield _finding(file, notes, ignore)


def is_ignored(finding: Finding, codes: Collection[str]) -> bool:
    """Say whether a comment asks to leave out a finding.

    Args:
        finding: the finding.
        codes: the codes that there are.
    """
    return bool(_ignoring(finding, codes))


def _ignoring(finding: Finding, codes: Collection[str]) -> set[tuple[str, int]]:
    """Return the file and the line of each comment that asks to leave a finding out."""
    source = finding.source
    if source is None:
        return set()
    notes = notes_in(source.file)
    if not notes.comments or not notes.says(source):
        return set()
    found: set[tuple[str, int]] = set()
    last = notes.ends.get(source.end_line, source.end_line)
    for line in {*range(source.line, source.end_line + 1), last} & notes.comments.keys():
        ignore = _read(notes.comments[line], codes)
        if ignore and _names(ignore, finding.code):
            found.add((source.file, line))
    return found


def _names(ignore: _Ignore, code: str) -> bool:
    return any(code.startswith(beginning) for beginning in ignore.codes)


def _files(subject: Subject) -> dict[str, set[Source]]:
    """Return the files of the user's that take part, with the pieces of code that do."""
    files: dict[str, set[Source]] = {}
    for source in {id(step.source): step.source for step in subject.steps}.values():
        if source is not None and not is_library(source.file):
            files.setdefault(source.file, set()).add(source)
    return files


def _taking_part(notes: Notes, sources: set[Source]) -> Iterator[Comment]:
    """Yield the comments in functions that take part; of a lambda, in its statement."""
    functions: set[tuple[int, str]] = set()
    statements: set[int] = set()
    for source in sources:
        function = notes.functions.get(source.line)
        if source.function == "<lambda>" or function is None:
            statements.add(notes.ends.get(source.end_line, source.end_line))
        else:
            functions.add(function)
    for line, comment in notes.comments.items():
        if notes.functions.get(line) in functions or notes.ends.get(line, line) in statements:
            yield comment


def _read(comment: Comment, codes: Collection[str]) -> _Ignore | None:
    """Return what a comment asks for; None if it asks for nothing."""
    right = _RIGHT.search(comment.text)
    if right is None:
        return _misspelt(comment, codes)
    asked = tuple(code for part in right["codes"].split(",") if (code := part.strip()))
    if not asked:
        return _Ignore(comment, (), "names no code", f"Write {_example(codes)}")
    known = tuple(code for code in asked if _is_known(code, codes))
    if unknown := [code for code in asked if code not in known]:
        likely = dict.fromkeys(_likely(code, codes) for code in asked)
        why = f"names {unknown[0]}, and there is no such code"
        return _Ignore(comment, known, why, f"Write {_example(likely)}")
    why = "ignores nothing: there is no such finding in its line"
    what = "Take the comment out, or put it into a line of the code that the finding is about"
    return _Ignore(comment, known, why, what, is_wrong=False)


def _misspelt(comment: Comment, codes: Collection[str]) -> _Ignore | None:
    """Return what is wrong with a comment that may be meant to ask for something."""
    meant = _MEANT.search(comment.text)
    if meant is None:
        return None
    words = re.findall(r"\w+", meant["rest"])
    if not words or not difflib.get_close_matches(words[0].lower(), ["ignore"], cutoff=0.7):
        return None
    asked = [_likely(code.upper(), codes) for code in _CODE.findall(meant["rest"])]
    return _Ignore(comment, (), "is not read", f"Write {_example(asked or codes)}")


def _is_known(code: str, codes: Collection[str]) -> bool:
    return code.startswith("VG") and any(known.startswith(code) for known in codes)


def _likely(code: str, codes: Collection[str]) -> str:
    """Return the code that is likely meant."""
    if _is_known(code.upper(), codes):
        return code.upper()
    close = difflib.get_close_matches(code.upper(), codes, 1, cutoff=0)
    return close[0] if close else code


def _example(codes: Collection[str]) -> str:
    """Return a comment as it should be; of all codes there are, it names the first."""
    named = [*codes][:1] if len(codes) > _MANY else codes
    return f"# vmapguide: ignore[{', '.join(named)}]"


# So many codes nobody writes into one comment.
_MANY = 5


def _finding(file: str, notes: Notes, ignore: _Ignore) -> Finding:
    source = dataclasses.replace(notes.source(ignore.comment), file=file)
    facts = {
        "code": ignore.comment.text.replace("`", "'"),
        "why": ignore.why,
        "what": ignore.what,
    }
    return Finding(
        IGNORES_NOTHING, source, IGNORES_NOTHING.severity, (), factor=None, bytes=None, facts=facts
    )
