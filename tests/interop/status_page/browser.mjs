// browser.mjs '{"admin", "listener", "beyond", "token", "pid", "executable"}': the status page in Chromium, held
// against what the API says. A line of JSON for each case. suite.py starts it, with a lubdub behind it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { come, comeFrozen } from "./people.mjs";

const given = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const base = `http://${given.admin}`;
const public_ = `ws://127.0.0.1:${given.listener}`;
const api = async (path) => (await fetch(`${base}/api/v1/${path}`)).json();

const browser = await chromium.launch({ executablePath: given.executable, headless: true, args: ["--no-sandbox", "--disable-gpu"] });

/** A page that has heard from lubdub, and what went wrong on it. */
async function open(options = {}, url = base) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => {
    if (/Content Security Policy|Refused/.test(message.text())) page.faults.push(message.text());
  });
  await page.goto(url);
  return page;
}
const live = (page) => page.locator("#link[data-state=live]").waitFor();

/** Waits until `seen` is true of what is on the page; at the end says what was there instead. */
async function until(what, seen, limit = 15000) {
  const deadline = Date.now() + limit;
  let last;
  for (;;) {
    last = await seen();
    if (last === true) return;
    if (Date.now() > deadline) throw new Error(`${what}: ${JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const rows = (page) =>
  page.$$eval("#pairs tbody tr.row", (list) =>
    list.map((row) => ({ id: Number(row.querySelector("button.open").textContent), client: row.querySelector(".who span").textContent, request: row.querySelector(".who small").textContent, route: row.querySelector(".where span").textContent })),
  );
const ofApi = ({ pairs }) => pairs.map((pair) => ({ id: pair.id, client: pair.client.address, request: pair.request ?? "", route: pair.route === pair.upstream.name ? pair.route : `${pair.route} → ${pair.upstream.name}` }));
const value = (page, name) => page.locator("#vitals > div", { hasText: name }).locator(".value").innerText();
const number = (text) => Number(text.replace(/\s/g, ""));
const rowOf = (page, id) => page.locator(`#pairs button.open[data-id="${id}"]`);

/** What the page shows of the pairs is what the API says; both are of the same moment once they are equal. */
const same = (page) =>
  until("pairs of the page and of the API", async () => {
    const [shown, told] = [await rows(page), ofApi(await api("pairs?limit=50"))];
    return JSON.stringify(shown) === JSON.stringify(told) || { shown, told };
  });

let failed = 0;
async function test(name, body) {
  let problem = null;
  try {
    await body();
  } catch (error) {
    failed += 1;
    problem = `${error.message}`.slice(0, 2000);
  }
  console.log(JSON.stringify({ case: name, problem }));
}

async function audit(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary.split("\n")[1]}`).join("; ")}`);
  assert.deepEqual(found, [], what);
}

try {
  const page = await open();
  await live(page);

  await test("an empty proxy says that it is", async () => {
    await until("the words", async () => (await page.locator("#matched").innerText()) === "There are no pairs.");
    assert.equal(await value(page, "Pairs now"), "0");
  });

  const people = [];
  await test("pairs that come are on the page as the API has them", async () => {
    for (let i = 0; i < 3; i += 1) people.push(await come(`${public_}/all/room/${i}`));
    await same(page);
    await until("the number", async () => (await value(page, "Pairs now")) === "3");
    assert.equal(await page.title(), "3 pairs · lubdub");
    assert.deepEqual(people.map((one) => one.readyState), [1, 1, 1]);
  });

  await test("the trace of a pair has the beats that the API has", async () => {
    const { pairs } = await api("pairs");
    await rowOf(page, pairs[0].id).click();
    const trace = page.locator("#pairs tr.detail canvas");
    await until("the trace", async () => {
      const one = await api(`pairs/${pairs[0].id}`);
      const words = await trace.getAttribute("aria-label");
      return (one.trace.client.length > 1 && words.startsWith(`client: ${one.trace.client.length} pings, none missed`)) || { words, told: one.trace.client.length };
    }, 20000);
    const painted = await trace.evaluate((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte));
    assert.ok(painted, "nothing is drawn");
    await rowOf(page, pairs[0].id).click();
    assert.equal(await page.locator("#pairs tr.detail").count(), 0);
  });

  let frozen;
  await test("a path with all that a path may have is on the page as the API has it", async () => {
    frozen = await comeFrozen(given.listener, `/all/%3Cimg%20src=x%3E/'"{&amp;}`);
    await same(page);
    const shown = await rows(page);
    assert.ok(shown.some((row) => row.request.includes(`/all/%3Cimg%20src=x%3E/'"{&amp;}`)), JSON.stringify(shown));
  });

  await test("whatever the API says, be it HTML, is text", async () => {
    const look = await open({ bypassCSP: true }, "about:blank");
    const html = `<img src=x onerror="document.title='taken'">\u202e`;
    const keep = new Set(["id", "pair", "cause", "state", "by", "expires"]);
    // Each string that may be of a stranger is HTML now.
    const forge = (value, key) =>
      typeof value === "string" && !keep.has(key)
        ? html + value
        : Array.isArray(value)
          ? value.map((one) => forge(one, key))
          : value && typeof value === "object"
            ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, forge(one, name)]))
            : value;
    const events = [["status", await api("status")], ["end", (await api("ends")).ends[0]]].filter(([, data]) => data);
    await look.route("**/api/v1/**", async (route) => {
      const path = new URL(route.request().url()).pathname;
      if (path.endsWith("/events")) {
        const body = events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(forge(data))}\n\n`).join("");
        return route.fulfill({ status: 200, contentType: "text/event-stream", body });
      }
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: forge(await answer.json()) });
    });
    await look.goto(base);
    await look.locator("#pairs tbody button.open").first().click();
    await look.locator("#pairs tr.detail button.danger").click();
    await look.keyboard.press("Escape");
    await look.locator("#keys summary").click();
    await until("the keys", async () => (await look.locator("#keys tbody tr").count()) > 10);
    await look.locator("#tab-ends").click();
    const words = await look.locator("main").innerText();
    assert.ok(words.includes("<img src=x onerror=") && words.includes("\\u{202e}"), words.slice(0, 500));
    assert.ok(!words.includes("\u202e"), "a character that turns the line around");
    assert.equal(await look.locator("img, main script").count(), 0);
    assert.match(await look.title(), /lubdub$/);
    await look.context().close();
  });

  let lapsed;
  await test("a client that freezes misses beats, lapses, and its end says so", async () => {
    lapsed = (await api("pairs")).pairs.find((pair) => pair.client.pongs_received === 0 && pair.request?.includes("%3Cimg"));
    await rowOf(page, lapsed.id).click();
    const facts = page.locator("#pairs tr.detail h3", { hasText: "Client" });
    await until("a missed beat", async () => /[1-9] missed/.test(await facts.innerText().catch(() => "gone")) || (await facts.innerText().catch(() => "gone")), 20000);
    await frozen.gone;
    await until("the row is gone", async () => (await rowOf(page, lapsed.id).count()) === 0, 20000);
    await page.locator("#tab-ends").click();
    const [told] = (await api(`ends?pair=${lapsed.id}`)).ends;
    assert.equal(told.cause, "client_lapsed");
    const row = page.locator("#ends tbody tr.row", { has: page.locator(`button[data-id="${lapsed.id}"]`) });
    await row.waitFor();
    const text = await row.innerText();
    for (const part of ["client lapsed", told.diagnosis, told.cause_text, told.client.address, "%3Cimg"]) assert.ok(text.includes(part), `${part} is not in ${text}`);
    await page.locator("#tab-pairs").click();
  });

  await test("lapses and causes of the hour are those of the API", async () => {
    await until("a sample with the lapse", async () => {
      const { samples } = await api("history");
      const told = samples.reduce((total, one) => total + one.lapses.client.application + one.lapses.client.network + one.lapses.client.unknown, 0);
      const shown = number(await value(page, "Client lapses"));
      return (told === 1 && shown === 1) || { told, shown };
    }, 25000);
    assert.match(await page.locator("#causes").innerText(), /client lapsed\s*1/);
  });

  await test("a client that goes is gone from the page, with its code", async () => {
    const { pairs } = await api("pairs");
    const person = people.pop();
    person.close(1000, "enough");
    await person.gone;
    await until("two rows", async () => (await rows(page)).length === 2);
    await same(page);
    const gone = pairs.at(-1).id;
    const [told] = (await api(`ends?pair=${gone}`)).ends;
    const latest = page.locator("#latest li", { hasText: told.client.address });
    await latest.waitFor();
    assert.match(await latest.innerText(), /client closed/);
    // Of two questions at once the first is given up.
    const givenUp = [];
    page.on("requestfailed", (request) => request.url().includes("/api/v1/ends?") && givenUp.push(request.url()));
    await latest.locator("button").click();
    // Before the filter holds, another end may stand there alone.
    const row = page.locator("#ends tbody tr.row", { has: page.locator(`button[data-id="${gone}"]`) });
    await row.waitFor();
    await until("it alone", async () => (await page.locator("#ends tbody tr.row").count()) === 1);
    assert.match(await row.innerText(), /1000 by the client/);
    assert.deepEqual(givenUp, [], "lubdub was asked twice");
    await page.locator("#filter button[type=reset]").click();
    await page.locator("#tab-pairs").click();
  });

  await test("a filter is lubdub's, and what is no network is told", async () => {
    await page.locator("[name=client]").fill("198.51.100.0/24");
    await until("nobody", async () => (await page.locator("#matched").innerText()) === "0 of 2 pairs");
    await page.locator("[name=client]").fill("127.0.0.1");
    await until("both", async () => (await page.locator("#matched").innerText()) === "2 of 2 pairs");
    await page.locator("[name=client]").fill("nobody");
    await until("the mistake", async () => (await page.locator("#filter-error").innerText()).length > 10);
    await page.locator("#filter button[type=reset]").click();
    assert.equal(await page.locator("#filter-error").innerText(), "");
    await same(page);
  });

  await test("the order is lubdub's", async () => {
    const ids = async () => (await rows(page)).map((row) => row.id);
    await page.locator("[data-sort=age] button").click();
    await until("newest first", async () => JSON.stringify(await ids()) === JSON.stringify((await api("pairs?sort=newest")).pairs.map((pair) => pair.id)));
    assert.equal(await page.locator("[data-sort=age]").getAttribute("aria-sort"), "ascending");
    await page.locator("[data-sort=age] button").click();
    await same(page);
  });

  await test("by keyboard: to a row, into it, and to its end", async () => {
    const [first, second] = (await rows(page)).map((row) => row.id);
    await rowOf(page, first).focus();
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate(() => document.activeElement.dataset.id), String(second));
    await page.keyboard.press("Enter");
    await page.locator("#pairs tr.detail button.danger").waitFor();
    // News of the pair comes, and takes nothing from who is about to press a button.
    await page.locator("#pairs tr.detail button.danger").focus();
    await new Promise((resolve) => setTimeout(resolve, 5500));
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Close this pair…");
    await page.keyboard.press("Enter");
    assert.ok(await page.locator("#close-dialog").isVisible());
    await page.keyboard.press("Escape");
    assert.ok(!(await page.locator("#close-dialog").isVisible()));
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Close this pair…");
    assert.equal((await api("pairs")).total, 2, "nothing was closed");
  });

  const use = async (token) => {
    await page.locator("#token-dialog [name=token]").fill(token);
    await page.locator("#token-dialog button.go").click();
  };
  await test("a wrong token closes nobody, the right one does", async () => {
    const id = Number(await page.locator("#pairs tr.opened button.open").innerText());
    await page.locator("#pairs tr.detail button.danger").click();
    await page.locator("#close-dialog [name=code]").fill("1012");
    await page.locator("#close-dialog [name=reason]").fill("moved");
    await page.locator("#close-dialog button.go").click();
    await page.locator("#token-dialog").waitFor();
    await use("not the token");
    await page.locator("#token-why", { hasText: "does not know this token" }).waitFor();
    assert.ok((await api("pairs")).pairs.some((pair) => pair.id === id), "a wrong token closed it");
    await use(given.token);
    assert.deepEqual(await people[1].gone, [1012, "moved"]);
    await until("the row is gone", async () => (await rowOf(page, id).count()) === 0);
    assert.equal((await api(`ends?pair=${id}`)).ends[0].cause, "admin");
    assert.match(await page.locator("#toast").innerText(), new RegExp(`Pair ${id} was told`));
  });

  await test("the token is in the page's memory and nowhere else", async () => {
    const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href, document.documentElement.outerHTML]);
    assert.deepEqual(kept.slice(0, 3), [0, 0, ""]);
    assert.ok(!kept[3].includes(given.token) && !kept[4].includes(given.token));
    assert.equal(await page.locator("#token-dialog [name=token]").inputValue(), "");
  });

  await test("a reload says what it would do before it does", async () => {
    await page.locator("#open-reload").click();
    await page.locator("#reload-what", { hasText: "changes nothing" }).waitFor();
    const before = (await api("status")).generation;
    await page.locator("#reload-dialog button.go").click();
    await page.locator("#reload-dialog").waitFor({ state: "hidden" });
    assert.equal((await api("status")).generation, before + 1);
    await until("the page knows", async () => (await page.locator("#generation").innerText()).startsWith(`Number ${before + 1} `));
  });

  await test("a drain of an upstream says how many, and tells them", async () => {
    const more = [await come(`${public_}/all/late/1`), await come(`${public_}/all/late/2`)];
    await same(page);
    await page.locator("#upstreams button", { hasText: "Drain" }).first().click();
    await page.locator("#drain-dialog [name=spread]").fill("2s");
    await page.locator("#drain-dialog button.go", { hasText: "Drain 3 pairs" }).waitFor();
    assert.match(await page.locator("#drain-what").innerText(), /^3 pairs are sent a Close/);
    await page.locator("#drain-dialog [value=cancel]").click();
    assert.equal((await api("drain")).drain, null, "cancel drained");
    await page.locator("#upstreams button", { hasText: "Drain" }).first().click();
    await page.locator("#drain-dialog [name=spread]").fill("2s");
    await page.locator("#drain-dialog button.go", { hasText: "Drain 3 pairs" }).click();
    await page.locator("#toast", { hasText: "The drain has begun: 3 pairs." }).waitFor();
    for (const one of [people[0], ...more]) assert.equal((await one.gone)[0], 1012);
    await same(page);
    assert.equal(await page.locator("#matched").innerText(), "There are no pairs.");
    assert.equal((await api("status")).ready, true);
  });

  await test("a whole drain is seen, and can be called off", async () => {
    await page.locator("#open-drain").click();
    await page.locator("#drain-dialog button.go", { hasText: "Drain all of lubdub" }).click();
    await page.locator("#drain-box").waitFor();
    assert.equal((await fetch(`${base}/readyz`)).status, 503);
    await page.locator("#drain-cancel").click();
    await page.locator("#cancel-dialog button.go").click();
    await page.locator("#drain-box").waitFor({ state: "hidden" });
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
  });

  await test("an opened pair that ends says so, and is asked for no more", async () => {
    const guest = await come(`${public_}/all/guest`);
    await same(page);
    const [{ id }] = await rows(page);
    await rowOf(page, id).click();
    await page.locator("#pairs tr.detail canvas").waitFor();
    const asked = [];
    page.on("response", (answer) => {
      if (answer.url().endsWith(`/pairs/${id}`)) asked.push(answer.status());
    });
    guest.close(1000, "");
    await guest.gone;
    const detail = page.locator("#pairs tr.detail");
    await until("it says so", async () => !(await detail.count()) || (await detail.innerText()).includes("has ended"));
    // What is drawn is drawn anew.
    await page.setViewportSize({ width: 1200, height: 900 });
    await page.setViewportSize({ width: 1440, height: 1000 });
    await new Promise((resolve) => setTimeout(resolve, 5000));
    assert.ok(asked.filter((status) => status === 404).length <= 1, `asked: ${asked}`);
    assert.deepEqual(page.faults, []);
  });

  await test("a lubdub that says nothing is not called live, and is again", async () => {
    process.kill(given.pid, "SIGSTOP");
    try {
      await page.locator("#link[data-state=lost]").waitFor({ timeout: 15000 });
      const words = await page.locator("#lost-text").innerText();
      assert.match(words, /^Not connected: .*What you see is of \d\d:\d\d:\d\d/);
      assert.ok(await page.locator("#retry").isVisible());
    } finally {
      process.kill(given.pid, "SIGCONT");
    }
    await page.locator("#link[data-state=live]").waitFor({ timeout: 30000 });
    assert.ok(!(await page.locator("#lost").isVisible()));
  });

  await test("nothing that the policy forbids was tried, and no script failed", async () => {
    assert.deepEqual(page.faults, []);
    const ran = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      return Boolean(window.ran);
    });
    assert.equal(ran, false, "a script without the nonce ran");
  });

  for (const [name, options] of Object.entries({
    light: {},
    dark: { colorScheme: "dark" },
    phone: { viewport: { width: 360, height: 740 }, hasTouch: true },
    "less motion": { reducedMotion: "reduce" },
  })) {
    await test(`axe finds nothing: ${name}`, async () => {
      const guest = await come(`${public_}/all/axe`);
      const look = await open({ ...options, bypassCSP: true });
      await live(look);
      await look.locator("#pairs tbody button.open").first().click();
      await look.locator("#pairs tr.detail canvas").waitFor();
      await audit(look, "the page");
      const [wide, room] = await look.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(wide <= room, `it is ${wide} wide in ${room}`);
      await look.locator("#pairs tr.detail button.danger").click();
      await audit(look, "a dialog");
      await look.keyboard.press("Escape");
      await look.locator("#tab-ends").click();
      await look.locator("#ends tbody button.open").first().click();
      await audit(look, "the ends");
      const beats = await look.evaluate(() => document.getAnimations().length > 0 || getComputedStyle(document.querySelector(".lub")).animationName !== "none");
      assert.equal(beats, name !== "less motion", "does the sign beat?");
      guest.close();
      await look.context().close();
    });
  }

  if (given.beyond) {
    await test("from beyond this machine nothing is shown without the token", async () => {
      const look = await open({}, `http://${given.beyond}`);
      await look.locator("#token-dialog").waitFor();
      await look.locator("#token-dialog [name=token]").fill("not the token");
      await look.locator("#token-dialog button.go").click();
      await look.locator("#token-why", { hasText: "does not know this token" }).waitFor();
      assert.ok(!(await look.locator("#main").isVisible()));
      await look.locator("#token-dialog [value=cancel]").click();
      await look.locator("#retry", { hasText: "Say the token" }).click();
      await look.locator("#token-dialog [name=token]").fill(given.token);
      await look.locator("#token-dialog button.go").click();
      await live(look);
      assert.ok(await look.locator("#main").isVisible());
      assert.deepEqual(look.faults, []);
      await look.context().close();
    });
  }
} catch (error) {
  failed += 1;
  console.log(JSON.stringify({ case: "the browser runs to its end", problem: error.stack }));
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
