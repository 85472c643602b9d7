"""The servers that share the work on one model: the least busy one is asked first, a failed one last."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import httpx

from models.openai.api import authorization
from models.server.addresses import CONNECT_SECONDS, goes_through_proxy

COOLDOWN_SECONDS = 5.0
"""How long an endpoint that failed is asked only if all others fail too; shorter than DSPy's retries take."""


class Endpoint:
    """One server with its connections; for one event loop."""

    def __init__(self, address: str) -> None:
        self.chat_url = f"{address}/chat/completions"
        self.http = httpx.AsyncClient(
            # How long an answer may take is for the engine to say.
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            headers=authorization(),
            trust_env=goes_through_proxy(address),
        )
        self._under_way = 0
        self._last_asked = 0.0
        self._failed_at = float("-inf")

    @property
    def rank(self) -> tuple[bool, int, float]:
        """What decides who is asked first: the smallest."""
        has_failed = time.monotonic() - self._failed_at < COOLDOWN_SECONDS
        # The time breaks ties: a server that hangs without an error isn't asked twice in a row.
        return has_failed, self._under_way, self._last_asked

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Count a request while it is under way."""
        self._under_way += 1
        self._last_asked = time.monotonic()
        try:
            yield
        finally:
            self._under_way -= 1

    def failed(self) -> None:
        """Let others go first for a while."""
        self._failed_at = time.monotonic()


class Endpoints:
    """All servers of one model."""

    def __init__(self, addresses: Collection[str]) -> None:
        self._all = [Endpoint(address) for address in addresses]

    def each_once(self) -> Iterator[tuple[Endpoint, bool]]:
        """Yield every endpoint, the best at that moment first, and whether it is the last one."""
        left = list(self._all)
        while left:
            best = min(left, key=lambda endpoint: endpoint.rank)
            left.remove(best)
            yield best, not left

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in self._all:
            await endpoint.http.aclose()
