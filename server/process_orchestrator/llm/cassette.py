"""Cassettes: what models once said, kept in a file and said again. The same port, with or without a model behind it.

A line is one call: its key (a hash over model, messages, schema and parameters), what was asked, and what came: the
answer with what it took, or the failure by its code. Nothing is fuzzy: a question that differs by one character is a
miss, and the error shows where it differs from the nearest that is there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import msgspec
import orjson
from msgspec.structs import replace

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Fact, Tier
from process_orchestrator.llm.port import Answer, KnownSecrets, Message, Model, Prompt, Spending, TierFacts
from process_orchestrator.llm.reading import read_answer

CASSETTE_BYTES_MAX: Final = 64_000_000
DIFFERENCE_LINES: Final = 12
LINE_MAX: Final = 160


class Failed(Fact, kw_only=True):
    """A failure as it was. Its message is the host's, masked."""

    code: str
    message: str
    retry_after_ms: int | None = None
    tokens: int | None = None
    usd_micros: int | None = None


class Recorded(Fact, kw_only=True):
    """One call. Exactly one of `text` and `failed` is there; `probability` as the host told it."""

    key: str
    model: str
    purpose: str
    messages: tuple[Message, ...]
    schema: dict[str, Any]
    parameters: dict[str, Any]
    text: str | None = None
    failed: Failed | None = None
    spent: Spending = Spending()
    probability: float | None = None


