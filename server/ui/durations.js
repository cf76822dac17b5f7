// Formats durations and points in time, in few characters.

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const two = (number) => String(number).padStart(2, "0");

/** `12s`, `3m 05s`, `2h 07m`, `5d 3h`. */
export function duration(milliseconds) {
  const length = Math.max(0, milliseconds);
  const whole = (unit) => Math.floor(length / unit);
  if (length < minute) return `${whole(second)}s`;
  if (length < hour) return `${whole(minute)}m ${two(whole(second) % 60)}s`;
  if (length < day) return `${whole(hour)}h ${two(whole(minute) % 60)}m`;
  return `${whole(day)}d ${whole(hour) % 24}h`;
}

/** A duration that somebody configured: `30s`, `1m 30s`, `10m`, `1.5s`. */
export function chosenDuration(milliseconds) {
  const parts = [
    [day, "d"],
    [hour, "h"],
    [minute, "m"],
  ];
  let rest = milliseconds;
  const texts = [];
  for (const [unit, name] of parts) {
    const count = Math.floor(rest / unit);
    if (count > 0) texts.push(`${count}${name}`);
    rest -= count * unit;
  }
  if (rest > 0 || texts.length === 0) texts.push(`${rest / second}s`);
  return texts.join(" ");
}

const timeOnly = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dateAndTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** In the user's time zone, with the date unless it is today. */
export function pointInTime(milliseconds) {
  const date = new Date(milliseconds);
  const isToday = date.toDateString() === new Date().toDateString();
  return (isToday ? timeOnly : dateAndTime).format(date);
}
