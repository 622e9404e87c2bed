// mock.mjs PAGE_RS '{"pairs":20000,"token":null,"full":false,"drain":false,"long":false}': the admin interface
// with a made-up proxy behind it, to look at the status page in states that a real one is seldom in. Says
// `listening PORT`. The page is put together as page.rs does it, with the same Content-Security-Policy.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";

const [pageRs, wanted = "{}"] = process.argv.slice(2);
const options = { pairs: 20, token: null, full: false, drain: false, long: false, quiet: false, ...JSON.parse(wanted) };

// === chance, the same in each run

let seed = 7;
const chance = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const pick = (list) => list[Math.floor(chance() * list.length)];
const normal = () => (chance() + chance() + chance() + chance() - 2) * 1.73;

// === the made-up proxy

const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const bin = (rtt) => { const at = BOUNDS.findIndex((bound) => rtt <= bound); return at < 0 ? BOUNDS.length : at; };
const began = Date.now() / 1000 - 8 * 3600 - 1234;
const now = () => Date.now() / 1000;
const CAUSES = {
  client_closed: [60, "the client began the closing handshake"],
  upstream_closed: [14, "the upstream began the closing handshake"],
  client_eof: [9, "the client ended its connection without a Close"],
  client_reset: [5, "the client's connection was reset or broke with an error"],
  client_lapsed: [4, "the client gave no sign of life within the time allowed after a ping"],
  upstream_lapsed: [0.6, "the upstream gave no sign of life within the time allowed after a ping"],
  lifetime: [2, "the pair reached timeouts.lifetime"],
  close_timeout: [1, "one side had said goodbye and the other did not finish within timeouts.close"],
};
const ROUTES = options.long
  ? [["presence-and-typing-indicators-of-the-mobile-applications-europe-west", "collaboration-backend-blue-green-canary-with-a-long-name"], ["chat", "chat"]]
  : [["chat", "chat"], ["chat", "chat"], ["chat", "chat"], ["feed", "feed"], ["games", "games"]];
const UPSTREAMS = [...new Set(ROUTES.map(([, upstream]) => upstream))];
const PATHS = ["chat.example.com/ws", "chat.example.com/rooms/114/live?since=88121", "feed.example.com/v2/stream", "play.example.com/lobby"];
const FORGED = `evil.example/<img src=x onerror="document.title='taken'">/\u202egnp.exe`;

let nextId = 1;
function pair(age) {
  const [route, upstream] = pick(ROUTES);
  const far = Math.exp(Math.log(0.03) + normal() * 0.8);
  const beats = Math.floor(age / 20);
  const side = (address, rtt) => ({
    address, last_heard_seconds: chance() * 19, last_rtt_seconds: beats ? rtt : null, pings_sent: beats,
    pongs_received: Math.max(0, beats - (chance() < 0.06 ? 2 : 0)), bytes: Math.floor(age * 40 * chance() ** 2), frames: Math.floor(age / 3), held: chance() < 0.01,
  });
  const six = chance() < 0.2;
  const client = side(six ? `[2001:db8:${Math.floor(chance() * 65535).toString(16)}::${Math.floor(chance() * 65535).toString(16)}]:${1024 + Math.floor(chance() * 60000)}` : `203.0.113.${Math.floor(chance() * 250)}:${1024 + Math.floor(chance() * 60000)}`, far);
  client.peer = `10.0.0.${1 + Math.floor(chance() * 3)}:${1024 + Math.floor(chance() * 60000)}`;
  if (chance() < 0.004) client.last_heard_seconds = 20 + chance() * 60;
  return {
    id: nextId++, listener: "public", route, request: options.long && nextId % 5 === 0 ? FORGED : pick(PATHS), request_id: randomBytes(8).toString("hex"),
    opened: now() - age, client, upstream: { name: upstream, ...side(`127.0.0.1:${9000 + UPSTREAMS.indexOf(upstream)}`, Math.exp(Math.log(0.0018) + normal() * 0.5)) },
  };
}
const pairs = new Map();
for (const age of Array.from({ length: options.pairs }, () => -Math.log(1 - chance()) * 2400).sort((a, b) => b - a)) {
  const one = pair(age);
  pairs.set(one.id, one);
}

