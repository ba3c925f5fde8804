// Numbers as people read them: three figures, the unit that fits, a dash for what is not known.

export const unknown = "–";

/** Three significant figures, without an exponent. */
export function figures(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 99.95) return Math.round(value).toLocaleString("en");
  if (size >= 9.995) return value.toFixed(1);
  return size >= 0.9995 ? value.toFixed(2) : value.toPrecision(2).replace(/\.?0+$/, "");
}

const scaled = (value, units, step) => {
  let index = 0;
  let size = value;
  while (Math.abs(size) >= step && index < units.length - 1) [size, index] = [size / step, index + 1];
  return `${index === 0 ? Math.round(size) : figures(size)} ${units[index]}`;
};

export const bytes = value => value === null || value === undefined ? unknown : scaled(value, ["B", "kB", "MB", "GB", "TB"], 1000);

export const byteRate = value => value === null || value === undefined ? unknown : `${bytes(value)}/s`;

/** A link's speed, as networks are called. */
export const bitRate = value => value === null || value === undefined ? unknown : `${scaled(value * 8, ["bit", "kbit", "Mbit", "Gbit", "Tbit"], 1000)}/s`;

export function seconds(value) {
  if (value === null || value === undefined) return unknown;
  if (value < 0.9995e-3) return `${figures(value * 1e6)} µs`;
  if (value < 0.9995) return `${figures(value * 1e3)} ms`;
  return value < 120 ? `${figures(value)} s` : span(value);
}

/** A long time: "3 min 20 s", "2 h 5 min", "4 d 3 h". */
export function span(value) {
  const whole = Math.floor(value);
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes === 0) return `${whole} s`;
  return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** How much a worker loads, or how long it still takes: of its `loading`. */
export const loading = is => is.seconds_left ? `${byteRate(is.bytes_per_second)}, ${span(is.seconds_left)}` : `of ${bytes(is.bytes_total || null)}`;

export const percent = value => value === null || value === undefined ? unknown : `${value > 0 && value < 0.01 ? "<1" : Math.round(value * 100)} %`;

export const count = value => value === null || value === undefined ? unknown : value.toLocaleString("en");

export const perSecond = value => value === null || value === undefined ? unknown : figures(value);

/** The time of day of a moment in Unix seconds. */
export const clock = moment => moment === null ? unknown : new Date(moment * 1000).toLocaleTimeString("en-GB");

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** "layer 4" or "layers 0–3". */
/** What the ranks of a stage have of experts, as the cluster tells it. */
export const experts = word => word === "whole" ? "whole experts per rank" : "experts cut by columns";

export const layers = (first, number) => number === 1 ? `layer ${first}` : `layers ${first}–${first + number - 1}`;
