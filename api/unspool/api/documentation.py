"""The API's own description: an OpenAPI document, and a page on which its calls can be tried.

The page is Swagger UI, whose files are among those of the dashboard.
"""

from typing import Final

from starlette.responses import HTMLResponse, Response

from unspool.api.calls import Call, json_response
from unspool.api.openapi import document

PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Unspool API</title>
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">
<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js" defer></script>
<script src="/static/api-page.js" defer></script>
<body>
<noscript>This page needs JavaScript; <a href="/api/openapi.json">the document</a> does not.</noscript>
<div id="api"></div>
</html>
"""

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI sets styles of elements
        "img-src 'self' data:",  # its icons are in its stylesheet
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


async def openapi(call: Call) -> Response:
    """Returns the OpenAPI document."""
    authenticator = call.services.authenticator
    https = authenticator.is_https(call.request)
    return json_response(document(authentication=authenticator.settings.on, https=https))


async def page(_call: Call) -> Response:
    """Returns a page that shows the OpenAPI document and sends requests."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})
