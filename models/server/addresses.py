"""How to connect to a server's address."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

CONNECT_SECONDS = 5.0


def goes_through_proxy(address: str) -> bool:
    """Whether the environment's proxies may be used; never for this machine's own address."""
    host = urlsplit(address).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
