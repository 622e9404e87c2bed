// browser.mjs URL LACKING EXECUTABLE PROFILE: the client cases in headless Chromium. The page and the
// cases are fetched through lubdub; a page sees neither pings nor pongs.

import { mkdirSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { run } from "./cases.mjs";
import { report } from "./report.mjs";

const [base, lacking, executablePath, profile] = process.argv.slice(2);
const { protocol, hostname, port } = new URL(base);
// Over TLS the name is asked for (SNI), and stands for loopback. Of the certificates only this one is trusted, whatever name it
// has: which one is shown is what is tested.
const tls = protocol === "wss:" ? [
  `--host-resolver-rules=MAP ${hostname} 127.0.0.1`,
  `--ignore-certificate-errors-spki-list=${process.env.INTEROP_SPKI}`,
] : [];
if (process.env.INTEROP_CERT) {
  // The certificate is in the store of the user. Nobody is there to choose it.
  const choice = { [`https://${hostname}:${port},*`]: { setting: { filters: [{}] } } };
  const preferences = { profile: { content_settings: { exceptions: { auto_select_certificate: choice } } } };
  mkdirSync(`${profile}/Default`);
  writeFileSync(`${profile}/Default/Preferences`, JSON.stringify(preferences));
}
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    ...tls,
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await context.newPage();
  const root = base.replace(/^ws/, "http");
  const refused = await page.goto(`${root}/page`).then(() => null, (error) => error);
  if (refused) {
    await run(() => Promise.reject(refused), lacking.split(","), report);
  } else {
    await page.exposeFunction("report", report);
    await page.evaluate(
      async ([base, root, lacking]) => {
        const { run, standardPeer } = await import(`${root}/cases.mjs`);
        const dial = (path, { protocols = [] } = {}) => standardPeer(new WebSocket(base + path, protocols));
        await run(dial, lacking, globalThis.report);
      },
      [base, root, lacking.split(",")],
    );
  }
} finally {
  await context.close();
}
