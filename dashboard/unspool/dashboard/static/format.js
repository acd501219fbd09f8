// Times, durations and names as people read them.

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
];

/** A duration such as `12 ms`, `1.24 s` or `3 min 4 s`. */
export function duration(milliseconds) {
  const value = Math.max(0, milliseconds);
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 10_000) return `${(value / 1000).toFixed(2)} s`;
  if (value < 60_000) return `${(value / 1000).toFixed(1)} s`;
  const first = UNITS.findIndex(([unit]) => value >= unit);
  const [unit, name] = UNITS[first];
  const whole = Math.floor(value / unit);
  const [smaller, smallerName] = UNITS[first + 1];
  const rest = Math.floor((value - whole * unit) / smaller);
  return rest ? `${whole} ${name} ${rest} ${smallerName}` : `${whole} ${name}`;
}

/** How long ago, such as `4 min ago`; `in 4 min` for the future. What a browser cannot read stays as it is. */
export function age(time, at) {
  const difference = at - Date.parse(time);
  if (Number.isNaN(difference)) return String(time);
  const value = Math.abs(difference);
  if (value < 1500) return "now";
  const [unit, name] = UNITS.find(([size]) => value >= size) ?? UNITS.at(-1);
  const text = `${Math.floor(value / unit)} ${name}`;
  return difference < 0 ? `in ${text}` : `${text} ago`;
}

const NUMBER = new Intl.NumberFormat("en-GB");

/** A number with its thousands apart, such as `4,505`. */
export const number = (value) => NUMBER.format(value);

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Whether a time is on this day, in the time zone of the browser. */
export const isToday = (time) => new Date(time).toDateString() === new Date().toDateString();

/** The time of day with milliseconds, in the time zone of the browser; the day too, if it is another one. */
export function clock(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  const ofDay = `${CLOCK.format(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  return isToday(date) ? ofDay : `${DAY.format(date)}, ${ofDay}`;
}

export function dateTime(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  return `${DATE.format(date)}, ${CLOCK.format(date)}`;
}

export const workflowName = ({ namespace, name }) => `${namespace}/${name}`;

/** The name of a task: the last part of its pointer. */
export function taskName(pointer) {
  const last = pointer?.split("/").at(-1);
  return last ? last.replaceAll("~1", "/").replaceAll("~0", "~") : "workflow";
}

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

const PARTS = { days: "d", hours: "h", minutes: "min", seconds: "s", milliseconds: "ms" };

/** A duration as a definition has it, such as `20 s` for `{seconds: 20}`; null for another value. */
export function writtenDuration(value) {
  if (value === null || typeof value !== "object" || !Object.keys(value).every((name) => name in PARTS)) return null;
  return Object.entries(PARTS).filter(([name]) => name in value).map(([name, unit]) => `${value[name]} ${unit}`).join(" ");
}