const totals = { opened: nextId + 91234, ended: {}, lapses: { client: { unknown: 0, network: 0, application: 0 }, upstream: { unknown: 0, network: 0, application: 0 } } };
const cause = () => {
  let at = chance() * Object.values(CAUSES).reduce((sum, [weight]) => sum + weight, 0);
  return Object.keys(CAUSES).find((name) => (at -= CAUSES[name][0]) < 0) ?? "client_closed";
};
const ends = [];
function end(one, why, at) {
  const lapsed = why.endsWith("lapsed");
  const lapsedSide = why.startsWith("client") ? "client" : "upstream";
  const diagnosis = lapsed ? (chance() < 0.75 ? "network" : "application") : null;
  const entry = {
    pair: one.id, at, listener: one.listener, route: one.route, request: one.request, request_id: one.request_id, cause: why, cause_text: CAUSES[why]?.[1] ?? why, diagnosis,
    close: lapsed ? { code: 1011, by: "lubdub" } : why === "client_closed" ? { code: chance() < 0.8 ? 1001 : 1000, by: "client" } : why === "upstream_closed" ? { code: 1000, by: "upstream" } : why === "admin" ? { code: 1001, by: "lubdub" } : null,
    duration_seconds: Math.max(1, at - one.opened), lapsed_after_seconds: lapsed ? 60 : null,
    hint: lapsed && chance() < 0.4 ? "the longest round trip before was 48.2 s of 60 s allowed: perhaps the client was only slow" : null,
    client: { ...one.client, last_heard_seconds: lapsed && lapsedSide === "client" ? 80.1 : one.client.last_heard_seconds }, upstream: { ...one.upstream, last_heard_seconds: lapsed && lapsedSide === "upstream" ? 80.1 : one.upstream.last_heard_seconds },
  };
  totals.ended[why] = (totals.ended[why] ?? 0) + 1;
  if (lapsed) totals.lapses[lapsedSide][diagnosis] += 1;
  ends.unshift(entry);
  ends.length = Math.min(ends.length, 1000);
  return entry;
}

const load = options.pairs / 2400;
function sample(at, back) {
  const trouble = !options.quiet && back > 1260 && back < 1500;
  const n = Math.round(options.pairs * (1 - 0.18 * Math.sin(back / 900) ** 2 - (trouble ? 0.12 : 0)) * (back > 3500 && options.pairs < 30 ? 0.8 : 1));
  const counts = (middle, spread) => {
    const list = new Array(15).fill(0);
    const total = Math.round(options.pairs / 2);
    const draws = Math.min(total, 400);
    for (let i = 0; i < draws; i += 1) list[bin(Math.exp(Math.log(middle) + normal() * spread))] += total / draws;
    return list.map(Math.round);
  };
  const few = (mean) => Math.floor(mean + chance());
  const ended = {};
  for (const name of Object.keys(CAUSES)) {
    const count = few((CAUSES[name][0] / 95) * load * 10 * (trouble && name === "client_lapsed" ? 12 : 1) * (0.6 + 0.8 * chance()));
    if (count) ended[name] = count;
  }
  const client = ended.client_lapsed ?? 0;
  const network = Math.round(client * 0.8);
  return {
    at, pairs: n, opened: few(load * 10 * (trouble ? 1.5 : 1) * (0.6 + 0.8 * chance())), ended,
    lapses: { client: { unknown: 0, network, application: client - network }, upstream: { unknown: 0, network: 0, application: ended.upstream_lapsed ?? 0 } },
    rtt: { client: counts(trouble ? 0.19 : 0.03, trouble ? 1.1 : 0.7), upstream: counts(0.0018 + (back < 500 ? 0.006 * (1 - back / 500) : 0), 0.45) },
  };
}
const history = options.fresh ? [] : Array.from({ length: 360 }, (_, index) => sample(now() - (360 - index) * 10, (360 - index) * 10));
for (let i = 0; i < (options.pairs ? Math.min(300, options.pairs * 4) : 0); i += 1) end(pair(chance() * 4000), cause(), now() - (300 - i) * 7);

