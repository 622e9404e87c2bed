// === feed: what the API says, and whether it still does

/** The token, in this variable and nowhere else: not stored, in no cookie, in no address. */
let token = null;

/** What the API says instead of an answer. */
class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** A reload reads files, and each may take seconds. */
const ANSWERED_WITHIN = 20000;

async function problemOf(response) {
  const told = await response.json().catch(() => null);
  return new Problem(response.status, told?.detail || told?.title || `lubdub answered ${response.status}`);
}

/** One request. A 401 asks for the token and tries again, until there is one that is right or nobody wants to say it. */
async function ask(path, { method = "GET", body, signal, taken = [200], quiet = false } = {}) {
  for (;;) {
    const used = token;
    const headers = {};
    if (used !== null) headers.Authorization = `Bearer ${used}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(path, {
      method,
      headers,
      signal: signal ?? AbortSignal.timeout(ANSWERED_WITHIN),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    if (taken.includes(response.status)) return response;
    const problem = await problemOf(response);
    if (response.status !== 401 || quiet) throw problem;
    // Another request may have brought a token while this one was under way.
    if (used === token && !(await askToken(used !== null, method))) throw problem;
  }
}

const get = async (path, options) => (await ask(path, options)).json();
const post = async (path, body, options) => (await ask(path, { method: "POST", body, ...options })).json();

/** The blocks of an event stream (HTML, section 9.2), as far as lubdub writes them. */
async function* eventsOf(stream) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunksOf(stream)) {
    text += decoder.decode(chunk, { stream: true }).replaceAll("\r\n", "\n");
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = { type: "message", data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) event.type = line.slice(6).trim();
        else if (line.startsWith("data:")) event.data += line.slice(5).trim();
      }
      if (event.data) yield { type: event.type, data: JSON.parse(event.data) };
    }
  }
}

async function* chunksOf(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * The connection to the events: one that breaks, or that says nothing, is made anew, at longer and longer
 * intervals. `heard` gets each event, `changed` each change of `feed.state`: asking, live, lost.
 */
const feed = { state: "asking", heardAt: 0, why: "", retryAt: 0, wake: null };
/** lubdub says something each 2 s. */
const SILENT_AFTER = 7000;
const LONGEST_BACK_OFF = 15000;

async function follow(begin, heard, changed) {
  let failures = 0;
  const become = (state, why = "") => {
    Object.assign(feed, { state, why });
    changed();
  };
  for (;;) {
    const given = new AbortController();
    let watch;
    const silent = () => {
      clearTimeout(watch);
      watch = setTimeout(() => given.abort(), SILENT_AFTER);
    };
    let why;
    let untold = false;
    try {
      await begin();
      silent();
      const response = await ask("/api/v1/events", { signal: given.signal });
      for await (const event of eventsOf(response.body)) {
        silent();
        failures = 0;
        feed.heardAt = Date.now();
        heard(event);
        if (feed.state !== "live") become("live");
      }
      why = "lubdub ended the connection";
    } catch (error) {
      untold = error.status === 401;
      why = error instanceof Problem ? error.message : given.signal.aborted ? "lubdub says nothing" : "lubdub cannot be reached";
    }
    clearTimeout(watch);
    given.abort();
    const wait = Math.min(LONGEST_BACK_OFF, 1000 * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    // Who did not say the token is not asked again and again.
    feed.retryAt = untold ? Infinity : Date.now() + wait;
    become("lost", why);
    await new Promise((resolve) => {
      feed.wake = resolve;
      if (!untold) setTimeout(resolve, wait);
    });
    feed.retryAt = 0;
    changed();
  }
}
