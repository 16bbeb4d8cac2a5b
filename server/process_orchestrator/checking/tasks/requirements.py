"""What a task's own words ask of the process beside its input: at most this much money, until then, ask me before.

By rule, in English and German. Each can only narrow what the process may do, so a wrong reading costs a question or a
pause and never more than was allowed. What the data says ("the invoice of 5 USD is due by Friday") is no requirement.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from process_orchestrator.checking.tasks.clauses import Clause, about_another, asked, clauses, tells
from process_orchestrator.checking.tasks.deadlines import PAST, deadline_in
from process_orchestrator.core.facts.specs import Budget, Requirement
from process_orchestrator.core.facts.values import ApprovalMode, Fact
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.money import usd, usd_micros

QUOTE_CHARACTERS_MAX: Final = 200
BUDGET, DEADLINE, APPROVAL = "budget", "deadline", "approval"
_MARKS: Final = "\ufdd0\ufdd1\ufdd2"
"""One for each kind. No text has them: Unicode keeps them for programs."""

STRICTNESS: Final = (ApprovalMode.POLICY, ApprovalMode.PLAN, ApprovalMode.EVERY_STEP)

_MONEY: Final = (
    r"(?P<before>US\$|USD|\$|€|EUR|£|GBP|CHF)?\s?"
    r"(?P<number>\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?|\d{1,9}(?:[.,]\d{1,6})?)(?![\d.,]*\d)"
    r"\s?(?P<after>US[- ]dollars?|US-Dollar|USD|US\$|dollars?|\$|bucks|cents?|euros?|EUR|€|£|GBP|pounds?|CHF"
    r"|francs?|franken)?"
    r"(?!\w|\s?(?:k|m|thousand|million|tausend|mio|percent|prozent|%)\b|%)"
)
_MOST: Final = (
    r"(?:at most|no more than|not more than|up to|(?:a )?max(?:imum|imal|\.)?(?: of)?|under|below|less than|within"
    r"|höchstens|maximal|nicht mehr als|bis zu|unter|weniger als)"
)
_OPEN: Final = (
    r"(?:(?:with|on|within|use|you have|for|mit|bei|du hast|sie haben)\s)?(?:(?:a|an|the|your|my|our|total"
    r"|max\.?|maximum|ein|eine|einem|einer|das|dein|mein|ihr|unser)\s){0,3}"
)
_THIS: Final = (
    r"(?:it|this|that|everything|all of (?:it|this)|the (?:whole )?(?:process|run|task|thing|job|work)|es|das"
    r"|dies|alles"
    r"|das (?:ganze|alles)|der (?:ganze )?(?:vorgang|ablauf|prozess|lauf))"
)
_TAIL: Final = (
    r"(?: (?:in total|total|all in|altogether|in all|for (?:this|it|all of it|everything)|insgesamt|dafür"
    r"|please|bitte))?"
)
_BUDGETS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^{_OPEN}(?:cost |spending |process )?budget\s?(?:of|is|:|=|von|ist"
        rf"|beträgt)?\s(?:{_MOST}\s)?{_MONEY}{_TAIL}$",
        rf"^{_OPEN}(?:cost|costs|spending|price|money|kosten)[ -]?(?:limit|cap|ceiling|grenze"
        rf"|obergrenze)\s?(?:of|is|:|=|von|ist)?\s{_MONEY}",
        rf"^{_OPEN}(?:max(?:imum|imal|\.)?\s)(?:cost|costs|spend|spending|kosten)\s?(?:of|is|:|=)?\s{_MONEY}",
        rf"^(?:{_THIS}\s)?(?:may|must|should|can|shall|is to|darf|soll)?\s?(?:not |nicht )?(?:costs?"
        rf"|kosten)\s?:?\s?(?:{_MOST}|more than|over|mehr als)\s{_MONEY}",
        rf"^(?:{_THIS}\s)?(?:darf|soll|sollte) (?:{_MOST}) {_MONEY} kosten",
        rf"^keep (?:it|this|the (?:total )?(?:costs?|spend|spending|bill)) {_MOST} {_MONEY}",
        rf"(?:^|\band |\bbut |\byou (?:may|can|must|should) )(?:do not |don't |never "
        rf"|not )?spend (?:no )?(?:(?:{_MOST}|more than|over) )?{_MONEY}",
        rf"^(?:gib|geben sie|du darfst|sie dürfen)(?: dafür| hierfür)? (?:{_MOST}) {_MONEY}(?: dafür)? (?:aus"
        rf"|ausgeben)",
        rf"\b(?:with|on|within|mit) (?:a|an|einem) (?:total |max\.? |maximum )?budget (?:of"
        rf"|von) (?:{_MOST} )?{_MONEY}$",
    )
)
_BARE: Final = re.compile(rf"^(?:for |in total |insgesamt |but |aber )?{_MOST} {_MONEY}{_TAIL}$", re.IGNORECASE)
_MOVES_MONEY: Final = re.compile(
    r"\b(?:refund|pay|transfer|charge|credit|discount|offer|buy|price[ds]?|voucher"
    r"|erstatt\w*|zahl(?:e|en|t)?|überweis\w*|gutschr\w*|rabatt|kauf\w*|gutschein)\b",
    re.IGNORECASE,
)
_FOREIGN: Final = re.compile(r"€|eur|£|gbp|pound|chf|fran", re.IGNORECASE)

_ME: Final = r"(?:me|us)"
_YES: Final = r"(?:approval|permission|consent|ok(?:ay)?|confirmation|go-ahead|sign-off)"
_JA: Final = r"(?:zustimmung|freigabe|erlaubnis|rückfrage|bestätigung|genehmigung|einwilligung)"
_STEPS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\bask (?:for )?(?:{_ME}|my {_YES}|permission|approval)\b[^.]{{0,60}}?\b(?:before|first|each time"
        rf"|every time)\b",
        rf"\b(?:check|confirm|verify|double-check|clear it)(?: \w+){{0,3}} with {_ME}\b[^.]{{0,40}}?\b(?:before"
        rf"|first)\b",
        rf"^(?:always )?(?:first|before)\b[^.]{{0,80}}?\b(?:ask|check with|confirm with) {_ME}\b",
        rf"\bwithout (?:(?:first )?(?:asking|checking with)(?: {_ME})?(?: first)?|(?:my|our) (?:explicit "
        rf"|prior )?{_YES})\b",
        rf"\b(?:wait for|get) my {_YES}\b(?! (?:of|on|for) (?:the|your) plan)",
        r"\b(?:i|we) (?:want|would like|'d like|need|have|wish) to (?:approve|confirm|sign off(?: on)?) (?:each"
        r"|every|all|any) \w+",
        r"\b(?:let me|have me) (?:approve|confirm) (?:each|every) \w+",
        rf"\bconfirm (?:each|every) (?:step|action|payment|change) with {_ME}\b",
        r"\bfrag(?:e|en sie|t)? (?:mich|uns|bei mir nach|bei uns nach|bei mir|bei uns)\b[^.]{0,80}?\b(?:bevor"
        r"|vorher|zuerst|erst|vor (?:jede[mr]|dem|der))\b",
        r"\bfrag(?:e|en sie|t)? (?:vorher|zuerst|erst|vor (?:jede[mr]|dem|der))\b",
        r"\b(?:bevor|ehe) (?:du|sie|ihr|irgend\w*|etwas)\b[^.]{1,80}?\bfrag(?:e|en sie|st du)?\b",
        r"\bvor jedem schritt\b[^.]{0,40}?\b(?:frag\w*|nachfragen|rückfrage|freigabe)\b",
        rf"\b(?:nicht|nichts|kein\w*)\b[^.]{{0,60}}?\bohne (?:meine|unsere|vorherige) {_JA}\b",
        r"\bohne (?:mich|uns) (?:vorher |zuerst )?zu fragen\b",
        r"\bjeden schritt (?:\w+ ){0,3}(?:freigeben|bestätigen|genehmigen)\b",
        rf"\b(?:hol\w*|warte auf|nur mit|nur nach) (?:dir )?(?:vorher )?meine[rm]? {_JA}\b(?! des plans)",
    )
)  # fmt: skip
_WITHOUT: Final = re.compile(r"(?:without|ohne)\b", re.IGNORECASE)
_NOT: Final = re.compile(
    r"\b(?:no|not|never|nothing|nobody|none|cannot|\w+n't|avoid|refrain|forbidden|prohibited|stop|only|unless"
    r"|nicht|nichts|nie|niemals|kein\w*|niemand|nur|vermeide\w*|verboten)\b",
    re.IGNORECASE,
)
"""Of what stands before `without asking me`: only then is it a wish to be asked."""

_NOT_TO: Final = re.compile(
    r"(?:\b(?:do not|don't|never|need not|needn't|no need to|(?:not|n't) (?:have|need) to)|\bwithout)\s+"
    r"(?:ever |always |even )?$",
    re.IGNORECASE,
)
_NOT_ASKED: Final = re.compile(r"frag\w* (?:sie )?(?:mich|uns|bei (?:mir|uns)) nicht\b", re.IGNORECASE)

_PLANS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:show|send|give|present)(?: it)?(?: to)? {_ME} (?:the|your|a) plan\b(?! (?:of"
        rf"|for) the)[^.]{{0,60}}?\b(?:first|before|beforehand|for approval)\b",
        rf"\bfirst (?:show|send|give) {_ME} (?:the|your|a) plan\b",
        rf"\bbefore (?:you )?\w+[^.]{{0,60}}?\bshow {_ME} (?:the|your|a) plan\b",
        r"\blet me (?:first )?(?:see|review|approve|check|look at) (?:the|your) plan\b(?! (?:of|for) the)",
        r"\b(?:i|we) (?:want|would like|'d like|need|have|wish) to (?:see|approve|review|check) (?:the"
        r"|your) plan\b(?! (?:of|for) the)",
        rf"\b(?:ask|wait) for my {_YES} (?:of|on|for) (?:the|your) plan\b",
        r"\b(?:before|until) (?:i|i've|i have|we have|we) approved? (?:the|your) plan\b",
        r"\b(?:zeig|zeige|zeigen sie|leg|lege|legen sie|schick|schicke|gib)\s(?:mir|uns)\s(?:(?:bitte|zuerst"
        r"|erst|vorher|vorab|zunächst)\s)*(?:den|deinen|einen|ihren) plan\b(?! (?:der|des|vom))",
        r"\b(?:ich|wir) (?:will|möchte|wollen|möchten|muss) (?:\w+ ){0,2}(?:den|deinen"
        r"|ihren) plan (?:\w+ ){0,3}(?:sehen|freigeben|prüfen|genehmigen)\b",
        r"\b(?:nach|ohne|auf) (?:meine[rm]? )?(?:freigabe|zustimmung|genehmigung) (?:des|zum) plan(?:s|es)?\b",
    )
)  # fmt: skip


class Asked(Fact, frozen=True, kw_only=True):
    """What was read; `warnings` name what was meant as a requirement and could not be taken."""

    requirements: tuple[Requirement, ...] = ()
    warnings: tuple[str, ...] = ()


def read_requirements(task: str, now: datetime) -> Asked:
    """The strictest requirement of each kind that a task states. `now` carries the zone of its times."""
    found: list[Requirement] = []
    warnings: list[str] = []
    for clause in clauses(task):
        money = _budget_in(clause)
        if money is not None:
            _take_budget(money, found, warnings)
        deadline = deadline_in(clause, now)
        if deadline is not None and deadline.ms == PAST:
            warnings.append(f"The task asks for `{_quote(deadline.quote)}`, which is over: no deadline is set.")
        elif deadline is not None:
            found.append(Requirement(kind=DEADLINE, quote=_quote(deadline.quote), value=str(deadline.ms)))
        found += _approvals_in(clause)
    return Asked(requirements=_strictest(found), warnings=tuple(dict.fromkeys(warnings)))


def held_out(task: str, requirements: tuple[Requirement, ...]) -> tuple[str, dict[str, str]]:
    """A task with a mark in place of the words of each requirement, and the words that the marks stand for."""
    rest, words = task, dict[str, str]()
    for mark, each in zip(_MARKS, requirements, strict=False):
        pattern = r"\s+".join(re.escape(word) for word in each.quote.split())
        found = re.search(pattern, rest) if pattern and mark not in task else None
        if found is not None:
            rest, words[mark] = f"{rest[: found.start()]}{mark}{rest[found.end() :]}", found[0]
    return (rest, words) if any(letter.isalnum() for letter in rest) else (task, {})


def without_requirements(marked: str) -> str:
    """A task without the words that were read from it: they say how, not what, and their amounts are no data."""
    return marked.translate(dict.fromkeys(map(ord, _MARKS), " "))


def narrowed(budget: Budget, limits: Limits, requirements: tuple[Requirement, ...]) -> tuple[Budget, Limits]:
    """Budget and limits, lowered to what the task asks for; never raised."""
    for each in requirements:
        if each.kind == BUDGET:
            most = usd_micros(each.value)
            budget = replace(budget, usd_micros=min(budget.usd_micros, most or budget.usd_micros))
        elif each.kind == DEADLINE:
            most_ms = int(each.value)
            budget = replace(budget, total_ms=min(budget.total_ms, most_ms))
            limits = replace(limits, total_ms=min(limits.total_ms, most_ms))
    return budget, limits


def stricter(mode: ApprovalMode, requirements: tuple[Requirement, ...]) -> ApprovalMode:
    """The approval mode that was given, or the stricter one that the task asks for."""
    asked_for = [ApprovalMode(each.value) for each in requirements if each.kind == APPROVAL]
    return max((mode, *asked_for), key=STRICTNESS.index)


# --- money -------------------------------------------------------------------------------------------------------


def _budget_in(clause: Clause) -> re.Match[str] | None:
    text = asked(clause.text)
    for pattern in _BUDGETS:
        found = pattern.search(text)
        if found is not None and _is_request(text[: found.start()]):
            return found
    bare = _BARE.match(text)
    if bare is not None and not _MOVES_MONEY.search(clause.before) and not tells(clause.before):
        return bare
    return None


def _take_budget(money: re.Match[str], found: list[Requirement], warnings: list[str]) -> None:
    quote, currency = _quote(money[0]), f"{money['before'] or ''}{money['after'] or ''}"
    micros = usd_micros(_decimal(money["number"]))
    if not currency:
        warnings.append(f"The task asks for `{quote}` and names no currency: it is not taken. Give budget_usd.")
    elif _FOREIGN.search(currency) or micros is None or micros <= 0:
        warnings.append(f"The task asks for `{quote}`: only amounts in US dollars are taken. Give budget_usd.")
    else:
        cents = currency.lower() in {"cent", "cents"}
        found.append(Requirement(kind=BUDGET, quote=quote, value=usd(micros // 100 if cents else micros)))


def _decimal(written: str) -> str:
    """A number as both languages write it: a last group of three digits is of thousands, any other a fraction.

    So is one after a nought: nobody writes `0.125` for 125.
    """
    parts = re.split(r"[.,]", written)
    if len(parts) == 1 or (len(parts[-1]) == 3 and parts[0].strip("0")):
        return "".join(parts)
    return f"{''.join(parts[:-1])}.{parts[-1]}"


# --- approval ----------------------------------------------------------------------------------------------------


def _approvals_in(clause: Clause) -> list[Requirement]:
    """Looked for from this clause to the end of its sentence: `before you pay, ask me`."""
    if tells(clause.before):
        return []
    start = clause.sentence.find(clause.text)
    text = " ".join(clause.sentence[max(start, 0) :].split())
    return [
        Requirement(kind=APPROVAL, quote=_quote(found[0]), value=mode.value)
        for patterns, mode in ((_PLANS, ApprovalMode.PLAN), (_STEPS, ApprovalMode.EVERY_STEP))
        for found in (pattern.search(text) for pattern in patterns)
        if found is not None and found.start() < len(clause.text) and _is_request(clause.text[: found.start()])
        if not _waived(found[0], text[: found.start()])
    ]


def _waived(request: str, lead: str) -> bool:
    """Whether a task says the opposite: `do not ask me first`, `cancel it without asking me`."""
    if _WITHOUT.match(request):
        return _NOT.search(lead) is None
    return _NOT_TO.search(lead) is not None or _NOT_ASKED.match(request) is not None


def _is_request(lead: str) -> bool:
    """Whether the words in front of a request leave it one: `the vendor says ask me first` is none."""
    return not tells(lead) and not about_another(lead)


def _strictest(found: list[Requirement]) -> tuple[Requirement, ...]:
    strictest: list[Requirement] = []
    for kind in (BUDGET, DEADLINE, APPROVAL):
        of_kind = [each for each in found if each.kind == kind]
        if of_kind:
            strictest.append(min(of_kind, key=_slack))
    return tuple(strictest)


def _slack(requirement: Requirement) -> float:
    if requirement.kind == APPROVAL:
        return -STRICTNESS.index(ApprovalMode(requirement.value))
    return float(requirement.value)


def _quote(text: str) -> str:
    return " ".join(text.split())[:QUOTE_CHARACTERS_MAX]