let drain = options.drain ? { id: 4, state: "running", whole: false, route: null, upstream: UPSTREAMS[0], listener: null, older_than_seconds: null, spread_seconds: 300, matched: 812, told: 344, remaining: 471 } : null;
let lastReload = options.full
  ? { outcome: "refused", at: now() - 340, generation: 3, changes: 0, mistakes: [`keepalive.client.interval = "2" in /etc/lubdub/lubdub.toml: a duration needs a unit, as "2s"`] }
  : { outcome: "applied", at: now() - 4200, generation: 3, changes: 2, mistakes: [] };

function status() {
  const share = options.full ? 0.97 : 0.4;
  const of = (name) => [...pairs.values()].filter((one) => one.upstream.name === name).length;
  const max = Math.max(100, Math.ceil(pairs.size / share));
  return {
    version: "0.1.0", revision: "f62b6c5", pid: 71, generation: 3, now: now(), started: began, uptime_seconds: now() - began, ready: !drain?.whole, draining: Boolean(drain?.whole), lingering_pairs: options.full ? 41 : 0,
    drain, last_reload: lastReload,
    budgets: [
      { name: "pairs", of: null, key: "limits.pairs", used: pairs.size, max, at_the_end: "upgrades are refused (503)" },
      { name: "connections", of: null, key: "limits.connections", used: pairs.size + 12, max: max + 300, at_the_end: "new connections wait to be accepted" },
      { name: "handshakes", of: null, key: "limits.handshakes", used: 3, max: 1024, at_the_end: "new connections wait to be accepted" },
      { name: "files", of: null, key: null, used: pairs.size * 2 + 61, max: Math.max(1024, Math.ceil(pairs.size * (options.full ? 2.2 : 5))), at_the_end: "upgrades are refused (503)" },
      { name: "watchers", of: null, key: null, used: 1, max: 64, at_the_end: "one more watcher is refused (503)" },
      ...UPSTREAMS.flatMap((name, index) => [
        { name: "waiting", of: name, key: `upstream.${name}.limits.waiting`, used: options.full && index === 0 ? 1000 : index, max: 1024, at_the_end: "upgrades to it are refused (503)" },
        { name: "requests", of: name, key: `upstream.${name}.limits.requests`, used: 17 * index, max: 4000, at_the_end: "plain requests to it are refused (503)" },
      ]),
    ],
    listeners: [{ name: "public", address: "0.0.0.0:8080", tls: false, connections: pairs.size + 12 }, { name: "public-tls", address: "[::]:8443", tls: true, connections: 0 }],
    routes: [...new Set(ROUTES.map(([name]) => name))].map((name) => ({ name, upstream: ROUTES.find(([route]) => route === name)[1], pairs: [...pairs.values()].filter((one) => one.route === name).length })),
    upstreams: UPSTREAMS.map((name, index) => ({
      name, url: `ws://127.0.0.1:${9000 + index}`, pairs: of(name), waiting: options.full && index === 0 ? 1000 : 0, waiting_max: 1024, requests: 17 * index, requests_max: 4000,
      connects: { connected: of(name) + 880, failed: index === 2 ? 214 : 1, timeout: 0 }, last_success: options.pairs === 0 ? null : index === 2 ? now() - 912 : now() - chance() * 3,
    })),
    certificates: [{ listener: "public-tls", name: "main", expires: now() + 86400 * (options.full ? 5.4 : 61.2) }, { listener: "public-tls", name: "wildcard", expires: now() + 86400 * 21 }],
    totals: { pairs: pairs.size, ...totals }, rtt: { bounds_seconds: BOUNDS, client: history.at(-1)?.rtt.client ?? new Array(15).fill(0), upstream: history.at(-1)?.rtt.upstream ?? new Array(15).fill(0) },
  };
}

