// === start: everything is put together, and drawn at most once for each frame

const stale = new Set();
let frame = 0;
function soon(...parts) {
  for (const part of parts) stale.add(part);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const now = [...stale];
    stale.clear();
    for (const part of now) part();
  });
}

/** Is it live, since when not, and when it is tried again. */
function showLink() {
  const lost = feed.state === "lost";
  put($("link"), "data-state", feed.state);
  say($("link-text"), feed.state === "live" ? "live" : feed.state === "lost" ? "not connected" : "connecting");
  document.body.classList.toggle("stale", lost && status !== null);
  $("lost").hidden = !lost;
  if (!lost) return;
  const since = feed.heardAt ? `What you see is of ${clock(feed.heardAt / 1000 + skew)}. ` : "There is nothing to show yet. ";
  const left = Math.ceil((feed.retryAt - Date.now()) / 1000);
  const next = feed.retryAt === Infinity ? "" : left > 0 ? "It is tried again by itself." : "Trying again…";
  say($("lost-text"), `Not connected: ${feed.why}. ${since}${next}`);
  say($("retry"), feed.retryAt === Infinity ? "Say the token…" : left > 0 ? `Try now (${left} s)` : "Trying…");
}

/** The mark beats with each status that comes: lub, and dub. */
function beat() {
  const mark = $("mark");
  mark.classList.remove("beating");
  void mark.getBoundingClientRect();
  mark.classList.add("beating");
}

const LIST_EVERY = 5000;
let listedAt = 0;

function heard({ type, data }) {
  if (type === "status") {
    takeStatus(data);
    soon(showStatus);
    if (!document.hidden) beat();
    if (Date.now() - listedAt >= LIST_EVERY - 500) {
      listedAt = Date.now();
      refresh();
    }
    refreshDetail();
  } else if (type === "sample") {
    takeSample(data);
    soon(showHour, showCauses);
  } else if (type === "end") {
    takeEnds([data]);
    soon(showLatest);
  } else if (type === "left_out") {
    leftOut += data.ends;
    soon(showLatest);
  }
}

/** What the events do not bring: what was before. */
async function begin() {
  const [history, ends] = [await get("/api/v1/history"), await get(`/api/v1/ends?limit=${LATEST}`)];
  takeHistory(history);
  latest = [];
  leftOut = 0;
  takeEnds(ends.ends);
  say($("ends-count"), count(ends.kept));
  soon(showHour, showCauses, showLatest);
}

function readMoment(next) {
  slot = next;
  $("moment").value = next;
  drawStrips(slot);
  showReading();
}

function listen() {
  $("retry").addEventListener("click", () => feed.wake?.());
  $("open-drain").addEventListener("click", () => status && openDrain());
  $("open-reload").addEventListener("click", () => status && openReload());
  $("drain-cancel").addEventListener("click", openCancel);
  $("moment").addEventListener("input", () => readMoment(Number($("moment").value)));
  $("hour-table").addEventListener("toggle", showHourTable);
  $("keys").addEventListener("toggle", () => status && showConfiguration());
  let typed;
  $("filter").addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(first, 250);
  });
  $("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    first();
  });
  $("filter").addEventListener("reset", () => {
    say($("filter-error"), "");
    // The fields are empty after this event.
    setTimeout(first);
  });
  for (const head of $("pairs").tHead.querySelectorAll("[data-sort]")) head.addEventListener("click", () => sortBy(head.dataset.sort));
  for (const tab of ["pairs", "ends"]) {
    $(`tab-${tab}`).addEventListener("click", () => choose(tab));
    $(`tab-${tab}`).addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tab === "pairs" ? "ends" : "pairs";
      choose(other);
      $(`tab-${other}`).focus();
    });
    $(tab).addEventListener("keydown", listKeys);
  }
  $("page-next").addEventListener("click", () => {
    view.cursors.push(view.next);
    refresh();
  });
  $("page-back").addEventListener("click", () => {
    view.cursors.pop();
    refresh();
  });
  $("page-first").addEventListener("click", first);
  const redraw = () => {
    readColours();
    drawStrips(slot);
    redrawTraces();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(redraw).observe($("strips"));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    soon(showStatus, showHour);
    refresh();
  });
  setInterval(() => feed.state === "lost" && soon(showLink), 1000);
}

readColours();
makeStrips((index) => readMoment(index), () => readMoment(SLOTS - 1));
listen();
showSort();
follow(begin, heard, () => {
  soon(showLink);
  if (feed.state === "live") {
    listedAt = Date.now();
    refresh();
  }
});