class Cassette:
    """A file of calls, read whole at first need, written line by line."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines: dict[str, Recorded] | None = None
        self._lock = anyio.Lock()

    async def find(self, key: str) -> Recorded | None:
        return (await self._read()).get(key)

    async def nearest(self, asked: Recorded) -> Recorded | None:
        """The call that is most like this one: the same purpose and model first, then the likest text."""
        lines = (await self._read()).values()
        near = [line for line in lines if line.purpose == asked.purpose] or list(lines)
        words = set(_text_of(asked).split())
        return max(near, key=lambda line: len(words & set(_text_of(line).split())), default=None)

    async def add(self, line: Recorded) -> None:
        """Write a call at the end; one that is there already with the same key is replaced when it is read."""
        async with self._lock:
            known = await self._known()
            known[line.key] = line
            await anyio.to_thread.run_sync(_append, self.file, orjson.dumps(msgspec.to_builtins(line)) + b"\n")

    async def _read(self) -> dict[str, Recorded]:
        async with self._lock:
            return await self._known()

    async def _known(self) -> dict[str, Recorded]:
        if self._lines is None:
            self._lines = await anyio.to_thread.run_sync(_load, self.file)
        return self._lines


class Replaying:
    """Answers from a cassette alone: no model is asked, nothing is sent."""

    def __init__(self, behind: Model, file: Path) -> None:
        """`behind` tells of the tiers; it is never asked."""
        self._behind, self._cassette = behind, Cassette(file)

    def tier(self, tier: Tier) -> TierFacts | None:
        return self._behind.tier(tier)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        asked = _asked(prompt, self._facts(prompt, tier))
        found = await self._cassette.find(asked.key)
        if found is None:
            raise ModelError("not_configured", await self._miss(asked), model=asked.model)
        if found.failed is not None:
            raise _error(found)
        text = found.text or ""
        data = read_answer(text, prompt, found.spent)
        return Answer(data=data, text=text, spent=found.spent, probability=found.probability)

    def preload(self) -> None:
        """A file is read at once."""

    async def aclose(self) -> None:
        await self._behind.aclose()

    def _facts(self, prompt: Prompt, tier: Tier) -> TierFacts:
        facts = self._behind.tier(tier)
        if facts is None:
            raise ModelError("no_model", f"no model is set up for the tier {tier.value}: {prompt.purpose} is not asked")
        return facts

    async def _miss(self, asked: Recorded) -> str:
        file = self._cassette.file.name
        near = await self._cassette.nearest(asked)
        told = f"the cassette {file} holds no answer to this {asked.purpose} of {asked.model} ({asked.key[:12]})"
        if near is None:
            return f"{told}; it is empty. Do: record it"
        return (
            f"{told}. The nearest is {near.key[:12]}, which differs:\n{_difference(near, asked)}\nDo: record it again"
        )


class Recording:
    """Asks the model behind it, and keeps what it said, known secrets masked."""

    def __init__(self, behind: Model, file: Path, *, secrets: KnownSecrets) -> None:
        self._behind, self._cassette, self._secrets = behind, Cassette(file), secrets

    def tier(self, tier: Tier) -> TierFacts | None:
        return self._behind.tier(tier)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        facts = self._behind.tier(tier)
        try:
            answer = await self._behind.complete(prompt, tier)
        except ModelError as error:
            if facts is not None and error.code not in {"no_model", "not_configured"}:
                await self._keep(_failed(prompt, facts, error))
            raise
        assert facts is not None
        line = replace(_asked(prompt, facts), text=answer.text, spent=answer.spent, probability=answer.probability)
        await self._keep(line)
        return answer

    def preload(self) -> None:
        self._behind.preload()

    async def aclose(self) -> None:
        await self._behind.aclose()

    async def _keep(self, line: Recorded) -> None:
        """Masked as a whole; the key stays that of the question as it was asked, since it will be asked so again."""
        await self._cassette.add(msgspec.convert(_masked(msgspec.to_builtins(line), self._secrets), Recorded))


def _masked(value: Any, secrets: KnownSecrets) -> Any:
    if isinstance(value, str):
        return secrets.mask_text(value)
    if isinstance(value, list | tuple):
        return [_masked(each, secrets) for each in value]
    if isinstance(value, dict):
        return {secrets.mask_text(name): _masked(each, secrets) for name, each in value.items()}
    return value


def key_of_call(prompt: Prompt, facts: TierFacts) -> str:
    """The name of a question: a hash over the model, the messages, the schema and the parameters."""
    parts = {
        "model": facts.model,
        "messages": msgspec.to_builtins(prompt.messages),
        "schema": prompt.schema,
        "parameters": _parameters(prompt, facts),
    }
    return hashlib.sha256(
        json.dumps(parts, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
    ).hexdigest()


def _parameters(prompt: Prompt, facts: TierFacts) -> dict[str, Any]:
    return {
        "max_tokens": min(prompt.max_tokens or facts.max_tokens, facts.max_tokens),
        "temperature": prompt.temperature,
        "alternatives": prompt.alternatives,
    }


def _asked(prompt: Prompt, facts: TierFacts) -> Recorded:
    return Recorded(
        key=key_of_call(prompt, facts),
        model=facts.model,
        purpose=prompt.purpose,
        messages=prompt.messages,
        schema=prompt.schema,
        parameters=_parameters(prompt, facts),
    )


def _failed(prompt: Prompt, facts: TierFacts, error: ModelError) -> Recorded:
    """A failure is kept by its code; an answer that came and cannot be used as it came, to be read again."""
    asked = _asked(prompt, facts)
    whole = error.answer is not None and error.code in {"not_json", "output_mismatch"}
    spent = Spending(model=error.model, tokens_out=error.tokens, usd_micros=error.usd_micros, ms=error.ms)
    failed = Failed(
        code=error.code,
        message=error.message,
        retry_after_ms=error.retry_after_ms,
        tokens=error.tokens,
        usd_micros=error.usd_micros,
    )
    return replace(asked, failed=failed, spent=spent, text=error.answer if whole else None)


def _error(line: Recorded) -> ModelError:
    failed = line.failed
    assert failed is not None
    return ModelError(
        failed.code,
        failed.message,
        model=line.spent.model or line.model,
        retry_after_ms=failed.retry_after_ms,
        answer=line.text,
        tokens=failed.tokens,
        usd_micros=failed.usd_micros,
        ms=line.spent.ms,
    )


def _difference(near: Recorded, asked: Recorded) -> str:
    """What differs, line by line, the first few."""
    lines = difflib.unified_diff(_lines_of(near), _lines_of(asked), "recorded", "asked", n=0, lineterm="")
    shown = [line[:LINE_MAX] for line in lines if not line.startswith("@@")]
    more = len(shown) - DIFFERENCE_LINES
    return "\n".join([*shown[:DIFFERENCE_LINES], *([f"… {more} lines more"] if more > 0 else [])])


def _lines_of(line: Recorded) -> list[str]:
    schema = json.dumps(line.schema, indent=0, sort_keys=True, ensure_ascii=False)
    return [
        f"model {line.model}",
        f"parameters {json.dumps(line.parameters)}",
        *_text_of(line).split("\n"),
        *schema.split("\n"),
    ]


def _text_of(line: Recorded) -> str:
    return "\n".join(f"{message.role}: {message.content}" for message in line.messages)


def _load(file: Path) -> dict[str, Recorded]:
    """Every call of a file; of two with one key the later. Raises ModelError for a file that is no cassette."""
    try:
        if file.stat().st_size > CASSETTE_BYTES_MAX:
            raise ModelError("not_configured", f"the cassette {file} is over {CASSETTE_BYTES_MAX} bytes")
        data = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError("not_configured", f"the cassette {file} cannot be read: {error.strerror}") from None
    decoder = msgspec.json.Decoder(Recorded)
    try:
        lines = [decoder.decode(line) for line in data.splitlines() if line.strip()]
    except msgspec.MsgspecError as error:
        raise ModelError("not_configured", f"the cassette {file} holds a line that is none: {error}") from None
    return {line.key: line for line in lines}


def _append(file: Path, line: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            opened.write(line)
    except OSError as error:
        raise ModelError("not_configured", f"the cassette {file} cannot be written: {error.strerror}") from None
