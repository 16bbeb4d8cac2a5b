"""Plain words cut into clauses, for rules that read them. Knows no process, and no meaning of a clause but its mood.

What stands in quotation marks, in a code fence or behind `>` is what somebody else said: it is no word of the task's.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

CLAUSES_MAX: Final = 2000
"""Clauses of one text that are read; what stands behind them is data."""

CLAUSE_CHARACTERS_MAX: Final = 400
"""A longer clause is data and is not read."""

_FENCE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_CITED_LINE: Final = re.compile(r"(?m)^[ \t]*>.*$")
_QUOTED: Final = re.compile(
    "[\"“„”][^\"“”„\n]{0,2000}[\"”“]|«[^»\n]{0,2000}»|»[^«\n]{0,2000}«|(?<!\\w)'[^'\n]{3,2000}'(?!\\w)"
)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+|\n+")
_NO_END: Final = re.compile(
    r"(?:\b(?:max|approx|ca|bzw|z\.\s?b|p\.m|a\.m|no|nr|min|std|usw|etc|inkl|dr|mr|mrs|ms)\.)$", re.IGNORECASE
)
_CLAUSE_END: Final = re.compile(",\\s+|\\s[-\u2013\u2014]+\\s|[()]|\\s?[\u2013\u2014]\\s?")
_LEAD: Final = re.compile(
    r"^(?:(?:and|but|so|then|also|please|ok|okay|hi|hello|note|und|aber|dann|also|bitte|hallo|auch)\b[\s:,]*)+",
    re.IGNORECASE,
)
_TOLD: Final = re.compile(
    # A finite verb, a speaker or a relative pronoun: the clause tells something and asks for nothing.
    r"\b(?:is|are|was|were|isn't|wasn't|has|had|have|having|been|will|would|did|does|says|said|writes|wrote"
    r"|states|stated|claims"
    r"|claimed|asks|asked|wants|wanted|told|tells|demands|demanded|promises|promised|replied|replies|paid|pays"
    r"|due|payable"
    r"|delivered|delivers|delivery|arrives?|arrived|ships|shipped|shipping|expires?|expired|that|which|who|whose"
    r"|because"
    r"|ist|sind|war|waren|hat|hatte|haben|wurde|wurden|wird|werden|sagt|sagte|schreibt|schrieb|bittet|bat"
    r"|fordert|will"
    r"|behauptet|verlangt|versprach|versprochen|bezahlt|gezahlt|fällig|zahlbar|geliefert|liefert|lieferung|ankommt"
    r"|lieferzeit|zahlungsziel|frist|läuft|dass|welche[rs]?|deren|dessen|weil)\b",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"^(?:the|a|an|this|that|these|those|my|our|your|his|her|its|their|he|she|they|customer|client|vendor"
    r"|supplier|invoice"
    r"|order|payment|der|die|das|den|dem|ein|eine|einen|dieser|diese|dieses|mein|meine|unser|unsere|sein|seine"
    r"|ihr|ihre"
    r"|er|sie|kunde|kundin|lieferant|rechnung|bestellung|zahlung|\w+'s|[\w.+-]+@[\w.-]+)\b",
    re.IGNORECASE,
)


class Clause(NamedTuple):
    """`text` is as written, spaces in one; `before` is what stands before it in its sentence."""

    text: str
    before: str
    sentence: str


def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses that are the task's own words, in order."""
    found: list[Clause] = []
    for sentence in _sentences(_own(text)):
        before = ""
        for part in _CLAUSE_END.split(sentence):
            clause = " ".join(part.split())
            if clause and len(clause) <= CLAUSE_CHARACTERS_MAX:
                found.append(Clause(clause, before, sentence[: 3 * CLAUSE_CHARACTERS_MAX]))
            if len(found) >= CLAUSES_MAX:
                return tuple(found)
            before = f"{before} {clause}"[-CLAUSE_CHARACTERS_MAX:]
    return tuple(found)


def asked(clause: str) -> str:
    """A clause without the words that only lead to it."""
    return _LEAD.sub("", clause.strip()).rstrip(" .!?;:,")


def tells(text: str) -> bool:
    """Whether words tell something instead of asking for it."""
    return _TOLD.search(text) is not None


def about_another(clause: str) -> bool:
    """Whether a clause begins with its subject: then it is about that, and no request."""
    return _SUBJECT.match(asked(clause)) is not None


def _own(text: str) -> str:
    visible = "".join(each for each in text if unicodedata.category(each) != "Cf").replace(
        "\N{RIGHT SINGLE QUOTATION MARK}", "'"
    )
    return _QUOTED.sub(" … ", _CITED_LINE.sub("", _FENCE.sub(" … ", visible)))


def _sentences(text: str) -> list[str]:
    sentences: list[str] = []
    for part in _SENTENCE_END.split(text):
        if sentences and _NO_END.search(sentences[-1]):
            sentences[-1] = f"{sentences[-1]} {part}"
        else:
            sentences.append(part)
    return sentences
