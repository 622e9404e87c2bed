// The people behind the pairs: clients that answer pings, that freeze, and that say goodbye.

import { once } from "node:events";
import { connect } from "node:net";
import { WebSocket } from "ws";

/** A client that is well. `gone` is the code and reason with which it ends. */
export async function come(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on("error", () => {});
  socket.gone = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  await once(socket, "open");
  return socket;
}

/** A client that opens a pair with any path at all, and never answers a ping. Its kernel does answer. */
export async function comeFrozen(port, path = "/all/frozen") {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  // It may be reset: that is an end too.
  socket.gone = new Promise((resolve) => socket.on("close", resolve));
  await once(socket, "connect");
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: frozen.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
  );
  const [answer] = await once(socket, "data");
  if (!answer.toString().startsWith("HTTP/1.1 101")) throw new Error(`no 101 for ${path}: ${answer.toString().split("\r\n")[0]}`);
  socket.resume();
  return socket;
}
