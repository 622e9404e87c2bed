// === charts: on canvas, in the colours of the style sheet. One hue for what is normal, one for what is not

let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "quiet", "hair", "data", "trouble", "paper"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

/** A canvas as large as its box, in pixels of the screen; null while it has no box. */
function prepared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  return { pen, width, height };
}

/** Room at the right of each strip for what its lines mean. */
const GUTTER = 104;
const HOUR = 3600;
const SLOTS = 360;

/** Where a moment of the hour is. */
function scale(width) {
  const plot = width - GUTTER;
  const last = hour.samples.at(-1)?.at ?? 0;
  return { plot, column: plot / SLOTS, x: (at) => plot * (1 - (last - at + hour.step) / HOUR) };
}

function label(pen, width, y, text, colour = colours.quiet) {
  pen.fillStyle = colour;
  pen.fillText(text, width - GUTTER + 6, y);
}

function rule(pen, width, y, colour = colours.hair) {
  pen.fillStyle = colour;
  pen.fillRect(0, Math.round(y), width - GUTTER, 1);
}

function drawPairs({ pen, width, height }) {
  const { column, x } = scale(width);
  const most = Math.max(0, ...hour.samples.map((one) => one.pairs));
  const y = (pairs) => height - 1 - (pairs / Math.max(1, most)) * (height - 9);
  rule(pen, width, y(most));
  if (most) label(pen, width, y(most) + 1, `${count(most)} most`);
  rule(pen, width, height - 1);
  label(pen, width, height - 6, "0");
  const line = new Path2D();
  hour.samples.forEach((one, index) => line[index ? "lineTo" : "moveTo"](x(one.at) + column, y(one.pairs)));
  const area = new Path2D(line);
  area.lineTo(x(hour.samples.at(-1).at) + column, height - 1);
  area.lineTo(x(hour.samples[0].at) + column, height - 1);
  pen.globalAlpha = 0.14;
  pen.fillStyle = colours.data;
  pen.fill(area);
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.data;
  pen.lineWidth = 1.5;
  pen.stroke(line);
}

/** The causes of an end that nobody wished for. */
const UNWELL = /_(lapsed|stalled|reset|timeout)$|^(internal|limit|frame_too_big)$/;
const unwell = (ended) => sum(Object.keys(ended).filter((cause) => UNWELL.test(cause)).map((cause) => ended[cause]));

function drawTurnover({ pen, width, height }) {
  const { column, x } = scale(width);
  const middle = Math.round(height / 2);
  const most = Math.max(1, ...hour.samples.map((one) => Math.max(one.opened, sum(Object.values(one.ended)))));
  const tall = (number) => (number / most) * (middle - 3);
  for (const one of hour.samples) {
    const wide = Math.max(1, column - 0.4);
    const ended = sum(Object.values(one.ended));
    const bad = unwell(one.ended);
    pen.fillStyle = colours.data;
    pen.fillRect(x(one.at), middle - tall(one.opened), wide, tall(one.opened));
    pen.fillStyle = colours.quiet;
    pen.globalAlpha = 0.6;
    pen.fillRect(x(one.at), middle + 1, wide, tall(ended));
    pen.globalAlpha = 1;
    pen.fillStyle = colours.trouble;
    pen.fillRect(x(one.at), middle + 1, wide, tall(bad));
  }
  rule(pen, width, middle, colours.quiet);
  label(pen, width, 7, `${count(most)} in 10 s`);
  label(pen, width, height - 7, hour.samples.some((one) => unwell(one.ended)) ? "unwell ends" : "", colours.trouble);
}

const LANE = 15;
const KINDS = ["network", "application", "unknown"];

/** Lapses in a lane for each kind, and the round trips as heat below. */
function drawSide({ pen, width, height }, side) {
  const { plot, column, x } = scale(width);
  const wide = Math.max(1, column);
  const of = (kind) => hour.samples.map((one) => one.lapses[side][kind] ?? 0);
  const kinds = KINDS.filter((kind) => kind !== "unknown" || sum(of(kind)));
  kinds.forEach((kind, lane) => {
    const counts = of(kind);
    const most = Math.max(1, ...counts);
    const base = (lane + 1) * LANE;
    rule(pen, width, base);
    hour.samples.forEach((one, index) => {
      if (!counts[index]) return;
      const tall = 3 + (counts[index] / most) * (LANE - 5);
      pen.fillStyle = colours.trouble;
      pen.fillRect(x(one.at) - 0.5, base - tall, Math.max(2, wide), tall);
    });
    const total = sum(counts);
    label(pen, width, base - 6, `${kind} ${short(total)}`, total ? colours.trouble : colours.quiet);
  });
  const top = kinds.length * LANE + 5;
  const rows = hour.bounds.length + 1;
  const row = (height - top - 2) / rows;
  const y = (index) => height - 2 - (index + 1) * row;
  // The most that any step has in any one row is full colour; the root keeps few visible beside many.
  const most = Math.max(1, ...hour.samples.map((one) => Math.max(...one.rtt[side])));
  pen.fillStyle = colours.data;
  for (const one of hour.samples) {
    one.rtt[side].forEach((number, index) => {
      if (!number) return;
      pen.globalAlpha = 0.1 + 0.9 * Math.sqrt(number / most);
      pen.fillRect(x(one.at), y(index), wide + 0.3, row - 0.5);
    });
  }
  pen.globalAlpha = 1;
  for (const [value, name] of [[0.001, "1 ms"], [0.01, "10 ms"], [0.1, "100 ms"], [1, "1 s"], [10, "10 s"]]) {
    const at = hour.bounds.indexOf(value);
    if (at < 0) continue;
    pen.globalAlpha = 0.55;
    rule(pen, width, y(at));
    pen.globalAlpha = 1;
    label(pen, width, y(at), name);
  }
  pen.strokeStyle = colours.hair;
  pen.lineWidth = 1;
  pen.strokeRect(0.5, top - 0.5, plot - 1, height - top - 1);
}

