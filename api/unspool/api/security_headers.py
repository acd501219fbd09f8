"""The headers that protect browsers."""

from typing import Final

SECURITY_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
"""Added to every response that does not set them itself."""

HTTPS_HEADERS: Final = {b"strict-transport-security": b"max-age=31536000"}
"""Added to responses that browsers get by https."""
