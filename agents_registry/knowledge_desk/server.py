"""Knowledge desk: an agent that searches help articles. An MCP server on stdio over a folder of Markdown files.

Keeps the contract `knowledge.search`. The index is SQLite's full-text search (FTS5), in memory, one row per paragraph,
made anew when a file of the folder has changed. A question is taken as words, never as a query: what the customer
writes cannot be an operator. Paragraphs are ranked by bm25, titles weighing most, and each article answers with its
best one.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import StringConstraints
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

ARTICLES_MAX: Final = 3
ARTICLE_FILES_MAX: Final = 2_000
ARTICLE_BYTES_MAX: Final = 100_000
EXCERPT_CHARS_MAX: Final = 1_500
WORDS_MAX: Final = 60
"""Of a longer message only the first words are looked for."""

Message = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
FILE_NAME: Final = re.compile(r"[a-z0-9-]{1,97}\.md")

_EVERYDAY_TEXT: Final = """
    a about after all also am an and any are as at be been but by can could customer did do does for from get had
    has have he hello help her hi his how i if in is it its just me my need not of on or order our please she should
    so tell that the their them then there they this to up us want wants was we what when where which who why will
    with would write writes you your
"""
EVERYDAY: Final = frozenset(_EVERYDAY_TEXT.split())
"""Words that stand in every question and tell no article from another."""

SCHEMA: Final = (
    "CREATE VIRTUAL TABLE paragraph USING fts5(source UNINDEXED, title, body, tokenize = 'porter unicode61')"
)
SEARCH: Final = """
SELECT source, title, body, bm25(paragraph, 0.0, 4.0, 1.0) AS rank
FROM paragraph WHERE paragraph MATCH ? ORDER BY rank, source, rowid
"""


class Article(TypedDict):
    """One article, with the paragraph that fits best."""

    source: str
    title: str
    excerpt: str


class Found(TypedDict):
    """The articles that fit, best first."""

    articles: list[Article]


class Shelf:
    """The indexed articles. One connection, used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._index: sqlite3.Connection | None = None
        self._seen: tuple[tuple[str, int, int], ...] = ()

    def search(self, words: list[str]) -> list[Article]:
        """Find the best articles in which at least one of the words stands."""
        with self._lock:
            rows = self._open().execute(SEARCH, (" OR ".join(f'"{word}"' for word in words),))
            found: dict[str, Article] = {}
            for source, title, body, _ in rows:
                if source not in found:
                    found[source] = {"source": source, "title": title, "excerpt": body[:EXCERPT_CHARS_MAX]}
                if len(found) == ARTICLES_MAX:
                    break
        return list(found.values())

    def _open(self) -> sqlite3.Connection:
        """The index as the files stand now."""
        files = sorted(file for file in self._folder.glob("*.md") if FILE_NAME.fullmatch(file.name))
        seen = tuple((file.name, stat.st_mtime_ns, stat.st_size) for file in files for stat in [file.stat()])
        if self._index is None or seen != self._seen:
            index = sqlite3.connect(":memory:", check_same_thread=False)  # one thread at a time: the lock
            index.execute(SCHEMA)
            for file in files[:ARTICLE_FILES_MAX]:
                index.executemany("INSERT INTO paragraph VALUES (?, ?, ?)", paragraphs(file))
            self.close()
            self._index, self._seen = index, seen
        return self._index

    def close(self) -> None:
        """Forget the index; the next search makes it anew."""
        if self._index is not None:
            self._index.close()
        self._index = None


def paragraphs(file: Path) -> Iterator[tuple[str, str, str]]:
    """Source, title and text of each paragraph. The first line is the title; a heading goes with what follows it."""
    title, _, text = file.read_bytes()[:ARTICLE_BYTES_MAX].decode(errors="replace").partition("\n")
    for paragraph in re.split(r"\n\s*\n", text):
        body = " ".join(line.lstrip("# ").strip() for line in paragraph.strip().splitlines())
        if body:
            yield file.name, title.lstrip("# ").strip(), body


def words_of(message: str) -> list[str]:
    """The words that may tell articles from each other, each once, in order."""
    words = (word for word in re.findall(r"\w+", message.lower()) if word not in EVERYDAY and len(word) > 1)
    return list(dict.fromkeys(words))[:WORDS_MAX]


desk = MCPServer("knowledge-desk", version="1.0.0", log_level="WARNING")
shelf: Final = Shelf(Path(os.environ.get("ARTICLES", Path(__file__).with_name("articles"))))


@desk.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def search_articles(message: Message) -> Found:
    """Find the help articles that answer a question asked in plain words."""
    words = words_of(message)
    articles = shelf.search(words) if words else []
    if not articles:
        raise ToolError("nothing_found: no article speaks of this")
    return {"articles": articles}


if __name__ == "__main__":
    desk.run("stdio")
