// The page: takes pictures and videos, shows what is said of them, decides anew, and exports.

import { getJson, sendPicture, useToken } from "./api.js";
import { decide, makeCard } from "./card.js";
import { element } from "./dom.js";
import { csv, json, report, save } from "./exports.js";
import { listenForFiles } from "./files.js";
import { Judge } from "./judge.js";
import { uprightUrl } from "./upright.js";
import { LIMITS, rateInWords, ratesFrom, summary, wordOf } from "./words.js";

const USUAL_RATE = 0.05;
const SOON = 700, NOT_SO_OFTEN = 10_000; // milliseconds after which a screen reader hears how far it is
const $ = (id) => document.getElementById(id);

let facts = null, rates = [], pictures = [], announcing = null;
const judge = new Judge({ finished: add, changed: showProgress, locked: askForToken, failed: (error) => tell(error.message) });

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
  judge.ready(facts);
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

/** Puts a picture where it was among those that were given, whenever its answer came. */
function add(picture) {
  picture.url = picture.file && URL.createObjectURL(picture.file);
  picture.upright = picture.file && uprightUrl(picture.file, picture.url);
  const place = pictures.findIndex((other) => other.number > picture.number);
  const card = makeCard(picture, facts, chosenRate(), explain);
  $("pictures").insertBefore(card, pictures[place]?.card ?? null);
  pictures.splice(place < 0 ? pictures.length : place, 0, picture);
  show(picture);
}

async function explain(picture, row) {
  const query = row.face === null ? "whole_image=true" : `face=${row.face}`;
  const blob = await (await sendPicture(`/v1/explain?${query}`, picture)).blob();
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
  $("none").hidden = !pictures.length || pictures.some((one) => !one.card.hidden);
}

function showProgress() {
  const { left, waits } = judge, total = pictures.length + left;
  $("work").hidden = !total;
  $("progress-row").hidden = !left;
  $("progress").max = total || 1;
  $("progress").value = pictures.length;
  $("done").textContent = `${pictures.length} of ${total} files are finished`;
  $("waits").textContent = waits;
  $("waits").hidden = !waits;
  const found = summary(pictures.flatMap((picture) => picture.rows), chosenRate());
  $("summary").textContent = found;
  announce(left ? `${pictures.length} of ${total} files are finished. ${waits} ${found}` : found, left ? NOT_SO_OFTEN : SOON);
}

/** Tells a screen reader what stands on the page by then; what is said every moment cannot be listened to. */
function announce(text, after) {
  announcing ??= { timer: setTimeout(() => {
    $("announced").textContent = announcing.text;
    announcing = null;
  }, after) };
  announcing.text = text;
}

function clear() {
  for (const picture of pictures) {
    if (picture.url) URL.revokeObjectURL(picture.url);
    picture.upright?.then((url) => URL.revokeObjectURL(url));
  }
  pictures = [];
  $("pictures").replaceChildren();
  $("none").hidden = true;
  tell("");
  judge.clear();
  $("choose").focus();
}

const reference = () => $("case").value.trim();
$("limits").append(...LIMITS.map((text) => element("li", {}, text)));
$("rate").addEventListener("input", redecide);
$("filter").addEventListener("change", () => pictures.forEach(show));
$("stop").addEventListener("click", () => {
  judge.stop();
  $("rate").focus(); // the button goes away
});
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
addEventListener("beforeunload", (event) => {
  if (judge.unsent) event.preventDefault(); // a browser asks, before files are forgotten
});
listenForFiles((files) => judge.take(files));
begin();
