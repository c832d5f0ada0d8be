// The page: takes pictures, sends a few at a time, and shows what is said of them.

import { Refused, getJson, sendPicture, useToken } from "./api.js";
import { decide, makeCard } from "./card.js";
import { element } from "./dom.js";
import { csv, json, report, save } from "./exports.js";
import { listenForFiles } from "./files.js";
import { LIMITS, rateInWords, ratesFrom, summary, wordOf } from "./words.js";

const AT_A_TIME = 3, USUAL_RATE = 0.05, CLEARED = new DOMException("cleared", "AbortError");
const nothingKnown = () => ({ url: null, rows: [], provenance: null, sha256: null, explanations: new Map() });
const $ = (id) => document.getElementById(id);

let facts = null, rates = [], pictures = [], waiting = [], working = 0, taken = 0, stopper = new AbortController();

async function begin() {
  try {
    const [bundle, calibration] = await Promise.all([getJson("/v1/bundle"), getJson("/v1/calibration")]);
    facts = { bundle, calibration };
  } catch (error) {
    if (error.status === 401) askForToken();
    else tell(error.message);
    return;
  }
  $("access").hidden = true;
  tell("");
  rates = ratesFrom(facts.bundle.smallest_false_alarm_rate);
  $("rate").max = rates.length - 1;
  $("rate").value = rates.findLastIndex((rate) => rate <= USUAL_RATE);
  $("bundle-name").textContent = facts.bundle.name;
  $("card").textContent = facts.bundle.card;
  $("version").textContent = `cameraborn ${facts.bundle.cameraborn}`;
  redecide();
  work();
}

function askForToken() {
  const again = !$("access").hidden;
  $("access").hidden = false;
  if (again) tell("This token is not known to the server: enter another one.");
  $("token").value = "";
  $("token").focus();
}

function tell(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

function chosenRate() {
  return rates[Number($("rate").value)] ?? USUAL_RATE;
}

function take(files) {
  if (!files.length) return;
  for (const one of files) waiting.push({ ...one, number: (taken += 1) });
  $("work").hidden = false;
  work();
}

function work() {
  while (facts && waiting.length && working < AT_A_TIME) {
    working += 1;
    judge(waiting.shift()).finally(() => {
      working -= 1;
      work();
    });
  }
  showProgress();
}

async function judge({ file, name, number }) {
  const signal = stopper.signal;
  const picture = { number, file, name, ...nothingKnown() };
  try {
    picture.rows = await (await sendPicture("/v1/score?category=true", file, name, signal)).json();
    [picture.provenance] = await (await sendPicture("/v1/provenance", file, name, signal)).json();
    picture.sha256 = await digest(file);
  } catch (error) {
    if (error.status === 401) {
      waiting.unshift({ file, name, number });
      facts = null;
      askForToken();
      return;
    }
    if (!picture.rows.length) picture.rows = [refusedRow(name, error)];
  }
  if (signal.aborted && signal.reason === CLEARED) return;
  add(picture);
}

/** Puts a picture where it was among those that were given, whenever its answer came. */
function add(picture) {
  picture.url = URL.createObjectURL(picture.file);
  const place = pictures.findIndex((other) => other.number > picture.number);
  const card = makeCard(picture, facts, chosenRate(), explain);
  $("pictures").insertBefore(card, pictures[place]?.card ?? null);
  pictures.splice(place < 0 ? pictures.length : place, 0, picture);
  show(picture);
}

/** A row in the form of the others for a picture that the server did not take, or a file that could not be read. */
function refusedRow(name, error) {
  let text = `The file could not be read: ${error.message}`;
  if (error instanceof Refused) text = error.message;
  if (error.name === "AbortError") text = "Not judged, because you stopped before its answer came.";
  return {
    path: name, face: null, box: null, width: null, height: null, score: null, p_value: null, flagged: null,
    scope: "unreadable", error: text, bundle: facts?.bundle.name ?? "", evidence: {}, decided_by: null,
    face_confidence: null, notes: "", start_s: null, end_s: null, frames: null, verdict: "unreadable", needed_px: null,
  };
}

async function digest(file) {
  if (!globalThis.crypto?.subtle) return null; // a browser has it on secure addresses alone
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function explain(picture, row) {
  const query = row.face === null ? "whole_image=true" : `face=${row.face}`;
  const blob = await (await sendPicture(`/v1/explain?${query}`, picture.file, picture.name)).blob();
  picture.explanations.set(row.face, blob);
  return URL.createObjectURL(blob);
}

function redecide() {
  const words = rateInWords(chosenRate());
  $("rate-text").textContent = words;
  $("rate").setAttribute("aria-valuetext", words);
  for (const picture of pictures) {
    decide(picture, chosenRate());
    show(picture);
  }
  showProgress();
}

function show(picture) {
  const wanted = $("filter").value;
  const kinds = picture.rows.map((row) => wordOf(row, chosenRate()).replace("unreadable", "not judged"));
  picture.card.hidden = wanted !== "all" && !kinds.includes(wanted);
}

function showProgress() {
  const total = pictures.length + waiting.length + working;
  $("progress-row").hidden = !(waiting.length + working);
  $("progress").max = total || 1;
  $("progress").value = pictures.length;
  $("progress").textContent = `${pictures.length} of ${total}`;
  const done = waiting.length + working ? `${pictures.length} of ${total} pictures are finished. ` : "";
  $("summary").textContent = done + summary(pictures.flatMap((picture) => picture.rows), chosenRate());
}

/** Ends what is under way; what was not judged stays on the list and says so. */
function stop() {
  stopper.abort();
  for (const one of waiting.splice(0)) {
    add({ ...one, ...nothingKnown(), rows: [refusedRow(one.name, new DOMException("stopped", "AbortError"))] });
  }
  stopper = new AbortController();
  showProgress();
}

function clear() {
  waiting = [];
  stopper.abort(CLEARED);
  stopper = new AbortController();
  for (const picture of pictures) URL.revokeObjectURL(picture.url);
  pictures = [];
  $("pictures").replaceChildren();
  $("work").hidden = true;
  showProgress();
  $("files").focus();
}

const reference = () => $("case").value.trim();
$("limits").append(...LIMITS.map((text) => element("li", {}, text)));
$("rate").addEventListener("input", redecide);
$("filter").addEventListener("change", () => pictures.forEach(show));
$("stop").addEventListener("click", stop);
$("clear").addEventListener("click", clear);
$("csv").addEventListener("click", () => save("verdicts.csv", csv(pictures, facts, chosenRate()), "text/csv"));
$("json").addEventListener("click", () => save("verdicts.json", json(pictures, facts, chosenRate(), reference()), "application/json"));
$("report").addEventListener("click", async () => {
  save("report.html", await report(pictures, facts, chosenRate(), reference()), "text/html");
});
$("access").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken($("token").value);
  begin();
});
listenForFiles(take);
begin();
