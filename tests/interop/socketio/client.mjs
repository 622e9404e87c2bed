// client.mjs URL: Socket.IO's client, one line of JSON for each case.

import { io } from "socket.io-client";

const url = process.argv[2];
const HOLD = 3000;
const LIMIT = 30000;

function equal(seen, wanted, what) {
  const [left, right] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what} was ${left}, not ${right}`);
}

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

async function connected(options) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 50, ...options });
  socket.on("question", (question, answer) => answer(`${question}, answered`));
  socket.on("connect_error", (error) => console.log("connect_error", error.message));
  await once(socket, "connect");
  return socket;
}

/** Messages with acknowledgements both ways, text and binary. */
async function talk(socket) {
  for (const value of ["lub", { dub: [1, 2, null, "♥"] }, "x".repeat(200000)]) {
    equal(await socket.emitWithAck("echo", value), value, "echo");
  }
  const bytes = Buffer.from(Array.from({ length: 70000 }, (_, at) => at % 251));
  equal(bytes.equals(Buffer.from(await socket.emitWithAck("echo", bytes))), true, "equality of the bytes");
  equal(await socket.emitWithAck("ask me", "why"), "why, answered", "the client's answer");
}

async function upgraded(socket) {
  if (socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade");
  equal(socket.io.engine.transport.name, "websocket", "transport of the client");
  equal(await socket.emitWithAck("transport"), "websocket", "transport of the server");
}

const CASES = {
  async "long-polling first, then the upgrade"() {
    const socket = io(url, { forceNew: true });
    let first;
    socket.io.once("open", () => (first = socket.io.engine.transport.name));
    socket.on("question", (question, answer) => answer(`${question}, answered`));
    await once(socket, "connect");
    equal(first, "polling", "first transport");
    await upgraded(socket);
    await talk(socket);
    socket.disconnect();
  },

  async "messages from before the upgrade until after it"() {
    const socket = await connected();
    let sent = 0;
    while (socket.io.engine.transport.name === "polling" || sent < 50) {
      equal(await socket.emitWithAck("echo", sent), sent, "echo");
      sent++;
    }
    await upgraded(socket);
    socket.disconnect();
  },

  async "long-polling alone"() {
    const socket = await connected({ transports: ["polling"] });
    await talk(socket);
    equal(await socket.emitWithAck("transport"), "polling", "transport of the server");
    socket.disconnect();
  },

  async "websocket alone"() {
    const socket = await connected({ transports: ["websocket"] });
    await talk(socket);
    await upgraded(socket);
    socket.disconnect();
  },

  async "held over many heartbeats"() {
    const socket = await connected();
    await upgraded(socket);
    const id = socket.id;
    await new Promise((resolve) => setTimeout(resolve, HOLD));
    await talk(socket);
    equal(socket.id, id, "session");
    socket.disconnect();
  },

  async "reconnect, and the upgrade again"() {
    const socket = await connected();
    await upgraded(socket);
    const before = socket.id;
    const again = once(socket, "connect");
    socket.emit("cut");
    await once(socket, "disconnect");
    await again;
    equal(socket.id === before, false, "sameness of the session");
    await upgraded(socket);
    await talk(socket);
    socket.disconnect();
  },
};

function limited(promise) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`not done after ${LIMIT} ms`)), LIMIT));
  return Promise.race([promise, late]);
}

for (const [name, body] of Object.entries(CASES)) {
  let problem = null;
  try {
    await limited(body());
  } catch (error) {
    problem = String(error?.message ?? error);
  }
  console.log(JSON.stringify({ case: name, problem }));
}
console.log(JSON.stringify({ cases: Object.keys(CASES).length }));
process.exit();