const seen = (one) => ({ ...one, age_seconds: now() - one.opened });
const address = (text) => text.replace(/^\[(.*)\]:\d+$/, "$1").replace(/^([\d.]+):\d+$/, "$1");
const inNetwork = (text, network) => (network.includes("/") ? address(text).startsWith(network.split("/")[0].replace(/(\.0)+$|::$/, "")) : address(text) === network);
function matches(one, query) {
  const is = (key, value) => !query.get(key) || query.get(key) === value;
  const upstream = one.upstream?.name;
  if (!is("route", one.route) || !is("upstream", upstream) || !is("listener", one.listener) || !is("cause", one.cause) || !is("pair", String(one.pair ?? one.id))) return false;
  if (query.get("client") && !inNetwork(one.client.address, query.get("client"))) return false;
  const silent = query.get("silent");
  const [mine, other] = silent === "upstream" ? [one.upstream, one.client] : [one.client, one.upstream];
  if (silent && mine.last_heard_seconds <= other.last_heard_seconds) return false;
  const longer = silent ? mine.last_heard_seconds : Math.max(mine.last_heard_seconds, other.last_heard_seconds);
  return !query.get("silent_for") || longer >= parseFloat(query.get("silent_for"));
}
const ORDER = {
  oldest: (a, b) => a.id - b.id, newest: (a, b) => b.id - a.id, bytes: (a, b) => b.client.bytes + b.upstream.bytes - a.client.bytes - a.upstream.bytes,
  silence: (a, b) => Math.max(b.client.last_heard_seconds, b.upstream.last_heard_seconds) - Math.max(a.client.last_heard_seconds, a.upstream.last_heard_seconds),
  rtt: (a, b) => (b.client.last_rtt_seconds ?? 0) - (a.client.last_rtt_seconds ?? 0),
};
function list(query) {
  const found = [...pairs.values()].filter((one) => matches(one, query)).sort(ORDER[query.get("sort") ?? "oldest"]);
  const from = Number(query.get("after") ?? 0);
  const limit = Number(query.get("limit") ?? 1000);
  return { total: pairs.size, matched: found.length, next: from + limit < found.length ? String(from + limit) : null, pairs: found.slice(from, from + limit).map(seen) };
}
function beats(side, id) {
  let odd = id * 2654435761;
  return Array.from({ length: Math.min(64, side.pings_sent) }, (_, index, { length } = { length: Math.min(64, side.pings_sent) }) => {
    odd = (Math.imul(odd, 1664525) + 1013904223) >>> 0;
    if (index === length - 1 && odd % 5 === 0) return { state: "waiting", rtt_seconds: null };
    if (odd % 37 === 0) return { state: "missed", rtt_seconds: null };
    if (odd % 53 === 0) return { state: "covered", rtt_seconds: null };
    return { state: "answered", rtt_seconds: (side.last_rtt_seconds ?? 0.02) * (0.5 + (odd % 1000) / 700) };
  });
}

// === what it answers

const watchers = new Set();
const tell = (event, data) => watchers.forEach((watcher) => watcher.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
const problem = (answer, code, title, detail) => answer.writeHead(code, { "content-type": "application/problem+json" }).end(JSON.stringify({ type: "about:blank", title, status: code, detail }));
const json = (answer, data) => answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(data));

