// browser.mjs URL LACKING EXECUTABLE PROFILE: the client cases in headless Chromium. The page and the
// cases are fetched through lubdub; a page sees neither pings nor pongs.

import { chromium } from "playwright-core";
import { report } from "./report.mjs";

const [base, lacking, executablePath, profile] = process.argv.slice(2);
const { protocol, hostname } = new URL(base);
// Over TLS the name is asked for (SNI), and stands for loopback. Of the certificates only this one is trusted, whatever name it
// has: which one is shown is what is tested.
const tls = protocol === "wss:" ? [
  `--host-resolver-rules=MAP ${hostname} 127.0.0.1`,
  `--ignore-certificate-errors-spki-list=${process.env.INTEROP_SPKI}`,
] : [];
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
  await page.goto(`${root}/page`);
  await page.exposeFunction("report", report);
  await page.evaluate(
    async ([base, root, lacking]) => {
      const { run, standardPeer } = await import(`${root}/cases.mjs`);
      const dial = (path, { protocols = [] } = {}) => standardPeer(new WebSocket(base + path, protocols));
      await run(dial, lacking, globalThis.report);
    },
    [base, root, lacking.split(",")],
  );
} finally {
  await context.close();
}
