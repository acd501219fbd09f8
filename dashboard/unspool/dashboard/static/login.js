// Logs in and out. The browser keeps the session in a cookie that scripts cannot read.
import { get, post, remove } from "./api.js";
import { caller, locked } from "./session.js";

/** Asks the API who the caller is; if it does not know, the page asks for a login. */
export async function identify() {
  try {
    caller.value = await get("/session");
  } catch (error) {
    if (error.status !== 401) throw error;
  }
}

export async function logIn(token) {
  caller.value = await post("/session", { token });
  locked.value = null;
}

export async function logOut() {
  await remove("/session");
  caller.value = null;
  await identify();
}
