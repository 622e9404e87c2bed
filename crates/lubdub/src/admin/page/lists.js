// === lists: the live pairs and the last ends, a page of them at a time. Filters are lubdub's, not the page's

const PAGE_ROWS = 50;
const MINI_BEATS = 20;
const view = { tab: "pairs", sort: "oldest", cursors: [null], next: null, open: { pairs: null, ends: null }, byHand: false };

const bare = (address) => address.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");

/** What the form asks for, as the API wants it. */
function queryOf(tab) {
  const query = new URLSearchParams();
  const fields = tab === "pairs" ? ["client", "route", "upstream", "listener", "silent", "silent_for"] : ["client", "route", "upstream", "listener", "cause", "pair"];
  for (const name of fields) {
    const value = $("filter").elements[name].value.trim();
    if (value) query.set(name, name === "client" ? bare(value) : value);
  }
  return query;
}

function filterBy(values) {
  // Not by `reset`: that asks again by itself, as it does for who presses the button.
  for (const field of $("filter").elements) if (field.name) field.value = "";
  for (const [name, value] of Object.entries(values)) {
    const field = $("filter").elements[name];
    if (field.tagName === "SELECT" && ![...field.options].some((one) => one.value === value)) field.append(el("option", { value }, spoken(value)));
    field.value = value;
  }
}
function lookAtPairs(values) {
  filterBy(values);
  choose("pairs");
  $("lists").scrollIntoView({ behavior: reducedMotion.matches ? "auto" : "smooth" });
}
function lookAtEnds(values) {
  filterBy(values);
  choose("ends");
  $("lists").scrollIntoView({ behavior: reducedMotion.matches ? "auto" : "smooth" });
}

function fillChoices() {
  const fill = (name, names) => {
    const field = $("filter").elements[name];
    for (const one of names) if (![...field.options].some((option) => option.value === one)) field.append(el("option", { value: one }, name === "cause" ? spoken(one) : one));
  };
  fill("route", status.routes.map((one) => one.name));
  fill("upstream", status.upstreams.map((one) => one.name));
  fill("listener", status.listeners.map((one) => one.name));
  fill("cause", Object.keys(status.totals.ended));
  say($("pairs-count"), count(status.totals.pairs));
}

// --- fetching: one request at a time, and what was asked last is what is shown

let asked = 0;
let under = null;

async function refresh() {
  if (!status || document.hidden) return;
  const mine = (asked += 1);
  under?.abort();
  under = new AbortController();
  const { signal } = under;
  const { tab } = view;
  try {
    const query = queryOf(tab);
    query.set("limit", tab === "pairs" ? PAGE_ROWS : 100);
    if (tab === "pairs") {
      query.set("sort", view.sort);
      if (view.cursors.at(-1)) query.set("after", view.cursors.at(-1));
    }
    const answer = await get(`/api/v1/${tab}?${query}`, { signal });
    if (mine !== asked) return;
    say($("filter-error"), "");
    if (tab === "pairs") showPairs(answer);
    else showEnds(answer);
  } catch (error) {
    if (signal.aborted || mine !== asked) return;
    if (error instanceof Problem && error.status === 400 && view.cursors.length > 1) return first();
    if (error instanceof Problem) say($("filter-error"), error.message);
  }
}

function first() {
  view.cursors = [null];
  view.byHand = true;
  return refresh();
}

/** Read aloud when somebody asked for something else, and not with each news. */
function showMatched(text) {
  put($("matched"), "aria-live", view.byHand ? "polite" : "off");
  view.byHand = false;
  say($("matched"), text);
}

// --- live pairs

