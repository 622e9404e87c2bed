// A Socket.IO server: echoes, asks back, and cuts a connection when it is told to.

import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { pingInterval: 500 });

io.on("connection", (socket) => {
  socket.on("echo", (value, answer) => answer(value));
  socket.on("ask me", async (question, answer) => answer(await socket.timeout(5000).emitWithAck("question", question)));
  socket.on("transport", (answer) => answer(socket.conn.transport.name));
  socket.on("cut", () => socket.conn.close());
});

http.listen(0, "127.0.0.1", () => console.log("listening", http.address().port));
