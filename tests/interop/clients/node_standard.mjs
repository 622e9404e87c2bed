// node_standard.mjs URL LACKING builtin|undici: the client cases with Node's own WebSocket, or with
// that of the undici package. Neither shows pongs to its user, but undici publishes every one.

import diagnostics from "node:diagnostics_channel";
import { run, standardPeer } from "./cases.mjs";
import { report } from "./report.mjs";

const [base, lacking, kind] = process.argv.slice(2);
const WebSocket = kind === "undici" ? (await import("undici")).WebSocket : globalThis.WebSocket;

// Of the connection that was opened last: undici does not say whose pong it was.
let pongs = [];
diagnostics.subscribe("undici:websocket:pong", ({ payload }) => pongs.push(payload.toString()));

async function dial(path, { protocols = [], cookie } = {}) {
  const socket = new WebSocket(base + path, { protocols, headers: cookie ? { cookie } : {} });
  pongs = [];
  return standardPeer(socket, pongs);
}

await run(dial, lacking.split(","), report);
process.exit();