const STRIPS = [
  { name: "Pairs", key: "pairs", draw: drawPairs },
  { name: "Opened, ended", key: "turnover", note: "above, below", draw: drawTurnover },
  { name: "Clients", key: "client", note: "lapses, RTT", draw: (area) => drawSide(area, "client") },
  { name: "Upstreams", key: "upstream", note: "lapses, RTT", draw: (area) => drawSide(area, "upstream") },
];

function makeStrips(moved, left) {
  for (const strip of STRIPS) {
    strip.canvas = el("canvas", { class: `strip ${strip.key}`, role: "img", "aria-label": strip.name });
    strip.canvas.addEventListener("pointermove", (event) => {
      const share = event.offsetX / (strip.canvas.clientWidth - GUTTER);
      if (share >= 0 && share < 1) moved(Math.floor(share * SLOTS));
    });
    strip.canvas.addEventListener("pointerleave", left);
    $("strips").append(el("figure", {}, el("figcaption", {}, strip.name, strip.note ? el("small", {}, strip.note) : null), strip.canvas));
  }
}

function drawStrips(slot) {
  for (const strip of STRIPS) {
    const area = prepared(strip.canvas);
    if (!area) continue;
    if (!hour.samples.length) {
      area.pen.fillStyle = colours.quiet;
      area.pen.fillText(strip.key === "pairs" ? "Nothing yet: there is a sample each 10 s." : "", 6, area.height / 2);
      continue;
    }
    strip.draw(area);
    if (slot < SLOTS - 1) {
      const { column } = scale(area.width);
      area.pen.fillStyle = colours.ink;
      area.pen.fillRect(Math.round((slot + 0.5) * column), 0, 1, area.height);
    }
  }
}

/** From 1 ms to 10 s, as a share of the height. */
const loudness = (seconds) => 0.25 + 0.75 * Math.min(1, Math.max(0, (Math.log10(seconds) + 3) / 4));

/** The heartbeat of a pair: a line for each ping, the client's upward, the upstream's downward, the latest at the right. */
function drawTrace(canvas, trace, shown) {
  const area = prepared(canvas);
  if (!area) return;
  const { pen, width, height } = area;
  const middle = Math.round(height / 2);
  const room = middle - 2;
  const step = width / shown;
  pen.fillStyle = colours.hair;
  pen.fillRect(0, middle, width, 1);
  for (const [side, up] of [["client", -1], ["upstream", 1]]) {
    const beats = trace?.[side]?.slice(-shown) ?? [];
    beats.forEach((beat, index) => {
      const x = width - (beats.length - index) * step + step / 2;
      const line = (tall, colour, thick) => {
        pen.fillStyle = colour;
        pen.fillRect(x - thick / 2, up < 0 ? middle - tall : middle + 1, thick, tall);
      };
      if (beat.state === "answered") line(loudness(beat.rtt_seconds) * room, colours.data, Math.min(3, step * 0.55));
      else if (beat.state === "covered") line(3, colours.quiet, Math.min(3, step * 0.55));
      else if (beat.state === "missed") cross(pen, x, middle + up * (room / 2 + 0.5), Math.min(step * 0.42, room * 0.42, 4.5));
      else {
        pen.strokeStyle = colours.quiet;
        pen.lineWidth = 1;
        pen.beginPath();
        pen.arc(x, middle + up * 5 + 0.5, Math.min(2.5, step * 0.4), 0, 7);
        pen.stroke();
      }
    });
  }
}

function cross(pen, x, y, arm) {
  pen.strokeStyle = colours.trouble;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x - arm, y - arm);
  pen.lineTo(x + arm, y + arm);
  pen.moveTo(x + arm, y - arm);
  pen.lineTo(x - arm, y + arm);
  pen.stroke();
}

/** What the trace shows, in words. */
function traceText(beats) {
  if (!beats?.length) return "no ping yet";
  const of = (state) => beats.filter((beat) => beat.state === state).length;
  const latest = beats.findLast((beat) => beat.state === "answered");
  const parts = [plural(beats.length, "ping"), of("missed") ? `${of("missed")} missed` : "none missed"];
  if (of("covered")) parts.push(`${of("covered")} answered with a later one`);
  if (beats.at(-1).state === "waiting") parts.push("the latest waits for its pong");
  if (latest) parts.push(`latest round trip ${duration(latest.rtt_seconds)}`);
  return parts.join(", ");
}

/** A gauge; from nine tenths on it is in the other colour, and its number says so too. */
function gauge(element, share) {
  const inner = element.firstElementChild;
  const width = `${(Math.min(1, share) * 100).toFixed(1)}%`;
  if (inner.style.width !== width) inner.style.width = width;
  element.classList.toggle("near", share >= NEAR);
}
const NEAR = 0.8;
