"""An A2A agent card read: which interface of it can be spoken to, and what each skill says of itself.

Cards of protocol 0.3 and 1.0 are read alike. Pure: the card arrives as a JSON value that was bounded and parsed
strictly elsewhere; nothing is fetched here, and nothing that a card says is trusted with an address: that is judged by
who connects. A card holds no schemas (a skill says only which media types it takes and gives), so a contract for a
skill is always written by a person.

Source: A2A specification 1.0, section 4.4 (AgentCard); 0.3, section 5.5.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from process_orchestrator.checking.addresses import web_address
from process_orchestrator.core.errors import AddressError, CardError
from process_orchestrator.core.facts.values import Fact

WELL_KNOWN: Final = "/.well-known/agent-card.json"
CARD_BYTES_MAX: Final = 1_000_000
CARD_DEPTH_MAX: Final = 32
SKILLS_MAX: Final = 1000
INTERFACES_MAX: Final = 50
TEXT_MAX: Final = 2000
MODES_MAX: Final = 50

BINDING: Final = "JSONRPC"
LEGACY: Final = "0.3"
CURRENT: Final = "1.0"


class Interface(Fact, frozen=True, kw_only=True):
    """One address at which a card says its agent speaks JSON-RPC. `version` is the dialect: 0.3 or 1.0."""

    url: str
    version: str
    tenant: str | None = None


class Skill(Fact, frozen=True, kw_only=True):
    """What a card says of one skill. `definition` is the whole of it, as it stands in the card."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...]
    input_modes: tuple[str, ...]
    output_modes: tuple[str, ...]
    definition: dict[str, Any]


class Card(Fact, frozen=True, kw_only=True):
    """A card as far as it is used here. `unspoken` names what else the agent speaks, where it speaks no JSON-RPC."""

    name: str
    description: str
    version: str
    interfaces: tuple[Interface, ...]
    unspoken: tuple[str, ...]
    skills: tuple[Skill, ...]

    def skill(self, name: str) -> Skill | None:
        return next((each for each in self.skills if each.id == name), None)

    def interface(self, endpoint: str | None = None) -> Interface:
        """The interface to speak to: 1.0 before 0.3, else as the card orders them. Raises CardError.

        `endpoint`: only at this very address.
        """
        fitting = [each for each in self.interfaces if endpoint is None or each.url == endpoint]
        if not fitting:
            known = ", ".join(dict.fromkeys((*(each.url for each in self.interfaces), *self.unspoken))) or "none"
            wanted = f"at {endpoint} " if endpoint is not None else ""
            raise CardError(f"the card offers no JSON-RPC interface {wanted}of A2A 0.3 or 1.0; it offers {known}"[:300])
        return next((each for each in fitting if each.version == CURRENT), fitting[0])


def card_url(written: str) -> str:
    """Where the card is: the address as written, or the well-known path where it has none."""
    parts = urlsplit(written)
    return written if parts.path.strip("/") else urlunsplit(parts._replace(path=WELL_KNOWN))


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses have one scheme, host and port. Raises CardError where one cannot be read."""
    try:
        return web_address(one).origin == web_address(other).origin
    except AddressError as error:
        raise CardError(f"{one[:100]!r} is no address to send to: {error.message}") from error


def read_card(value: Any) -> Card:
    """A card from its JSON value. Raises CardError with what is wrong."""
    if not isinstance(value, dict):
        raise CardError("an agent card is a JSON object")
    skills = value.get("skills")
    if not isinstance(skills, list) or len(skills) > SKILLS_MAX:
        raise CardError(f"`skills` of an agent card is a list of at most {SKILLS_MAX}")
    inputs = _modes(value.get("defaultInputModes"))
    outputs = _modes(value.get("defaultOutputModes"))
    read = tuple(_skill(each, inputs, outputs) for each in skills)
    if len({each.id for each in read}) < len(read):
        raise CardError("two skills of the card have the same id")
    interfaces, unspoken = _interfaces(value)
    return Card(
        name=_text(value, "name"),
        description=_text(value, "description"),
        version=_text(value, "version"),
        interfaces=interfaces,
        unspoken=unspoken,
        skills=read,
    )


def _skill(value: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Skill:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not value["id"]:
        raise CardError("each skill of an agent card is an object with an id")
    return Skill(
        id=value["id"],
        name=_text(value, "name"),
        description=_text(value, "description"),
        tags=_texts(value.get("tags")),
        examples=_texts(value.get("examples")),
        input_modes=_modes(value.get("inputModes")) or inputs,
        output_modes=_modes(value.get("outputModes")) or outputs,
        definition=value,
    )


def _interfaces(card: dict[str, Any]) -> tuple[tuple[Interface, ...], tuple[str, ...]]:
    """What can be spoken to, and the names of what cannot. A card may say it in the form of 1.0, of 0.3, or in both."""
    version = card.get("protocolVersion", "0.3.0")
    offered: list[tuple[Any, Any, Any, Any]] = [
        (each.get("url"), each.get("protocolBinding"), each.get("protocolVersion"), each.get("tenant"))
        for each in _objects(card.get("supportedInterfaces"))
    ]
    if not offered:
        offered.append((card.get("url"), card.get("preferredTransport", BINDING), version, None))
        more = _objects(card.get("additionalInterfaces"))
        offered += [(each.get("url"), each.get("transport"), version, None) for each in more]
    found: list[Interface] = []
    unspoken: list[str] = []
    for url, binding, spoken, tenant in offered:
        if not isinstance(url, str) or not url:
            continue
        dialect = _dialect(spoken)
        if binding == BINDING and dialect is not None and url.startswith(("https://", "http://")):
            found.append(Interface(url=url, version=dialect, tenant=tenant if isinstance(tenant, str) else None))
        else:
            unspoken.append(f"{str(binding)[:20]} {str(spoken)[:20]}")
    return tuple(found), tuple(dict.fromkeys(unspoken))


def _dialect(version: Any) -> str | None:
    """The form of messages that a version uses; None for one that is not known. Patch numbers mean nothing."""
    if version is None or version == "":
        return LEGACY
    major, _, minor = str(version).partition(".")
    if major == "1":
        return CURRENT
    return LEGACY if major == "0" and minor.partition(".")[0] in {"2", "3"} else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value[:INTERFACES_MAX] if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name, "")
    return text[:TEXT_MAX] if isinstance(text, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return (
        tuple(each[:TEXT_MAX] for each in value[:MODES_MAX] if isinstance(each, str)) if isinstance(value, list) else ()
    )


def _modes(value: Any) -> tuple[str, ...]:
    return tuple(each.partition(";")[0].strip().lower() for each in _texts(value))