function showPairs(answer) {
  view.next = answer.next;
  const filtered = queryOf("pairs").size > 0;
  if (!answer.pairs.length && view.cursors.length > 1) return void first();
  showMatched(!answer.total ? "There are no pairs." : filtered ? `${count(answer.matched)} of ${plural(answer.total, "pair")}` : "");
  const rows = answer.pairs.flatMap((pair) => (pair.id === view.open.pairs ? [{ pair }, { pair, detail: true }] : [{ pair }]));
  const held = focusedRow("pairs");
  keyed($("pairs").tBodies[0], rows, ({ pair, detail }) => `${pair.id}${detail ? " detail" : ""}`, ({ detail, pair }) => (detail ? makeDetail("pairs", pair.id) : makePairRow(pair)), (row, { pair, detail }) => (detail ? null : updatePairRow(row, pair)));
  if (view.open.pairs !== null && !answer.pairs.some((pair) => pair.id === view.open.pairs)) view.open.pairs = null;
  giveFocusBack("pairs", held);
  const from = (view.cursors.length - 1) * PAGE_ROWS;
  say($("page-text"), answer.pairs.length ? `${count(from + 1)}–${count(from + answer.pairs.length)} of ${count(answer.matched)}` : "");
  $("page-first").disabled = $("page-back").disabled = view.cursors.length < 2;
  $("page-next").disabled = !answer.next;
  $("panel-pairs").querySelector(".pages").hidden = !answer.next && view.cursors.length < 2;
  lookForTraces();
}

const rowButton = (tab, id) => el("button", { type: "button", class: "open", "aria-expanded": "false", "data-id": id, onclick: () => toggle(tab, id) }, `${id}`);

function makePairRow(pair) {
  const row = el("tr", { class: "row" },
    el("th", { scope: "row" }, rowButton("pairs", pair.id), el("small")),
    el("td", { class: "who" }, el("span"), el("small")),
    el("td", { class: "n" }), el("td", { class: "n mid" }),
    el("td", { class: "beats" }, el("canvas", { class: "mini", role: "img", "aria-label": "heartbeat" })),
    el("td", { class: "n wide" }), el("td", { class: "n wide" }),
    el("td", { class: "wide where" }, el("span"), el("small")),
    el("td", { class: "n wide" }));
  row.addEventListener("click", (event) => {
    if (!event.target.closest("button") && !String(getSelection())) toggle("pairs", pair.id);
  });
  row.canvas = row.querySelector("canvas");
  visible.observe(row);
  return row;
}

function quietCell(cell, side) {
  say(cell, side.held ? "held" : silence(side.last_heard_seconds));
  put(cell, "title", side.held ? "It is not read at the moment: it has used up its rate." : null);
  cell.classList.toggle("bad", side.pings_sent - side.pongs_received > 1 && side.last_heard_seconds > 10);
}

function updatePairRow(row, pair) {
  const [head, who, clientSilent, clientRtt, , upstreamRtt, upstreamSilent, where, size] = row.children;
  row.pair = pair;
  say(head.lastElementChild, whole(pair.age_seconds));
  say(who.firstElementChild, pair.client.address);
  say(who.lastElementChild, pair.request ?? "");
  quietCell(clientSilent, pair.client);
  say(clientRtt, duration(pair.client.last_rtt_seconds));
  say(upstreamRtt, duration(pair.upstream.last_rtt_seconds));
  quietCell(upstreamSilent, pair.upstream);
  say(where.firstElementChild, pair.route === pair.upstream.name ? pair.route : `${pair.route} → ${pair.upstream.name}`);
  say(where.lastElementChild, pair.upstream.address);
  say(size, bytes(pair.client.bytes + pair.upstream.bytes));
  put(size, "title", `${bytes(pair.client.bytes)} from the client, ${bytes(pair.upstream.bytes)} from the upstream`);
  const open = pair.id === view.open.pairs;
  put(head.firstElementChild, "aria-expanded", String(open));
  row.classList.toggle("opened", open);
}

// --- the heartbeat of each pair that is in sight: asked for again when it has had another ping or pong

const inSight = new Set();
const visible = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) inSight[isIntersecting ? "add" : "delete"](target);
  lookForTraces();
});
const pulseOf = ({ client, upstream }) => `${client.pings_sent} ${client.pongs_received} ${upstream.pings_sent} ${upstream.pongs_received}`;
let looking = false;

