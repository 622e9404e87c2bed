// === overview: the process, what needs a look, the hour, what can run out

const hour = { samples: [], bounds: [], step: 10 };
let status = null;
/** What the clock of this machine is behind that of lubdub. */
let skew = 0;
const unixNow = () => Date.now() / 1000 + skew;
/** The slot of the hour that is read out; the last one is now. */
let slot = SLOTS - 1;

function takeHistory(history) {
  Object.assign(hour, { samples: history.samples, bounds: history.bounds_seconds, step: history.step_seconds });
}

function takeSample(sample) {
  if (sample.at <= (hour.samples.at(-1)?.at ?? 0)) return;
  hour.samples.push(sample);
  while (hour.samples.length > SLOTS || sample.at - hour.samples[0].at > HOUR) hour.samples.shift();
}

function takeStatus(next) {
  const before = status;
  status = next;
  skew = next.now - Date.now() / 1000;
  if (before && before.pid !== next.pid) toast(`A new process has taken over: ${next.pid} instead of ${before.pid}.`);
}

// --- the process

function showTop() {
  const { version, revision, pid, generation, uptime_seconds: uptime } = status;
  const parts = [location.host, status.draining ? "draining" : status.ready ? "ready" : "not ready", `up ${duration(uptime)}`];
  say($("instance"), parts.join(" · "));
  say($("about"), `lubdub ${version} (${revision}), process ${pid}, configuration ${generation}. Times are those of this browser.`);
  document.title = `${count(status.totals.pairs)} pairs · lubdub`;
}

// --- what needs a look

function noticesOf() {
  const notices = [];
  const add = (key, text) => notices.push({ key, text });
  if (status.draining && !status.drain) add("draining", "lubdub is draining: it takes no new pairs, and the process ends when the last one has gone.");
  for (const budget of status.budgets) {
    const share = budget.max ? budget.used / budget.max : 0;
    if (share >= NEAR) add(`budget ${budget.name} ${budget.of}`, `${capital(nameOf(budget))} at ${Math.floor(share * 100)} %. At the end: ${budget.at_the_end}.`);
  }
  const reload = status.last_reload;
  if (reload?.outcome === "refused") add(`reload ${reload.at}`, `The reload at ${clock(reload.at)} was refused; configuration ${status.generation} goes on. See Configuration below.`);
  for (const certificate of status.certificates) {
    const days = (certificate.expires - status.now) / 86400;
    const name = `The certificate ${certificate.name} of listener ${certificate.listener}`;
    if (days < 0) add(`cert ${name}`, `${name} has expired.`);
    else if (days < 14) add(`cert ${name}`, `${name} expires in ${plural(Math.floor(days), "day")}.`);
  }
  const client = tally("client");
  const upstream = tally("upstream");
  const share = (side) => (side.network + side.application + side.unknown) / Math.max(1, status.totals.pairs);
  if (share(client) > 0.1 && client.network > 5) add("network", `In the last hour ${plural(client.network, "client")} lapsed on the network: look at what is between them and lubdub.`);
  if (share(upstream) > 0.1 && upstream.application > 5) add("application", `In the last hour ${plural(upstream.application, "upstream side")} lapsed with the network well: the backend does not answer pings.`);
  return notices;
}

function showNotices() {
  const notices = noticesOf();
  if (!notices.length) notices.push({ key: "well", text: "Nothing needs a look." });
  keyed($("notices"), notices, (notice) => notice.key, (notice) => el("li", { class: notice.key === "well" ? "well" : "notice" }), (item, notice) => say(item, notice.text));
}

function drainWords(drain) {
  const parts = [];
  for (const name of ["upstream", "route", "listener"]) if (drain[name]) parts.push(`${name} ${drain[name]}`);
  if (drain.older_than_seconds) parts.push(`pairs older than ${duration(drain.older_than_seconds)}`);
  return parts.length ? parts.join(", ") : "all of lubdub";
}

function showDrain() {
  const { drain } = status;
  const shown = drain && (["waiting", "running"].includes(drain.state) || (drain.whole && drain.state === "done"));
  $("drain-box").hidden = !shown;
  if (!shown) return;
  const began = drain.state === "waiting" ? "begins" : drain.state === "done" ? "stands" : `over ${duration(drain.spread_seconds)}`;
  say($("drain-text"), `Drain of ${drainWords(drain)} ${began}: ${count(drain.told)} of ${count(drain.matched)} told, ${count(drain.remaining)} still open.`);
  gauge($("drain-bar"), drain.matched ? drain.told / drain.matched : 1);
  $("drain-bar").classList.remove("near");
}