function page(answer) {
  const source = readFileSync(pageRs, "utf8");
  const folder = dirname(pageRs);
  const parts = [...source.matchAll(/include_str!\("(page\/[\w.]+)"\)/g)].map(([, name]) => [name, readFileSync(join(folder, name), "utf8")]);
  const part = (end) => parts.filter(([name]) => name.endsWith(end)).map(([, text]) => text).join("\n");
  const nonce = randomBytes(16).toString("base64url");
  const policy = `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  const text = part(".html").replaceAll("{{nonce}}", nonce).replace("{{style}}", () => part(".css")).replace("{{script}}", () => part(".js"));
  answer.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-security-policy": policy }).end(text);
}

async function change(path, request, answer) {
  let body = "";
  for await (const part of request) body += part;
  const asked = JSON.parse(body || "{}");
  const [, id] = path.match(/^\/api\/v1\/pairs\/(\d+)\/close$/) ?? [];
  if (id) {
    const one = pairs.get(Number(id));
    if (!one) return problem(answer, 404, "Not Found", `there is no pair ${id}`);
    pairs.delete(one.id);
    tell("end", end(one, "admin", now()));
    return json(answer, { pair: one.id, outcome: "told" });
  }
  if (path.endsWith("/drain")) {
    if (asked.cancel) drain = { ...drain, state: "cancelled" };
    else drain = { id: (drain?.id ?? 0) + 1, state: "running", whole: !(asked.route || asked.upstream || asked.listener), route: asked.route ?? null, upstream: asked.upstream ?? null, listener: asked.listener ?? null, older_than_seconds: null, spread_seconds: 60, matched: 300, told: 1, remaining: 300 };
    tell("status", status());
    return json(answer, drain);
  }
  if (path.endsWith("/reload")) {
    if (!asked.dry_run) lastReload = { outcome: "applied", at: now(), generation: 4, changes: 1, mistakes: [] };
    return json(answer, { outcome: asked.dry_run ? "possible" : "applied", generation: 3, changes: [{ key: "keepalive.client.interval", before: `"20s"`, after: `"15s"`, origin: "/etc/lubdub/lubdub.toml", applies: "live pairs, with their next ping", content_of: null }], warnings: [], mistakes: [] });
  }
  return problem(answer, 404, "Not Found", "there is no such path");
}

const server = createServer((request, answer) => {
  const { pathname: path, searchParams: query } = new URL(request.url, "http://mock");
  if (path === "/") return page(answer);
  if (options.token && request.headers.authorization !== `Bearer ${options.token}`) return problem(answer, 401, "Unauthorized", "this takes the token");
  if (request.method === "POST") return change(path, request, answer);
  const [, id] = path.match(/^\/api\/v1\/pairs\/(\d+)$/) ?? [];
  if (id) {
    const one = pairs.get(Number(id));
    return one ? json(answer, { ...seen(one), trace: { client: beats(one.client, one.id), upstream: beats(one.upstream, one.id + 7) } }) : problem(answer, 404, "Not Found", `there is no pair ${id}`);
  }
  if (path === "/api/v1/status") return json(answer, status());
  if (path === "/api/v1/history") return json(answer, { step_seconds: 10, bounds_seconds: BOUNDS, samples: history });
  if (path === "/api/v1/pairs") return query.get("client") && !/^[\da-f.:/]+$/i.test(query.get("client")) ? problem(answer, 400, "Bad Request", `client: "${query.get("client")}" is no IP address and no network`) : json(answer, list(query));
  if (path === "/api/v1/ends") {
    const found = ends.filter((one) => matches(one, query));
    return json(answer, { kept: ends.length, ends: found.slice(0, Number(query.get("limit") ?? 100)) });
  }
  if (path === "/api/v1/config") return json(answer, { generation: 3, keys: [{ key: "listen.public.address", value: `"0.0.0.0:8080"`, origin: "/etc/lubdub/lubdub.toml" }, { key: "keepalive.client.interval", value: `"20s"`, origin: null }] });
  if (path === "/api/v1/events") {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    answer.write(`event: status\ndata: ${JSON.stringify(status())}\n\n`);
    watchers.add(answer);
    return answer.on("close", () => watchers.delete(answer));
  }
  return problem(answer, 404, "Not Found", "there is no such path");
});

setInterval(() => {
  if (!pairs.size || options.still) return;
  for (let i = 0; i < Math.max(1, load * 2) * chance() * 2; i += 1) {
    const one = [...pairs.values()][Math.floor(chance() * Math.min(pairs.size, 400))];
    if (!one) continue;
    pairs.delete(one.id);
    tell("end", end(one, cause(), now()));
    const fresh = pair(0);
    pairs.set(fresh.id, fresh);
    totals.opened += 1;
  }
  for (const one of pairs.values()) {
    for (const side of [one.client, one.upstream]) {
      side.last_heard_seconds += 2;
      if (side.last_heard_seconds > 20 && side.last_heard_seconds < 24) Object.assign(side, { last_heard_seconds: 0.1, pings_sent: side.pings_sent + 1, pongs_received: side.pongs_received + 1, last_rtt_seconds: (side.last_rtt_seconds ?? 0.02) * (0.8 + chance() * 0.45) });
    }
  }
  if (drain?.state === "running") drain = { ...drain, told: Math.min(drain.matched, drain.told + 6), remaining: Math.max(0, drain.remaining - 6) };
  tell("status", status());
}, 2000);
setInterval(() => {
  history.push(sample((history.at(-1)?.at ?? now() - 10) + 10, 0));
  if (history.length > 360) history.shift();
  tell("sample", history.at(-1));
}, 10000);
server.listen(Number(options.port ?? 0), "127.0.0.1", () => console.log(`listening ${server.address().port}`));
