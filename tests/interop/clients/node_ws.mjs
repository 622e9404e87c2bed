// node_ws.mjs URL LACKING: the client cases with ws.

import { readFileSync } from "node:fs";
import WebSocket from "ws";
import { Inbox, run } from "./cases.mjs";
import { report } from "./report.mjs";

const [base, lacking] = process.argv.slice(2);
// Over TLS the name is asked for (SNI) and verified, and stands for loopback.
const { protocol, hostname } = new URL(base);
const lookup = (_, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4));
const { INTEROP_CA, INTEROP_CERT, INTEROP_KEY } = process.env;
const tls = protocol === "wss:" ? { ca: readFileSync(INTEROP_CA), servername: hostname, lookup } : {};
if (INTEROP_CERT) Object.assign(tls, { cert: readFileSync(INTEROP_CERT), key: readFileSync(INTEROP_KEY) });

async function dial(path, { protocols = [], cookie } = {}) {
  const socket = new WebSocket(base + path, protocols, {
    ...tls,
    headers: cookie ? { cookie } : {},
    perMessageDeflate: { threshold: 0 },
    maxPayload: 0,
  });
  const inbox = new Inbox();
  const answered = new Inbox();
  const pongs = [];
  const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  socket.on("message", (data, binary) => inbox.put(binary ? new Uint8Array(data) : data.toString()));
  socket.on("pong", (payload) => {
    pongs.push(payload.toString());
    answered.put(payload);
  });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  return {
    send: (data) => socket.send(data),
    next: () => inbox.take(),
    close: (code, reason) => socket.close(code, reason),
    closed,
    pongs,
    protocol: socket.protocol,
    compressed: socket.extensions.includes("permessage-deflate"),
    fragments: (parts) => parts.forEach((part, at) => socket.send(part, { fin: at === parts.length - 1 })),
    ping(payload) {
      socket.ping(payload);
      return answered.take();
    },
    pong: (payload) => socket.pong(payload),
    async end() {
      socket.close(1000);
      const [code] = await closed;
      if (code !== 1000) throw new Error(`the last close came with ${code}`);
    },
  };
}

await run(dial, lacking.split(","), report);
process.exit();
