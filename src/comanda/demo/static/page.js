// The page of Dev-Guro: saves logs, lists them, and shows tags as they arrive. Whatever comes from the server is put
// into text nodes only.

const form = document.getElementById("new");
const list = document.getElementById("logs");
const older = document.getElementById("older");

// A browser opens six connections to a host, over all its windows. Streams must leave room for the requests.
const MOST_STREAMS = 2;

const STATES = {
  scheduled: ["waiting", "waiting for another attempt"],
  ready: ["waiting", "waiting for a worker"],
  running: ["running", "looking for technologies"],
  successful: ["successful", "done"],
  failed: ["failed", "failed"],
  cancelled: ["stopped", "cancelled"],
  expired: ["stopped", "expired"],
};

// -- talking to the server -----------------------------------------------------------------------------------------

async function request(path, options) {
  const response = await fetch(path, { headers: { "Content-Type": "application/json" }, ...options });
  const answer = await response.json();
  if (!response.ok) throw new Error(reason(answer));
  return answer;
}

function reason({ detail }) {
  return Array.isArray(detail) ? detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ") : String(detail);
}

// -- showing a log -------------------------------------------------------------------------------------------------

function card({ id, entry, timestamp, ...progress }, milliseconds) {
  const item = document.getElementById("log").content.firstElementChild.cloneNode(true);
  item.id = `log-${id}`;
  item.querySelector(".number").textContent = `No. ${id}`;
  item.querySelector(".entry").textContent = entry;
  if (milliseconds !== undefined) item.querySelector(".saved").textContent = `saved in ${Math.round(milliseconds)} ms`;
  const time = item.querySelector("time");
  time.dateTime = timestamp;
  time.textContent = moment(new Date(timestamp));
  time.title = new Date(timestamp).toLocaleString("en", { dateStyle: "full", timeStyle: "long" });
  show(item, progress);
  return item;
}

function moment(date) {
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString("en-GB", today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

function show(item, { job, tags }) {
  const [icon, word] = job ? describe(job, tags) : ["stopped", "its job is no longer kept"];
  item.dataset.state = job ? job.state : "gone";
  item.querySelector("use").setAttribute("href", `#icon-${icon}`);
  item.querySelector(".word").textContent = word;
  item.querySelector(".tags").replaceChildren(...tags.map(chip));
}

function describe({ state, attempts, error }, tags) {
  const [icon, word] = STATES[state];
  const failures = error ? `, ${error} at attempt ${attempts}` : "";
  if (state === "successful" && tags.length === 0) return [icon, "done, no technology found"];
  return [icon, state === "running" && attempts > 1 ? `${word}, attempt ${attempts}` : word + failures];
}

function chip({ value }) {
  const item = document.createElement("li");
  item.textContent = value;
  return item;
}

function say(text, wrong = false) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}

// -- following jobs: the newest first, a few at a time, none while nobody looks ------------------------------------

const unfinished = new Map(); // log id -> whether its tags are to be announced
const streams = new Map(); // log id -> EventSource

function follow(id, announce = false) {
  unfinished.set(id, announce);
  fill();
}

function fill() {
  if (document.hidden) return;
  for (const id of [...unfinished.keys()].sort((a, b) => b - a)) {
    if (streams.size >= MOST_STREAMS) return;
    if (!streams.has(id)) open(id);
  }
}

function open(id) {
  const source = new EventSource(`logs/${id}/events`);
  streams.set(id, source);
  source.addEventListener("progress", ({ data }) => {
    const progress = JSON.parse(data);
    show(document.getElementById(`log-${id}`), progress);
    if (isEnd(progress)) end(id, progress);
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) end(id); // 204 or 404: there is nothing more to hear
  });
}

function isEnd({ job }) {
  return !job || !["scheduled", "ready", "running"].includes(job.state);
}

function end(id, progress) {
  streams.get(id).close();
  streams.delete(id);
  if (progress && unfinished.get(id)) say(summary(id, progress));
  unfinished.delete(id);
  fill();
}

function summary(id, { job, tags }) {
  const found = tags.map(({ value }) => value).join(", ");
  return found ? `No. ${id}: ${found}` : `No. ${id}: ${job ? describe(job, tags)[1] : "done"}`;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return fill();
  streams.forEach((source) => source.close());
  streams.clear();
});

// -- saving and listing --------------------------------------------------------------------------------------------

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return; // the keyboard does not know
  button.disabled = true;
  const entry = form.entry.value;
  try {
    const start = performance.now();
    const log = await request("logs", { method: "POST", body: JSON.stringify({ entry }) });
    const milliseconds = performance.now() - start;
    list.prepend(card({ ...log, job: { state: "ready", attempts: 0, error: null }, tags: [] }, milliseconds));
    document.getElementById("empty").hidden = true;
    if (form.entry.value === entry) form.reset(); // else the next one is being typed already
    say(`No. ${log.id} saved.`);
    follow(log.id, true);
  } catch (error) {
    say(`Not saved. ${error.message}`, true);
  } finally {
    button.disabled = false;
    form.entry.focus();
  }
});

form.entry.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

let next = "logs";

async function load() {
  older.disabled = true;
  try {
    const page = await request(next);
    list.append(...page.logs.map((log) => card(log)));
    document.getElementById("empty").hidden = list.childElementCount > 0;
    next = page.next;
    older.hidden = next === null;
    page.logs.filter((log) => !isEnd(log)).forEach(({ id }) => follow(id));
  } catch (error) {
    say(`The logs could not be read. ${error.message}`, true);
  } finally {
    older.disabled = false;
  }
}

older.addEventListener("click", load);
load();