async function lookForTraces() {
  if (looking || feed.state !== "live") return;
  looking = true;
  try {
    for (;;) {
      const row = [...inSight].find((one) => one.isConnected && one.pair && one.pulse !== pulseOf(one.pair));
      if (!row || document.hidden || view.tab !== "pairs") break;
      row.pulse = pulseOf(row.pair);
      const pair = await get(`/api/v1/pairs/${row.pair.id}`, { quiet: true }).catch(() => null);
      if (pair) showTrace(row, pair);
    }
  } finally {
    looking = false;
  }
}

function showTrace(row, pair) {
  row.trace = pair.trace;
  drawTrace(row.canvas, pair.trace, MINI_BEATS);
  put(row.canvas, "aria-label", `client: ${traceText(pair.trace?.client)}; upstream: ${traceText(pair.trace?.upstream)}`);
}

function redrawTraces() {
  for (const row of $("pairs").tBodies[0].rows) {
    const canvas = row.canvas ?? row.querySelector("canvas");
    if (row.trace && canvas) drawTrace(canvas, row.trace, row.canvas ? MINI_BEATS : 64);
  }
}

// --- the opened row

function toggle(tab, id) {
  view.open[tab] = view.open[tab] === id ? null : id;
  const body = $(tab).tBodies[0];
  body.querySelector("tr.detail")?.remove();
  for (const key of [...(body.known?.keys() ?? [])]) if (String(key).endsWith(" detail")) body.known.delete(key);
  for (const row of body.rows) {
    const button = row.querySelector("button.open");
    const open = button?.dataset.id === String(view.open[tab]);
    if (button) put(button, "aria-expanded", String(open));
    row.classList.toggle("opened", open);
    if (open) {
      const detail = makeDetail(tab, view.open[tab]);
      body.known.set(`${view.open[tab]} detail`, detail);
      row.after(detail);
    }
  }
}

/** How many columns there are: fewer where the page is narrow. */
const columnsOf = (tab) => [...$(tab).tHead.rows].at(-1).cells.length - $(tab).tHead.querySelectorAll("tr:last-child > :is(.wide, .mid)").length * narrow.matches;
const narrow = matchMedia("(max-width: 44rem)");
narrow.addEventListener("change", () => {
  for (const tab of ["pairs", "ends"]) for (const cell of $(tab).querySelectorAll("tr.detail > td")) put(cell, "colspan", columnsOf(tab));
});

function makeDetail(tab, id) {
  const box = el("div", { class: "inside" });
  const row = el("tr", { class: "detail" }, el("td", { colspan: columnsOf(tab) }, box));
  if (tab === "ends") showEnd(box, endsShown.get(id));
  else fillDetail(row, id);
  return row;
}

async function fillDetail(row, id) {
  try {
    const pair = await get(`/api/v1/pairs/${id}`, { quiet: true });
    if (view.open.pairs === id) showDetail(row, pair);
  } catch (error) {
    row.trace = null;
    row.hasEnded = error.status === 404;
    row.querySelector(".inside").replaceChildren(el("span", {}, error.status === 404 ? `Pair ${id} has ended. ` : error.message), error.status === 404 ? el("button", { type: "button", onclick: () => lookAtEnds({ pair: String(id) }) }, "Why?") : "");
  }
}

/** The opened pair has news of its own each 2 s. */
function refreshDetail() {
  const row = $("pairs").querySelector("tr.detail");
  if (row && !row.hasEnded && view.open.pairs !== null && view.tab === "pairs" && !document.hidden) fillDetail(row, view.open.pairs);
}

