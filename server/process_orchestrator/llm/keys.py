"""Which environment variable holds the key of a way, and whether it is there. No key is ever kept in a file of ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from process_orchestrator.checking.addresses import is_this_machine
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.llm.tiers import Way

NO_KEY: Final = "none"
"""What is sent where a client insists on a key and the host wants none."""

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "anthropic": ("ANTHROPIC_API_KEY",),
        "azure": ("AZURE_API_KEY",),
        "cerebras": ("CEREBRAS_API_KEY",),
        "cohere": ("COHERE_API_KEY",),
        "cohere_chat": ("COHERE_API_KEY",),
        "deepseek": ("DEEPSEEK_API_KEY",),
        "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "groq": ("GROQ_API_KEY",),
        "mistral": ("MISTRAL_API_KEY",),
        "openai": ("OPENAI_API_KEY",),
        "openrouter": ("OPENROUTER_API_KEY",),
        "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
        "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
        "xai": ("XAI_API_KEY",),
    }
)
"""The usual ones. A provider that is not listed is asked as it is: its client looks for its key itself."""

KEYLESS: Final = frozenset({"ollama", "ollama_chat", "llamafile", "lm_studio", "hosted_vllm", "vllm"})
BARE: Final = (("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"), ("claude-", "anthropic"))
"""Beginnings of names that are known without their provider."""


class Key(Fact, kw_only=True):
    """`variables` are those that are looked at, `found` the one that is set. `value` is None where none is needed."""

    variables: tuple[str, ...] = ()
    found: str | None = None
    value: str | None = None

    @property
    def missing(self) -> bool:
        return bool(self.variables) and self.found is None


def provider_of(way: Way) -> str:
    """Who hosts a model: the name before its slash, or that of a name which is known bare."""
    if way.provider:
        return way.provider
    return next((provider for start, provider in BARE if way.model.startswith(start)), "")


def key_of(way: Way, environment: Mapping[str, str]) -> Key:
    """The key of a way, read now. An address of the user's own gets a key only where the settings name it."""
    if way.api_key_env is not None:
        variables = (way.api_key_env,)
    elif way.api_base is not None:
        return Key(value=NO_KEY)
    else:
        variables = VARIABLES.get(provider_of(way), ())
    found = next((name for name in variables if environment.get(name)), None)
    return Key(variables=variables, found=found, value=environment[found] if found else None)


def is_in_the_clear(way: Way) -> bool:
    """Whether what is sent, a key and prompts, could be read on the way: plain http to another machine."""
    address = urlsplit(way.api_base or "")
    return address.scheme == "http" and not is_this_machine(address.hostname or "")