// --- the numbers of now

/** The lapses of the hour, by kind. */
function tally(side) {
  const total = { network: 0, application: 0, unknown: 0 };
  for (const { lapses } of hour.samples) for (const kind of KINDS) total[kind] += lapses[side][kind] ?? 0;
  return total;
}

/** The round trips of the last minutes: one step alone may have few. */
function roundTrips(side, samples) {
  return samples.reduce((total, one) => one.rtt[side].map((number, index) => number + (total[index] ?? 0)), []);
}

function perSecond(number) {
  if (!number) return "0/s";
  return number < 0.95 ? `${number.toFixed(2)}/s` : number < 9.5 ? `${number.toFixed(1)}/s` : `${count(number)}/s`;
}

function vitalsOf() {
  const last = hour.samples.slice(-6);
  const seconds = Math.max(1, last.length * hour.step);
  const lapses = (side) => {
    const { network, application, unknown } = tally(side);
    return { value: count(network + application + unknown), note: network + application ? `${count(network)} network, ${count(application)} appl.` : "last hour" };
  };
  const trips = (side) => {
    const counts = roundTrips(side, hour.samples.slice(-30));
    return { value: belowText(counts, hour.bounds, 0.5), note: sum(counts) ? `99 % ${belowText(counts, hour.bounds, 0.99)}` : "no pong in 5 min" };
  };
  const { totals } = status;
  return [
    { name: "Pairs now", value: count(totals.pairs), note: status.lingering_pairs ? `${count(status.lingering_pairs)} in processes before` : `${count(totals.opened)} since the start`, lead: true },
    { name: "Opened", value: perSecond(sum(last.map((one) => one.opened)) / seconds), note: "last minute" },
    { name: "Ended", value: perSecond(sum(last.map((one) => sum(Object.values(one.ended)))) / seconds), note: "last minute" },
    { name: "Client lapses, 1 h", ...lapses("client")},
    { name: "Upstream lapses, 1 h", ...lapses("upstream")},
    { name: "Client RTT, median", ...trips("client") },
    { name: "Upstream RTT, median", ...trips("upstream") },
  ];
}

function showVitals() {
  keyed(
    $("vitals"),
    vitalsOf(),
    (vital) => vital.name,
    (vital) => el("div", { class: vital.lead ? "lead" : null }, el("dt", {}, vital.name), el("dd", { class: "value" }), el("dd", { class: "beside" })),
    (item, vital) => {
      say(item.children[1], vital.value);
      say(item.children[2], vital.note);
    },
  );
}

// --- the hour

function sampleAt(index) {
  const last = hour.samples.at(-1);
  if (!last) return null;
  const at = last.at - (SLOTS - 1 - index) * hour.step;
  return hour.samples.findLast((one) => Math.abs(one.at - at) <= hour.step / 2 + 0.1) ?? null;
}

function readingOf(index) {
  const one = sampleAt(index);
  if (!one) return index === SLOTS - 1 ? "" : "no sample of that moment";
  const lapsed = (side) => sum(Object.values(one.lapses[side]));
  const parts = [index === SLOTS - 1 ? "now" : clock(one.at), plural(one.pairs, "pair"), `+${count(one.opened)} −${count(sum(Object.values(one.ended)))}`];
  for (const [side, name] of [["client", "clients"], ["upstream", "upstreams"]]) {
    parts.push(`${name} ${belowText(one.rtt[side], hour.bounds, 0.5)}${lapsed(side) ? `, ${count(lapsed(side))} lapsed` : ""}`);
  }
  return parts.join(" · ");
}

function showReading() {
  const text = readingOf(slot);
  say($("reading"), text);
  put($("moment"), "aria-valuetext", text || "nothing yet");
}