function facts(entries) {
  return el("dl", { class: "fields" }, ...entries.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function sideFacts(name, side, trace) {
  const entries = [["address", side.address]];
  if (side.peer && side.peer !== side.address) entries.push(["connects from", side.peer]);
  entries.push(["silent", duration(side.last_heard_seconds)], ["last round trip", duration(side.last_rtt_seconds)], ["pongs", `${count(side.pongs_received)} for ${plural(side.pings_sent, "ping")}`], ["sent", `${bytes(side.bytes)} in ${plural(side.frames, "frame")}`]);
  if (side.held) entries.push(["held", "used up its rate"]);
  return el("section", {}, el("h3", {}, name, trace ? el("small", {}, traceText(trace)) : null), facts(entries));
}

const general = (pair) => [["opened", clock(pair.opened ?? pair.at - pair.duration_seconds)], ["request", pair.request ?? "not known"], ["request id", pair.request_id ?? "none"], ["listener", pair.listener], ["route", pair.route], ["upstream", pair.upstream.name]];

function showDetail(row, pair) {
  const box = row.querySelector(".inside");
  const parts = [facts(general(pair)), sideFacts("Client", pair.client, pair.trace?.client ?? []), sideFacts("Upstream", pair.upstream, pair.trace?.upstream ?? [])];
  if (!box.canvas) {
    box.canvas = el("canvas", { class: "full", role: "img", "aria-label": "heartbeat" });
    const client = bare(pair.client.address);
    box.words = el("div", { class: "three" });
    box.replaceChildren(
      box.words,
      el("figure", { class: "trace" }, box.canvas, el("figcaption", {}, "The last 64 pings of each side, the latest at the right: ", el("b", {}, "client above, upstream below"), ". A longer line is a longer round trip, ", el("b", { class: "bad" }, "×"), " a ping without a pong.")),
      el("div", { class: "do" },
        el("button", { type: "button", onclick: () => lookAtPairs({ client }) }, `All pairs of ${client}`),
        el("button", { type: "button", onclick: () => lookAtEnds({ client }) }, "Its last ends"),
        el("button", { type: "button", class: "danger", onclick: () => openClose(pair) }, "Close this pair…")));
  }
  box.words.replaceChildren(...parts);
  row.trace = pair.trace;
  drawTrace(box.canvas, pair.trace, 64);
  put(box.canvas, "aria-label", `client: ${traceText(pair.trace?.client)}; upstream: ${traceText(pair.trace?.upstream)}`);
}

// --- ends

const endsShown = new Map();

function closeWords(close) {
  if (!close) return "no Close";
  return `${close.code ?? "no code"} by ${close.by === "lubdub" ? "lubdub" : `the ${close.by}`}`;
}

function showEnds(answer) {
  say($("ends-count"), count(answer.kept));
  endsShown.clear();
  for (const end of answer.ends) endsShown.set(end.pair, end);
  const filtered = queryOf("ends").size > 0;
  showMatched(!answer.ends.length ? (filtered ? "None of the ends that are kept." : "No pair has ended yet.") : answer.ends.length === 100 ? "The latest 100 of them." : "");
  const rows = answer.ends.flatMap((end) => (end.pair === view.open.ends ? [{ end }, { end, detail: true }] : [{ end }]));
  const held = focusedRow("ends");
  keyed($("ends").tBodies[0], rows, ({ end, detail }) => `${end.pair}${detail ? " detail" : ""}`, ({ end, detail }) => (detail ? makeDetail("ends", end.pair) : makeEndRow(end)), (row, { end, detail }) => {
    if (!detail) say(row.children[0].lastElementChild, clock(end.at));
  });
  giveFocusBack("ends", held);
}

function makeEndRow(end) {
  const row = el("tr", { class: "row" },
    el("th", { scope: "row" }, rowButton("ends", end.pair), el("small")),
    el("td", { class: "who" }, el("span", {}, end.client.address), el("small", {}, end.request ?? "")),
    el("td", { class: "why" }, el("span", { class: UNWELL.test(end.cause) ? "bad" : null }, spoken(end.cause)), end.diagnosis ? el("b", {}, ` ${end.diagnosis}`) : null, el("small", {}, end.cause_text)),
    el("td", { class: "wide" }, closeWords(end.close)),
    el("td", { class: "n wide" }, duration(end.duration_seconds)),
    el("td", { class: "wide where" }, el("span", {}, end.route === end.upstream.name ? end.route : `${end.route} → ${end.upstream.name}`), el("small", {}, end.upstream.address ?? "")));
  row.addEventListener("click", (event) => {
    if (!event.target.closest("button") && !String(getSelection())) toggle("ends", end.pair);
  });
  return row;
}

function showEnd(box, end) {
  if (!end) return;
  const client = bare(end.client.address);
  const story = [["why", `${capital(end.cause_text)}.`], ["Close", closeWords(end.close)], ["lasted", duration(end.duration_seconds)]];
  if (end.diagnosis) story.push(["diagnosis", end.diagnosis === "network" ? "network: nothing came back" : end.diagnosis === "application" ? "application: the network is well, and the program does not answer" : end.diagnosis]);
  if (end.lapsed_after_seconds !== null) story.push(["lapsed after", duration(end.lapsed_after_seconds)]);
  if (end.hint) story.push(["hint", end.hint]);
  box.replaceChildren(
    el("div", { class: "three" }, el("section", {}, facts([...story, ...general(end)])), sideFacts("Client, at the end", end.client), sideFacts("Upstream, at the end", end.upstream)),
    el("div", { class: "do" },
      el("button", { type: "button", onclick: () => lookAtPairs({ client }) }, `Live pairs of ${client}`),
      el("button", { type: "button", onclick: () => lookAtEnds({ client }) }, "Its last ends")));
}

/** The few beside the hour: they come with the events. */
const LATEST = 7;
let latest = [];
let leftOut = 0;
function takeEnds(ends) {
  const known = new Set(latest.map((end) => end.pair));
  latest = [...ends.filter((end) => !known.has(end.pair)), ...latest].slice(0, LATEST);
}
function showLatest() {
  keyed($("latest"), latest, (end) => end.pair, (end) =>
    el("li", {}, el("time", {}, clock(end.at)), el("button", { type: "button", class: "name", onclick: () => lookAtEnds({ pair: String(end.pair) }) }, end.client.address), el("span", { class: UNWELL.test(end.cause) ? "note bad" : "note" }, `${spoken(end.cause)}${end.diagnosis ? `, ${end.diagnosis}` : ""} · lasted ${duration(end.duration_seconds)}`)), () => {});
  $("left-out").hidden = !leftOut && latest.length > 0;
  if (!latest.length) say($("left-out"), "No pair has ended yet.");
  else if (leftOut) say($("left-out"), `${plural(leftOut, "end")} came too quickly to be shown one by one.`);
}

// --- tabs, keys, focus

function choose(tab) {
  view.tab = tab;
  for (const one of ["pairs", "ends"]) {
    const chosen = one === tab;
    put($(`tab-${one}`), "aria-selected", String(chosen));
    put($(`tab-${one}`), "tabindex", chosen ? null : -1);
    $(`panel-${one}`).hidden = !chosen;
    for (const field of $("filter").querySelectorAll(`.of-${one}`)) field.hidden = !chosen;
  }
  say($("matched"), "");
  return first();
}

function focusedRow(tab) {
  const row = document.activeElement?.closest?.(`#${tab} tbody tr`);
  return row ? { row, button: document.activeElement, index: [...row.parentElement.rows].indexOf(row) } : null;
}

/** A row with the focus may go while somebody reads it: then the one in its place has it. */
function giveFocusBack(tab, held) {
  if (!held) return;
  if (held.row.isConnected) return void (document.activeElement !== held.button && held.button.focus({ preventScroll: true }));
  const { rows } = $(tab).tBodies[0];
  rows[Math.min(held.index, rows.length - 1)]?.querySelector("button.open")?.focus({ preventScroll: true });
}

function listKeys(event) {
  const button = event.target.closest("button.open");
  if (!button) return;
  const buttons = [...button.closest("tbody").querySelectorAll("button.open")];
  const to = { ArrowDown: buttons.indexOf(button) + 1, ArrowUp: buttons.indexOf(button) - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || !buttons[to]) return;
  event.preventDefault();
  buttons[to].focus();
}

const SORTS = { age: ["oldest", "newest"], silence: ["silence"], rtt: ["rtt"], bytes: ["bytes"] };
function sortBy(key) {
  const names = SORTS[key];
  view.sort = names[(names.indexOf(view.sort) + 1) % names.length];
  showSort();
  return first();
}
function showSort() {
  for (const head of $("pairs").tHead.querySelectorAll("[data-sort]")) {
    const names = SORTS[head.dataset.sort];
    put(head, "aria-sort", !names.includes(view.sort) ? "none" : view.sort === "newest" ? "ascending" : "descending");
  }
}
