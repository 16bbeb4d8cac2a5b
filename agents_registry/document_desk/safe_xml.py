"""Reads untrusted XML into a tree. Refuses what attacks are made of, before any of it is expanded.

No document type declaration, hence no entities: neither the exponential kind ("billion laughs") nor the external kind
that reads files or URLs. Size, depth and number of elements are bounded. Standard library only: expat reports, we
decide.
"""

from __future__ import annotations

from typing import Final, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fields import UnreadableError

DEPTH_MAX: Final = 64
ELEMENTS_MAX: Final = 50_000


class _Events:
    """Turns expat's reports into a tree and stops at the first forbidden one."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.depth = 0
        self.elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > DEPTH_MAX:
            raise UnreadableError(f"the XML is nested deeper than {DEPTH_MAX} levels")
        if self.elements > ELEMENTS_MAX:
            raise UnreadableError(f"the XML has more than {ELEMENTS_MAX} elements")
        self.builder.start(_qualified(name), {_qualified(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self.depth -= 1
        self.builder.end(_qualified(name))

    def text(self, data: str) -> None:
        self.builder.data(data)

    def refuse(self, *_declaration: object) -> NoReturn:
        raise UnreadableError("the XML has a document type declaration; declarations and entities are refused")


def parse(document: str) -> Element:
    """Parse a document into its root element, names as `{namespace}local`.

    Raises UnreadableError for what is not well-formed or not allowed. The caller bounds the size.
    """
    events = _Events()
    parser = expat.ParserCreate("utf-8", namespace_separator="}")  # our encoding, whatever the document declares
    parser.buffer_text = True
    parser.StartElementHandler = events.start
    parser.EndElementHandler = events.end
    parser.CharacterDataHandler = events.text
    parser.StartDoctypeDeclHandler = events.refuse
    parser.EntityDeclHandler = events.refuse
    parser.ExternalEntityRefHandler = events.refuse
    try:
        parser.Parse(document.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError):
        raise UnreadableError("the XML is not well-formed") from None
    return events.builder.close()


def _qualified(name: str) -> str:
    return "{" + name if "}" in name else name
