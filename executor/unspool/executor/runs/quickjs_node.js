// Defines what scripts expect from Node. Evaluates to a function of the environment and the arguments, which returns
// the event loop: a function that runs the timers that are due and returns the seconds to the next one, or null.
(function () {
  "use strict";
  const { __write: write, __stdin: readStdin, __exit: exit, __now: now } = globalThis;
  for (const name of ["__write", "__stdin", "__exit", "__now"]) delete globalThis[name];

  // -- console

  const WIDTH = 72;

  function quoted(text) {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : "`";
    return mark + JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"') + mark;
  }

  function failure(error) {
    const head = `${error.name}: ${error.message}`;
    return error.stack ? `${head}\n${error.stack.trimEnd()}` : head;
  }

  function inspected(value, depth = 0, above = []) {
    switch (typeof value) {
      case "string": return quoted(value);
      case "bigint": return `${value}n`;
      case "symbol": return value.toString();
      case "function": return value.name ? `[Function: ${value.name}]` : "[Function (anonymous)]";
      case "object": break;
      default: return Object.is(value, -0) ? "-0" : String(value);
    }
    if (value === null) return "null";
    if (above.includes(value)) return "[Circular *1]";
    if (value instanceof Error) return failure(value);
    if (value instanceof Date) return Number.isNaN(+value) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return value.toString();
    if (value instanceof Promise) return "Promise";
    if (depth > 2 && Object.keys(value).length > 0) return Array.isArray(value) ? "[Array]" : "[Object]";
    const inner = (item) => inspected(item, depth + 1, [...above, value]);
    const indent = "  ".repeat(depth);
    if (Array.isArray(value)) return enclosed("", "[", value.map(inner), "]", indent);
    if (ArrayBuffer.isView(value) && "length" in value)
      return enclosed(`${value.constructor.name}(${value.length}) `, "[", Array.from(value, inner), "]", indent);
    if (value instanceof Map) {
      const entries = Array.from(value, ([key, item]) => `${inner(key)} => ${inner(item)}`);
      return enclosed(`Map(${value.size}) `, "{", entries, "}", indent);
    }
    if (value instanceof Set) return enclosed(`Set(${value.size}) `, "{", Array.from(value, inner), "}", indent);
    const name = value.constructor?.name;
    const title = name === undefined ? "[Object: null prototype] " : name === "Object" ? "" : `${name} `;
    const entries = Object.entries(value).map(([key, item]) => `${member(key)}: ${inner(item)}`);
    return enclosed(title, "{", entries, "}", indent);
  }

  function member(key) {
    return /^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key);
  }

  function enclosed(title, open, items, close, indent) {
    if (items.length === 0) return `${title}${open}${close}`;
    const line = `${title}${open} ${items.join(", ")} ${close}`;
    if (line.length <= WIDTH && !line.includes("\n")) return line;
    return `${title}${open}\n${items.map((item) => `${indent}  ${item}`).join(",\n")}\n${indent}${close}`;
  }

  function formatted(first, ...rest) {
    const shown = (value) => (typeof value === "string" ? value : inspected(value));
    if (typeof first !== "string" || rest.length === 0) return [first, ...rest].map(shown).join(" ");
    const text = first.replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === "%%") return "%";
      if (rest.length === 0) return mark;
      const value = rest.shift();
      switch (mark) {
        case "%s": return typeof value === "object" ? inspected(value, 2) : String(value);
        case "%d": return typeof value === "bigint" ? `${value}n` : String(Number(value));
        case "%i": return String(parseInt(value, 10));
        case "%f": return String(parseFloat(value));
        case "%j": return JSON.stringify(value);
        case "%c": return "";
        default: return inspected(value);
      }
    });
    return [text, ...rest.map(shown)].join(" ");
  }

  const printTo = (fd) => (...values) => write(fd, `${values.length ? formatted(...values) : ""}\n`);
  const [out, err] = [printTo(1), printTo(2)];
  globalThis.console = {
    log: out, info: out, debug: out, dir: (value) => out(inspected(value)), error: err, warn: err, trace: err,
    assert: (holds, ...values) => { if (!holds) err("Assertion failed", ...values); },
  };

  // -- timers

  const timers = new Map();
  let lastTimer = 0;

  function setTimer(action, milliseconds, again, values) {
    const delay = Math.max(Number(milliseconds) || 0, again ? 1 : 0) / 1000;
    timers.set(++lastTimer, { at: now() + delay, delay, again, run: () => action(...values) });
    return lastTimer;
  }

  globalThis.setTimeout = (action, delay, ...values) => setTimer(action, delay, false, values);
  globalThis.setInterval = (action, delay, ...values) => setTimer(action, delay, true, values);
  globalThis.setImmediate = (action, ...values) => setTimer(action, 0, false, values);
  globalThis.clearTimeout = globalThis.clearInterval = globalThis.clearImmediate = (id) => { timers.delete(id); };
  globalThis.queueMicrotask ??= (action) => { Promise.resolve().then(action).catch(failed); };

  function earliest() {
    let found = null;
    for (const [id, timer] of timers) if (found === null || timer.at < found[1].at) found = [id, timer];
    return found;
  }

  function loop() {
    const next = earliest();
    if (next === null) return null;
    const [id, timer] = next;
    const wait = timer.at - now();
    if (wait > 0) return wait;
    if (timer.again) timer.at = now() + timer.delay;
    else timers.delete(id);
    try {
      timer.run();
    } catch (error) {
      failed(error);
    }
    return 0;
  }

  function failed(error) {
    write(2, `Uncaught ${error instanceof Error ? failure(error) : inspected(error)}\n`);
    exit(1);
  }
  globalThis.__failed = failed;

  // -- process and modules

  let stdin = null;
  const stdinText = () => (stdin ??= readStdin());
  let stdinUsed = false;

  function stdinOnce() {
    if (stdinUsed) return "";
    stdinUsed = true;
    return stdinText();
  }

  function listening(event, listener) {
    if (event === "data") setTimer(() => { const text = stdinOnce(); if (text) listener(text); }, 0, false, []);
    if (event === "end" || event === "close") setTimer(listener, 0, false, []);
    return this;
  }

  function readFileSync(file, options) {
    if (![0, "/dev/stdin"].includes(file))
      throw new Error("the embedded engine can only read standard input: readFileSync(0)");
    const text = stdinOnce();
    if (typeof options === "string" || options?.encoding) return text;
    return { length: text.length, toString: () => text, toJSON: () => text };
  }

  const stream = (fd) => ({ fd, isTTY: false, write: (text) => { write(fd, String(text)); return true; } });

  function defineProcess(environment, argv) {
    globalThis.process = {
      argv, env: { ...environment }, exitCode: undefined, platform: "linux", version: "quickjs", versions: {},
      cwd: () => environment.PWD ?? environment.HOME,
      exit: (code) => exit(code ?? process.exitCode ?? 0),
      nextTick: (action, ...values) => queueMicrotask(() => action(...values)),
      on: () => process,
      stdin: {
        fd: 0, isTTY: false, setEncoding() { return this; }, on: listening, once: listening,
        async *[Symbol.asyncIterator]() { const text = stdinOnce(); if (text) yield text; },
      },
      stdout: stream(1),
      stderr: stream(2),
    };
  }

  const modules = { fs: { readFileSync } };

  function module(name) {
    const known = name.replace(/^node:/, "");
    if (known === "process") return process;
    if (Object.hasOwn(modules, known)) return modules[known];
    throw new Error(`Cannot find module '${name}': the embedded engine has only fs and process; install Node for others`);
  }
  globalThis.__module = module;
  globalThis.require = module;

  globalThis.global = globalThis;
  return (environment, argv) => {
    defineProcess(JSON.parse(JSON.stringify(environment)), JSON.parse(JSON.stringify(argv)));
    return loop;
  };
})();
