// The client cases, for every client that speaks JavaScript: Node's and the browser's. What they ask
// of the backend is in backends/README.md; clients/cases.py is the same for Python.
//
// `dial(path, options)` opens a connection. A peer has send, next (the next message), close, closed
// (its code and reason) and where its library can: ping, pong, pongs, fragments, compressed.

const LARGE = 64 << 20;
const HOLD = 3000;
const LIMIT = 60000;

function equal(seen, wanted, what) {
  const [left, right] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what} was ${left}, not ${right}`);
}

/** The same every time, and such that a lost, doubled or swapped block shows. */
function pattern(size) {
  const words = new Uint32Array(size / 4);
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(at, 2654435761);
  return new Uint8Array(words.buffer);
}

function sameBytes(seen, wanted, what) {
  if (!(seen instanceof Uint8Array)) throw new Error(`${what} was not binary`);
  equal(seen.length, wanted.length, `${what}: length`);
  const at = seen.findIndex((byte, index) => byte !== wanted[index]);
  if (at >= 0) throw new Error(`${what} differs at byte ${at}`);
}

async function ask(peer, command) {
  peer.send("!" + JSON.stringify(command));
  return JSON.parse(await peer.next());
}

const CASES = {
  async text(dial) {
    const peer = await dial("/text");
    for (const text of ["", "lub", "dub ♥ \u{1FAC0} \0", "x".repeat(70000)]) {
      peer.send(text);
      equal(await peer.next(), text, "echo");
    }
    await peer.end();
  },

  async binary(dial) {
    const peer = await dial("/binary");
    for (const size of [0, 4, 124, 128, 65532, 65536, 1 << 20]) {
      peer.send(pattern(size));
      sameBytes(await peer.next(), pattern(size), `echo of ${size} bytes`);
    }
    await peer.end();
  },

  async fragments_received(dial) {
    const peer = await dial("/fragments");
    peer.send('!{"do":"fragments","parts":["lub","","-","dub"]}');
    equal(await peer.next(), "lub-dub", "message");
    await peer.end();
  },

  async fragments_sent(dial) {
    const peer = await dial("/fragments");
    peer.fragments(["lub", "", "-", "dub"]);
    equal(await peer.next(), "lub-dub", "echo");
    await peer.end();
  },

  async compressed(dial) {
    const peer = await dial("/compressed");
    equal((await ask(peer, { do: "about" })).compressed, true, "compression of the upstream");
    equal(peer.compressed, true, "compression of the client");
    for (const text of ["lub-dub ".repeat(131072), "a", "a", "lub-dub ".repeat(131072)]) {
      peer.send(text);
      equal(await peer.next(), text, "echo");
    }
    await peer.end();
  },

  async large(dial) {
    const peer = await dial("/large?plain");
    equal((await ask(peer, { do: "about" })).compressed, false, "compression");
    const sent = pattern(LARGE);
    peer.send(sent);
    sameBytes(await peer.next(), sent, "echo");
    await peer.end();
  },

  async subprotocol(dial) {
    const peer = await dial("/subprotocol", { protocols: ["interop.v1", "interop.v2"] });
    equal(peer.protocol, "interop.v2", "subprotocol");
    await peer.end();
  },

  async cookies_and_query(dial) {
    const peer = await dial("/query/%7Ea%20b?x=1&y=%26%3D&x=2&z=", { cookie: "heart=beats" });
    const about = await ask(peer, { do: "about" });
    equal(about.url.endsWith("/query/%7Ea%20b?x=1&y=%26%3D&x=2&z="), true, `end of ${about.url}`);
    equal(about.cookie, "heart=beats", "cookie");
    await peer.end();
  },

  async close_by_client(dial) {
    const id = crypto.randomUUID();
    const peer = await dial(`/close?id=${id}`);
    peer.close(4001, "tschüß upstream");
    equal(await peer.closed, [4001, "tschüß upstream"], "the client's close");
    const other = await dial("/close");
    equal(await ask(other, { do: "ended", id }), [4001, "tschüß upstream"], "the upstream's close");
    await other.end();
  },

  async close_by_upstream(dial) {
    const id = crypto.randomUUID();
    const peer = await dial(`/close?id=${id}`);
    peer.send('!{"do":"close","code":4002,"reason":"tschüß client"}');
    equal(await peer.closed, [4002, "tschüß client"], "the client's close");
    const other = await dial("/close");
    // Some libraries answer a Close with the code that they were sent, some with 1000: RFC 6455 5.5.1
    // calls the former typical.
    const [code] = await ask(other, { do: "ended", id });
    equal([4002, 1000].includes(code), true, `4002 or 1000 as the upstream's code ${code}`);
    await other.end();
  },

  async ping_by_client(dial) {
    const peer = await dial("/ping");
    for (const payload of ["", "lub", "p".repeat(125)]) await peer.ping(payload);
    equal(peer.pongs, ["", "lub", "p".repeat(125)], "pongs that the client saw");
    equal(await ask(peer, { do: "pongs" }), [], "pongs that the upstream saw");
    await peer.end();
  },

  async ping_by_upstream(dial) {
    const peer = await dial("/ping");
    const payloads = ["lub", "p".repeat(125)];
    for (const payload of payloads) equal(await ask(peer, { do: "ping", payload }), { pong: payload }, "answer");
    equal(await ask(peer, { do: "pongs" }), payloads, "pongs that the upstream saw");
    if (peer.pongs) equal(peer.pongs, [], "pongs that the client saw");
    await peer.end();
  },

  async pong_by_client(dial) {
    const peer = await dial("/pong");
    peer.pong("unasked");
    peer.pong("");
    equal(await ask(peer, { do: "pongs" }), ["unasked", ""], "pongs that the upstream saw");
    await peer.end();
  },

  async pong_by_upstream(dial) {
    const peer = await dial("/pong");
    peer.send('!{"do":"pong","payload":"unasked"}');
    equal(await peer.next(), "ponged", "answer");
    if (peer.pongs) equal(peer.pongs, ["unasked"], "pongs that the client saw");
    await peer.end();
  },

  async held(dial) {
    const peer = await dial("/held");
    await new Promise((resolve) => setTimeout(resolve, HOLD));
    peer.send("still there?");
    equal(await peer.next(), "still there?", "echo");
    equal(await ask(peer, { do: "pongs" }), [], "pongs that the upstream saw");
    if (peer.pongs) equal(peer.pongs, [], "pongs that the client saw");
    await peer.end();
  },
};

