// === dialogs: the token, and what changes something. Each says what will happen before it does

/** Shows a dialog; `act` is what its button does. What `act` throws stands in the dialog, which stays. */
function converse(dialog, act, closed = () => {}) {
  const form = dialog.querySelector("form");
  const error = form.querySelector(".error");
  const go = form.querySelector(".go");
  say(error, "");
  go.disabled = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    say(error, "");
    try {
      await act(form.elements);
      dialog.close("done");
    } catch (problem) {
      say(error, problem.message);
    }
    go.disabled = false;
  };
  form.querySelector("[value=cancel]").onclick = () => dialog.close("cancel");
  dialog.onclose = () => closed(dialog.returnValue === "done");
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal();
}

// --- the token

let asking = null;

/** Whether somebody said a token. Two requests that need one ask once. */
function askToken(wrong, method) {
  asking ??= new Promise((resolve) => {
    const dialog = $("token-dialog");
    dialog.querySelector("form").reset();
    say($("token-why"), wrong ? "lubdub does not know this token." : method === "POST" ? "To change something here takes the token." : "lubdub shows this to who has the token.");
    converse(
      dialog,
      async (fields) => void (token = fields.token.value.trim()),
      (said) => {
        asking = null;
        dialog.querySelector("form").reset();
        resolve(said);
      },
    );
  });
  return asking;
}

// --- close

/** Those that are mostly chosen; any that may be sent can be written (RFC 6455, section 7.4). */
const CODES = [[1001, "going away"], [1000, "normal"], [1012, "service restart"], [1013, "try again later"], [1008, "policy violation"], [1011, "internal error"]];

function openClose(pair) {
  const dialog = $("close-dialog");
  const { code, reason } = dialog.querySelector("form").elements;
  dialog.querySelector("form").reset();
  $("close-codes").replaceChildren(...CODES.map(([number, name]) => el("option", { value: number }, name)));
  say($("close-title"), `Close pair ${pair.id}?`);
  say($("close-what"), `Client ${pair.client.address} and upstream ${pair.upstream.name}, open for ${duration(pair.age_seconds)}.`);
  say(dialog.querySelector(".go"), `Close pair ${pair.id}`);
  converse(dialog, async () => {
    const body = { code: Number(code.value) };
    if (reason.value) body.reason = reason.value;
    await post(`/api/v1/pairs/${pair.id}/close`, body);
    toast(`Pair ${pair.id} was told to close.`);
    refresh();
  });
}

// --- drain

function openDrain(whom = {}) {
  const dialog = $("drain-dialog");
  const form = dialog.querySelector("form");
  form.reset();
  const { whom: choice } = form.elements;
  const options = [["{}", "all of lubdub"]];
  for (const [kind, list] of [["upstream", status.upstreams], ["route", status.routes], ["listener", status.listeners]]) {
    for (const { name } of list) options.push([JSON.stringify({ [kind]: name }), `${kind} ${name}`]);
  }
  choice.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  choice.value = JSON.stringify(whom);
  const asks = () => {
    const body = JSON.parse(choice.value);
    for (const name of ["older_than", "spread"]) if (form.elements[name].value.trim()) body[name] = form.elements[name].value.trim();
    return body;
  };
  const describe = async () => {
    const body = asks();
    const whole = !body.upstream && !body.route && !body.listener && !body.older_than;
    const query = new URLSearchParams({ ...JSON.parse(choice.value), limit: 1 });
    say(dialog.querySelector(".go"), whole ? "Drain all of lubdub" : "Drain");
    const { matched } = await get(`/api/v1/pairs?${query}`, { quiet: true }).catch(() => ({ matched: null }));
    if (JSON.stringify(asks()) !== JSON.stringify(body)) return;
    const who = matched === null ? "The pairs" : `${body.older_than ? "At most " : ""}${plural(matched, "pair")}`;
    const over = body.spread ? `over ${body.spread}` : "over the time that drain.spread sets";
    const told = `${who} ${matched === 1 ? "is" : "are"} sent a Close, evenly ${over}; clients that were written well connect again.`;
    say($("drain-what"), whole
      ? `/readyz says 503 at once. After drain.delay new upgrades are refused (503). ${told} The process does not end, and stays drained until the drain is called off.`
      : `${told} New pairs come in as before, there too${body.upstream ? ": to move everybody away from this upstream, first point its routes elsewhere and reload" : ""}. /readyz stays 200.`);
    say(dialog.querySelector(".go"), whole ? "Drain all of lubdub" : matched === null || body.older_than ? "Drain" : `Drain ${plural(matched, "pair")}`);
  };
  form.oninput = describe;
  describe();
  converse(dialog, async () => {
    const drain = await post("/api/v1/drain", asks());
    toast(`The drain has begun: ${plural(drain.matched, "pair")}.`);
  });
}

function openCancel() {
  converse($("cancel-dialog"), async () => {
    await post("/api/v1/drain", { cancel: true });
    toast("The drain was called off.");
  });
}

// --- reload: first what it would do

async function openReload() {
  const dialog = $("reload-dialog");
  const list = $("reload-changes");
  const go = dialog.querySelector(".go");
  list.replaceChildren();
  say($("reload-what"), "lubdub reads the configuration, to say what a reload would do…");
  converse(dialog, async () => {
    const done = await post("/api/v1/reload", {}, { taken: [200, 422] });
    if (done.outcome === "refused") {
      showReload(done);
      throw new Error("The reload was refused, and changed nothing.");
    }
    toast(`Configuration ${done.generation} is in effect: ${plural(done.changes.length, "key")} changed.`);
  });
  go.disabled = true;
  try {
    const would = await post("/api/v1/reload", { dry_run: true }, { taken: [200, 422] });
    showReload(would);
    go.disabled = would.outcome === "refused";
  } catch (error) {
    say($("reload-what"), "");
    say(dialog.querySelector(".error"), error.message);
  }
}

function showReload({ outcome, changes = [], warnings = [], mistakes = [] }) {
  say($("reload-what"), outcome === "refused" ? `It would be refused: ${plural(mistakes.length, "mistake")}.` : changes.length ? `It changes ${plural(changes.length, "key")}. No live pair ends, unless its route or upstream is removed and has on_removed = "drain".` : "It changes nothing: what is on disk is in effect.");
  const change = (one) => el("li", {}, el("code", {}, one.key), el("span", {}, one.content_of ? `${one.content_of} holds something else` : `${one.before ?? "not set"} → ${one.after ?? "not set"}`), el("small", {}, one.applies ?? ""));
  $("reload-changes").replaceChildren(
    ...mistakes.map((text) => el("li", { class: "bad" }, text)),
    ...changes.map(change),
    ...warnings.map((one) => el("li", {}, el("b", {}, "warning "), el("code", {}, one.setting ?? one.warning ?? ""), el("span", {}, one.reason ?? ""))),
  );
}

// --- a word on what was done

let toastTimer;
function toast(text) {
  clearTimeout(toastTimer);
  $("toast").hidden = false;
  say($("toast"), text);
  toastTimer = setTimeout(() => {
    $("toast").hidden = true;
    say($("toast"), "");
  }, 8000);
}