function showHour() {
  // What was before is not known: the history begins with the process, also with one that took over.
  say($("hour-since"), status && status.uptime_seconds < 3600 ? `since this process began, ${duration(status.uptime_seconds)} ago` : "");
  drawStrips(slot);
  showReading();
  for (const strip of STRIPS) {
    const side = strip.key === "client" || strip.key === "upstream" ? strip.key : null;
    const counts = side && roundTrips(side, hour.samples);
    const lapses = side && tally(side);
    const text = side
      ? `${strip.name}, last hour: half of the round trips ${belowText(counts, hour.bounds, 0.5)}, 99 % ${belowText(counts, hour.bounds, 0.99)}; lapses: ${lapses.network} network, ${lapses.application} application`
      : strip.key === "pairs"
        ? `Pairs, last hour: from ${count(Math.min(...hour.samples.map((one) => one.pairs), status?.totals.pairs ?? 0))} to ${count(Math.max(0, ...hour.samples.map((one) => one.pairs)))}`
        : `Last hour: ${count(sum(hour.samples.map((one) => one.opened)))} opened, ${count(sum(hour.samples.map((one) => sum(Object.values(one.ended)))))} ended`;
    put(strip.canvas, "aria-label", text);
  }
  showHourTable();
}

function showHourTable() {
  if (!$("hour-table").open) return;
  const minutes = new Map();
  for (const one of hour.samples) {
    const key = Math.floor(one.at / 60);
    minutes.set(key, [...(minutes.get(key) ?? []), one]);
  }
  keyed(
    $("hour-table").querySelector("tbody"),
    [...minutes].reverse(),
    ([minute]) => minute,
    () => el("tr", {}, el("th", { scope: "row" }), ...Array.from({ length: 7 }, () => el("td", { class: "n" }))),
    (row, [minute, samples]) => {
      const lapsed = (side) => sum(samples.map((one) => sum(Object.values(one.lapses[side]))));
      const cells = [
        clock(minute * 60, false), count(samples.at(-1).pairs), count(sum(samples.map((one) => one.opened))), count(sum(samples.map((one) => sum(Object.values(one.ended))))),
        count(lapsed("client")), count(lapsed("upstream")), belowText(roundTrips("client", samples), hour.bounds, 0.5), belowText(roundTrips("upstream", samples), hour.bounds, 0.5),
      ];
      cells.forEach((text, index) => say(row.children[index], text));
    },
  );
}

// --- what can run out

const nameOf = ({ name, of }) => (of ? `${spoken(name)} for ${of}` : name === "files" ? "file descriptors" : spoken(name));
const BUDGETS_SHOWN = 6;

function showBudgets() {
  const share = (budget) => (budget.max ? budget.used / budget.max : 0);
  const sorted = [...status.budgets].sort((a, b) => share(b) - share(a));
  const draw = (list, budgets) =>
    keyed(
      list,
      budgets,
      (budget) => `${budget.name} ${budget.of}`,
      () => el("li", {}, el("span", { class: "name" }), el("span", { class: "n" }), el("div", { class: "bar", role: "meter", "aria-valuemin": 0 }, el("i")), el("span", { class: "note" })),
      (item, budget) => {
        const [name, used, bar, note] = item.children;
        say(name, nameOf(budget));
        put(name, "title", budget.key);
        say(used, `${count(budget.used)} of ${count(budget.max)} · ${Math.floor(share(budget) * 100)} %`);
        put(bar, "aria-label", nameOf(budget));
        put(bar, "aria-valuemax", budget.max);
        put(bar, "aria-valuenow", budget.used);
        gauge(bar, share(budget));
        say(note, budget.at_the_end);
      },
    );
  draw($("budgets"), sorted.slice(0, BUDGETS_SHOWN));
  const rest = sorted.slice(BUDGETS_SHOWN);
  $("budgets-more").hidden = !rest.length;
  if (rest.length) say($("budgets-more").firstElementChild, `${rest.length} more, all below ${Math.floor(share(rest[0]) * 100) + 1} %`);
  draw($("budgets-more").lastElementChild, rest);
}

function showCauses() {
  const total = {};
  for (const { ended } of hour.samples) for (const [cause, number] of Object.entries(ended)) total[cause] = (total[cause] ?? 0) + number;
  const sorted = Object.entries(total).sort((a, b) => b[1] - a[1]);
  const most = sorted[0]?.[1] ?? 1;
  keyed(
    $("causes"),
    sorted.length ? sorted : [["none", 0]],
    ([cause]) => cause,
    ([cause]) =>
      cause === "none"
        ? el("li", { class: "note" }, "No pair ended in the last hour.")
        : el("li", {}, el("button", { type: "button", class: "name", onclick: () => lookAtEnds({ cause }) }, spoken(cause)), el("span", { class: "n" }), el("div", { class: `bar${UNWELL.test(cause) ? " near" : ""}`, "aria-hidden": "true" }, el("i"))),
    (item, [cause, number]) => {
      if (cause === "none") return;
      say(item.children[1], count(number));
      item.children[2].firstElementChild.style.width = `${((number / most) * 100).toFixed(1)}%`;
    },
  );
}

