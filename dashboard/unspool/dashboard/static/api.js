// Calls of the JSON API. Every failure is a `Problem` with the detail that the API gives.
import { identity, locked, proof } from "./session.js";

const ROOT = "/api/v1";

export class Problem extends Error {
  constructor(status, detail, members = {}) {
    super(detail);
    this.status = status;
    this.members = members;
  }

  /** Whether the API is away or busy, so that the request may succeed later. */
  get isTemporary() {
    return [0, 429, 503].includes(this.status);
  }
}

/** Milliseconds until a request that failed is sent again, if it may succeed then. */
export const RETRY = 1500;

/** The path of an API resource; each part is encoded. */
export function path(...parts) {
  return parts.map((part) => "/" + encodeURIComponent(part)).join("");
}

function withQuery(address, query = {}) {
  const given = Object.entries(query)
    .flatMap(([name, value]) => [value].flat().map((each) => [name, each]))
    .filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `${address}?${new URLSearchParams(given)}` : address;
}

/** Sends a request below /api/v1; resolves to the response, or throws a `Problem`. */
export async function send(method, address, { query, body, headers, signal } = {}) {
  let response;
  try {
    response = await fetch(withQuery(ROOT + address, query), {
      method,
      body,
      signal,
      headers: { Accept: "application/json", ...headers, ...identity(), ...(method === "GET" ? {} : proof()) },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The API does not answer.");
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) locked.value = problem;
  throw problem;
}

async function problemOf(response) {
  try {
    const members = await response.json();
    return new Problem(response.status, members.detail ?? members.title ?? "", members);
  } catch {
    return new Problem(response.status, `The API answered ${response.status}.`);
  }
}

async function parsed(response) {
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

export const get = async (address, query, signal) => parsed(await send("GET", address, { query, signal }));

export const text = async (address, accept, signal) =>
  (await send("GET", address, { headers: { Accept: accept }, signal })).text();

export const post = async (address, content, query) =>
  parsed(
    await send("POST", address, {
      query,
      ...(content === undefined
        ? {}
        : { body: JSON.stringify(content), headers: { "Content-Type": "application/json" } }),
    }),
  );

export const remove = async (address) => parsed(await send("DELETE", address));