function limited(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${LIMIT} ms`)), LIMIT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs what is not in `lacking`; calls `report(name, problem)` for each. */
export async function run(dial, lacking, report) {
  for (const [name, body] of Object.entries(CASES)) {
    if (lacking.includes(name)) continue;
    try {
      await limited(body(dial));
      await report(name, null);
    } catch (error) {
      await report(name, String(error?.message ?? error));
    }
  }
}

/** A queue whose items are waited for. */
export class Inbox {
  #items = [];
  #waiting = [];

  put(item) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  take() {
    if (this.#items.length) return Promise.resolve(this.#items.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** A peer over anything with the interface of the browser's WebSocket. */
export async function standardPeer(socket, pongs) {
  const inbox = new Inbox();
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => inbox.put(typeof data === "string" ? data : new Uint8Array(data));
  const closed = new Promise((resolve) => {
    socket.onclose = ({ code, reason }) => resolve([code, reason]);
  });
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("the connection was not opened"));
  });
  return {
    send: (data) => socket.send(data),
    next: () => inbox.take(),
    close: (code, reason) => socket.close(code, reason),
    closed,
    pongs,
    protocol: socket.protocol,
    compressed: socket.extensions.includes("permessage-deflate"),
    async end() {
      socket.close(1000);
      equal((await closed)[0], 1000, "code of the last close");
    },
  };
}