// --- upstreams, listeners, certificates, configuration

const ago = (unix) => (unix === null ? "never" : status.now - unix < 5 ? "now" : `${duration(status.now - unix)} ago`);

function showUpstreams() {
  keyed(
    $("upstreams").tBodies[0],
    status.upstreams,
    (upstream) => upstream.name,
    (upstream) =>
      el("tr", {}, el("th", { scope: "row" }, el("span", {}, upstream.name), el("small", {})), ...Array.from({ length: 5 }, () => el("td", { class: "n" })),
        el("td", { class: "do" },
          el("button", { type: "button", onclick: () => lookAtPairs({ upstream: upstream.name }), "aria-label": `Pairs of upstream ${upstream.name}` }, "Pairs"),
          el("button", { type: "button", onclick: () => openDrain({ upstream: upstream.name }), "aria-label": `Drain upstream ${upstream.name}` }, "Drain…"))),
    (row, upstream) => {
      // Who went before lubdub was connected is no failure of the upstream.
      const { connected = 0, abandoned = 0, ...others } = upstream.connects;
      const failed = sum(Object.values(others));
      say(row.children[0].lastElementChild, upstream.url ?? "");
      const cells = [count(upstream.pairs), `${count(upstream.waiting)} of ${count(upstream.waiting_max)}`, count(connected), count(failed), ago(upstream.last_success)];
      cells.forEach((text, index) => say(row.children[index + 1], text));
      put(row.children[4], "title", Object.entries({ ...others, abandoned }).filter(([, number]) => number).map(([outcome, number]) => `${spoken(outcome)} ${count(number)}`).join(", "));
      row.children[2].classList.toggle("bad", upstream.waiting >= upstream.waiting_max * NEAR);
      row.children[4].classList.toggle("bad", failed > connected / 10);
    },
  );
}

function showListeners() {
  const items = status.listeners.flatMap((listener) => [
    { key: `l ${listener.name}`, name: listener.name, value: plural(listener.connections, "connection"), note: `${listener.address}${listener.tls ? " · TLS" : ""}` },
    ...status.certificates.filter((one) => one.listener === listener.name).map((one) => {
      const days = Math.floor((one.expires - status.now) / 86400);
      return { key: `c ${listener.name} ${one.name}`, name: one.name, under: true, bad: days < 14, value: days < 0 ? "expired" : `${plural(days, "day")} left`, note: `certificate until ${date(one.expires)}` };
    }),
  ]);
  keyed(
    $("listeners"),
    items,
    (item) => item.key,
    (item) => el("li", { class: item.under ? "under" : null }, el("span", { class: "name" }), el("span", { class: "n" }), el("span", { class: "note" })),
    (element, item) => {
      say(element.children[0], item.name);
      say(element.children[1], item.value);
      element.children[1].classList.toggle("bad", Boolean(item.bad));
      say(element.children[2], item.note);
    },
  );
}

let keysOf = null;
function showConfiguration() {
  const reload = status.last_reload;
  const last = !reload ? "No reload since the start." : reload.outcome === "refused" ? `The reload at ${clock(reload.at)} was refused, and changed nothing:` : `The reload at ${clock(reload.at)} changed ${plural(reload.changes, "key")}.`;
  say($("generation"), `Number ${status.generation} is in effect. ${last}`);
  keyed($("mistakes"), reload?.mistakes ?? [], (text) => text, (text) => el("li", {}, text), () => {});
  if ($("keys").open && keysOf !== status.generation) showKeys();
}

async function showKeys() {
  keysOf = status.generation;
  try {
    const { keys } = await get("/api/v1/config");
    keyed($("keys").querySelector("tbody"), keys, (one) => one.key, () => el("tr", {}, el("th", { scope: "row" }), el("td"), el("td")), (row, one) => {
      say(row.children[0], one.key);
      say(row.children[1], one.value);
      say(row.children[2], one.origin === null ? "default" : one.origin);
    });
  } catch (error) {
    keysOf = null;
    toast(error.message);
  }
}

/** All that comes from the status. */
function showStatus() {
  $("main").hidden = false;
  showTop();
  showNotices();
  showDrain();
  showVitals();
  showBudgets();
  showUpstreams();
  showListeners();
  showConfiguration();
  fillChoices();
}
