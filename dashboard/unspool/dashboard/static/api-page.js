// The page of the API: Swagger UI on the API's own description, same host only.

const SAFE = ["GET", "HEAD", "OPTIONS"];

/** Adds the token of a session to unsafe requests. Requests with a key of their own need none. */
async function withToken(request) {
  const method = (request.method ?? "GET").toUpperCase();
  const headers = request.headers ?? {};
  if (SAFE.includes(method) || "Authorization" in headers) return request;
  const answer = await fetch("/api/v1/session");
  const csrf = answer.ok ? (await answer.json()).csrf : null;
  return csrf === null ? request : { ...request, headers: { ...headers, "X-CSRF-Token": csrf } };
}

window.SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor: withToken,
});
