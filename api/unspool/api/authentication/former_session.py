"""The session that a browser has before a login. The login ends it: no copy of its cookie stays valid.

After a login at the issuer, the browser does not send the cookie of the session: the request comes from
another site. So a text about that session, which is no credential, is kept with the pending login.
"""

import hmac
import re
from typing import Final

from starlette.requests import Request

from unspool.api.authentication.cookies import read_cookie
from unspool.eventstore.api_keys import ApiKeys, sha256_of_secret

FORMER: Final = re.compile(r"([0-9a-f]{16})-([0-9a-f]{64})")
"""The id of a session, and the proof that the browser has its secret."""


def former_session(request: Request, *, https: bool) -> str:
    """Returns a text about the session of a browser, in the form `FORMER`; empty if it has none."""
    credential = read_cookie(request, https=https)
    if credential is None:
        return ""
    return f"{credential.id}-{_proof(sha256_of_secret(credential.secret))}"


async def end_former(store: ApiKeys, former: str) -> None:
    """Ends the session that a text of `former_session` is about, if its proof is right."""
    match = FORMER.fullmatch(former)
    session = await store.session(match[1]) if match else None
    if match and session and hmac.compare_digest(match[2], _proof(session.sha256)):
        await store.delete_session(session.id)


def _proof(sha256: str) -> str:
    """Returns a hash that only those know who have the secret, and the store."""
    return hmac.digest(sha256.encode(), b"former session", "sha256").hex()
