"""TLS to an address that was checked, with the certificate checked for the name."""

import ssl
from typing import Any


class NamedContext(ssl.SSLContext):
    """A client context whose connections are to one name.

    For libraries that take the host that they connect to, an address, for the name in the certificate.
    """

    name: str

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        return super().wrap_bio(*arguments, **{**options, "server_hostname": self.name})


def context_for(name: str) -> NamedContext:
    """Returns a context that accepts only valid certificates of a name. Reads files; call it on a thread."""
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    context.verify_flags = ssl.create_default_context().verify_flags  # stricter from Python 3.13 on
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context
