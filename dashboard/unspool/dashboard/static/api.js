// Calls of the JSON API. Every failure is a `Problem` with the detail that the API gives.
import { caller, identity, lock, proof } from "./session.js";

const ROOT = "/api/v1";

export class Problem extends Error {
  constructor(status, detail, members = {}) {
    super(detail);
    this.status = status;
    this.members = members;
  }

  /** Whether the API is away, busy or failing, so that the request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
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
  const sender = caller.value;
  const response = await answered(
    fetch(withQuery(ROOT + address, query), {
      method,
      body,
      signal,
      headers: { Accept: "application/json", ...headers, ...identity(), ...(method === "GET" ? {} : proof()) },
    }),
  );
  if (response.ok) return response;
  const problem = problemOf(response.status, await answered(response.text()));
  // An answer to a request from before the login says nothing of the caller who logged in since.
  if (response.status === 401 && caller.value === sender) lock(problem);
  throw problem;
}

/** Waits for a response, or for its body: both fail if the connection is lost. */
async function answered(arriving) {
  try {
    return await arriving;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The API does not answer.");
  }
}

function problemOf(status, body) {
  try {
    const members = JSON.parse(body);
    return new Problem(status, members.detail ?? members.title ?? "", members);
  } catch {
    return new Problem(status, `The API answered ${status}.`);
  }
}

async function content(method, address, options) {
  const response = await send(method, address, options);
  return answered(response.text());
}

async function parsed(method, address, options) {
  const body = await content(method, address, options);
  return body ? JSON.parse(body) : null;
}

export const get = (address, query, signal) => parsed("GET", address, { query, signal });

export const text = (address, accept, signal) => content("GET", address, { headers: { Accept: accept }, signal });

export const post = (address, value, query) => {
  const body = value === undefined ? {} : { body: JSON.stringify(value), headers: { "Content-Type": "application/json" } };
  return parsed("POST", address, { query, ...body });
};

export const remove = (address) => parsed("DELETE", address);
