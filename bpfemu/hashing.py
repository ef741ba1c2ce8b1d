"""SHA-256 without OpenSSL, which ``hashlib`` loads first and a cold start would notice."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["sha256"]


def _find() -> Any:
    for name in ("_sha2", "_sha256", "hashlib"):  # CPython 3.12 and newer, 3.11, everywhere
        try:
            return import_module(name).sha256
        except (ImportError, AttributeError):
            continue
    raise ImportError("no SHA-256 in this Python")


def sha256(data: bytes) -> str:
    """The digest of ``data``, 64 hex digits."""
    digest: str = _find()(data).hexdigest()
    return digest
