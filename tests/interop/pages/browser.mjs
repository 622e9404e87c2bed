// browser.mjs URL PORT CASES EXECUTABLE PROFILE: pages of several sites, all of them served at PORT, open a
// WebSocket each. A line of JSON tells what became of it.

import { chromium } from "playwright-core";

const [base, port, cases, executablePath, profile] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    // From a site to a port of this machine.
    "--disable-features=LocalNetworkAccessChecks,PrivateNetworkAccessRespectPreflightResults",
  ],
});

/** Whether a WebSocket comes to be, and brings back what it was told; runs in the page. */
function attempt(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send("heart");
    socket.onmessage = ({ data }) => {
      socket.close();
      resolve(data === "heart" ? "open" : `told ${data}`);
    };
    socket.onerror = () => resolve("refused");
  });
}

try {
  const page = await context.newPage();
  for (const [host, route] of JSON.parse(cases)) {
    const url = `${base}/${route}/`;
    let became;
    if (host === "null") {
      // A sandboxed frame of a page that is listed has no origin that could be.
      await page.goto(`http://ours.test:${port}/page`);
      await page.evaluate(() => {
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = "<!doctype html><title>frame</title>";
        const loaded = new Promise((resolve) => (frame.onload = resolve));
        document.body.append(frame);
        return loaded.then(() => undefined);
      });
      became = await page.frames()[1].evaluate(attempt, url);
    } else {
      await page.goto(`http://${host}:${port}/page`);
      became = await page.evaluate(attempt, url);
    }
    console.log(JSON.stringify({ page: host, route, became }));
  }
} finally {
  await context.close();
}
