// === words: numbers and times as a person reads them, and elements made of them

const $ = (id) => document.getElementById(id);
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** An element: `el("td", { class: "n" }, "text", child)`. Text is only ever text, and all of it is `plain`. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else put(element, key, value === true ? "" : value);
  }
  for (const child of children) {
    if (typeof child === "string") element.append(plain(child));
    else if (child) element.append(child);
  }
  return element;
}

/** Says `text`, but touches the document only if it did not say so before. */
function say(element, text) {
  const shown = plain(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** The attributes that a person reads, or hears. */
const READ = new Set(["aria-label", "aria-valuetext", "title"]);

function put(element, key, value) {
  if (value === null || value === false) return element.removeAttribute(key);
  const shown = READ.has(key) ? plain(value) : String(value);
  if (element.getAttribute(key) !== shown) element.setAttribute(key, shown);
}

/**
 * Makes `parent` hold one child for each of `items`, in this order. Who was there before is kept, so that focus and
 * selection are, and is brought up to date.
 */
function keyed(parent, items, keyOf, make, update) {
  const known = (parent.known ??= new Map());
  const wanted = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let child = known.get(key);
    if (!child) known.set(key, (child = make(item)));
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const [key, child] of known) {
    if (wanted.has(key)) continue;
    known.delete(key);
    child.remove();
  }
}

/**
 * Text with what cannot be seen, or turns the line around, made visible. Paths and names are of strangers, and
 * whoever writes the next line of this page should not have to think of it.
 */
function plain(text) {
  return String(text).replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
  );
}

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = (number) => grouped.format(number).replaceAll(",", "\u202f");
const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** 0.0023 -> "2.3 ms", 73 -> "1 min 13 s". */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.0009995) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const rounded = Math.round(seconds);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => rounded >= size);
  return parts
    .slice(first, first + 2)
    .map(([size, unit], index) => [Math.floor((index ? rounded % parts[first][0] : rounded) / size), unit])
    .filter(([number], index) => number || !index)
    .map(([number, unit]) => `${number} ${unit}`)
    .join(" ");
}

/** A bound of the histogram: 0.0025 -> "2.5 ms". */
const bound = (seconds) => (seconds < 1 ? `${seconds * 1000} ms` : `${seconds} s`);
/** How long a side is silent: tenths of seconds would only flicker. */
const silence = (seconds) => (seconds < 1 ? "now" : whole(seconds));
/** A duration in whole seconds. */
const whole = (seconds) => (seconds < 60 ? `${Math.floor(seconds)} s` : duration(Math.floor(seconds)));
/** For little room: 1677 -> "1.7k". */
const short = (number) => (number < 10000 ? count(number) : `${Math.round(number / 1000)}k`);

function bytes(number) {
  if (number < 1000) return `${number} B`;
  const power = Math.min(4, Math.floor(Math.log10(number) / 3));
  const value = number / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${["", "k", "M", "G", "T"][power]}B`;
}

const two = (number) => String(number).padStart(2, "0");
/** The time of day here; with the date if it was not today. */
function clock(unix, withSeconds = true) {
  const time = new Date(unix * 1000);
  const day = time.toDateString() === new Date().toDateString() ? "" : `${date(unix)} `;
  return `${day}${two(time.getHours())}:${two(time.getMinutes())}${withSeconds ? `:${two(time.getSeconds())}` : ""}`;
}
function date(unix) {
  const time = new Date(unix * 1000);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

/** client_lapsed -> "client lapsed". */
const spoken = (name) => name.replaceAll("_", " ");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** The bound that this share of the round trips is not above; null if there are none, Infinity if above all bounds. */
function below(counts, bounds, share) {
  let left = sum(counts) * share;
  if (!left) return null;
  const at = counts.findIndex((number) => (left -= number) <= 1e-9);
  return at < 0 || at >= bounds.length ? Infinity : bounds[at];
}
function belowText(counts, bounds, share) {
  const limit = below(counts, bounds, share);
  if (limit === null) return "–";
  return limit === Infinity ? `> ${bound(bounds.at(-1))}` : `≤ ${bound(limit)}`;
}
