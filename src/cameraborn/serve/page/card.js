// One picture or video on the page: boxes, verdicts, evidence, histogram, explanation, provenance.

import { drawn, element } from "./dom.js";
import { histogram } from "./histogram.js";
import { evidence, evidenceTitle, sentence, timeSpan, wordOf } from "./words.js";

const LABELS = { flagged: "Flagged", "not flagged": "Not flagged", "not judged": "Not judged", unreadable: "No verdict" };
const CLASSES = { flagged: "flagged", "not flagged": "passed" };
const NO_PREVIEW = "This browser cannot show the file.";
const NO_FILE = "It cannot be shown: this page was loaded anew, and the server keeps no pictures.";

/** Shows a picture whose rows have come. `facts` holds bundle and calibration, `explain(picture, row)` asks for a drawing. */
export function makeCard(picture, facts, rate, explain) {
  const faces = picture.rows.map((row) => face(picture, row, facts, explain));
  const card = element("li", { class: "picture" }, preview(picture),
    element("div", {}, element("h3", {}, picture.name), ...faces, provenance(picture.provenance)));
  picture.card = card;
  decide(picture, rate);
  return card;
}

/** Decides anew at another rate; nothing is sent. */
export function decide(picture, rate) {
  const faces = picture.card.querySelectorAll(".face"), drawnBoxes = picture.card.querySelectorAll(".box");
  let box = 0;
  picture.rows.forEach((row, i) => {
    const word = wordOf(row, rate), kind = CLASSES[word] ?? "unjudged";
    faces[i].className = `face ${kind}`;
    faces[i].querySelector(".word").textContent = LABELS[word];
    const summary = faces[i].querySelector(".said summary");
    if (summary) summary.textContent = evidenceTitle(row, rate);
    if (row.box && drawnBoxes[box]) drawnBoxes[box++].setAttribute("class", `box ${kind}`);
  });
}

function preview(picture) {
  if (!picture.url) return element("div", { class: "shown" }, element("p", { class: "no-preview" }, NO_FILE));
  const { width, height, start_s: start } = picture.rows[0], isVideo = start !== null;
  const shown = element("div", { class: "shown" });
  const media = isVideo
    ? element("video", { controls: true, muted: true, preload: "metadata", "aria-label": `The video ${picture.name}` })
    : element("img", { alt: `The picture ${picture.name}`, width, height, loading: "lazy", decoding: "async" });
  media.addEventListener("error", () => shown.replaceChildren(element("p", { class: "no-preview" }, NO_PREVIEW)));
  if (isVideo) media.src = `${picture.url}#t=${start}`;
  else picture.upright.then((url) => { media.src = url; });
  shown.append(media, ...(isVideo ? [] : [boxes(picture.rows)]));
  return shown;
}

function boxes(rows) {
  const { width, height } = rows[0] ?? {};
  const svg = drawn("svg", { "aria-hidden": "true", viewBox: `0 0 ${width || 1} ${height || 1}` });
  for (const row of rows.filter((one) => one.box)) {
    const [x0, y0, x1, y1] = row.box, place = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
    const size = Math.max(width, height) / 22;
    svg.append(drawn("rect", { class: "halo", ...place }), drawn("rect", { class: "box", ...place }));
    if (row.face !== null) {
      svg.append(drawn("text", {
        class: "number", x: x0 + size / 4, y: y0 + size, "font-size": size, "stroke-width": size / 6,
      }, String(row.face)));
    }
  }
  return svg;
}

function face(picture, row, facts, explain) {
  const span = timeSpan(row);
  const made = element("div", { class: "face" },
    element("p", {}, row.face === null ? "" : `Face ${row.face}: `, element("span", { class: "word" })),
    span ? element("p", { class: "small" }, span) : null,
    element("p", { class: "sentence" }, sentence(row)),
    row.notes ? element("p", { class: "small" }, `Note: ${row.notes}.`) : null);
  if (row.p_value !== null) made.append(details(row, facts));
  if (row.score !== null && row.start_s === null && picture.file) made.append(explanation(picture, row, explain));
  return made;
}

/** What each channel of evidence says; it is drawn when it is opened, because there may be a thousand of them. */
function details(row, facts) {
  const made = element("details", { class: "said" }, element("summary"));
  made.addEventListener("toggle", () => {
    made.append(histogram(row, facts.calibration) ?? "", list(evidence(row, facts.bundle.channels)));
  }, { once: true });
  return made;
}

function list(said) {
  return element("ul", { class: "evidence" }, ...said.map((one) => element("li", {},
    element("b", {}, one.name), ` ${one.role}: ${one.says}.`,
    element("span", { class: "small" }, `It ${one.about}.`))));
}

/** A button; what it asks for comes below the picture and its faces, as wide as both. */
function explanation(picture, row, explain) {
  const place = element("div", { class: "explanation", "aria-live": "polite" });
  const name = row.face === null ? picture.name : `face ${row.face} of ${picture.name}`;
  const button = element("button", { type: "button", class: "quiet", "aria-label": `Explain ${name}` }, "Explain");
  button.addEventListener("click", async () => {
    button.disabled = true;
    picture.card.append(place);
    place.textContent = "Drawing…";
    try {
      const url = await explain(picture, row);
      const text = `Explanation of ${name}: the picture, a map of what moved the score, and where the score lies.`;
      const link = element("a", { href: url, target: "_blank", title: "Open in a tab of its own" }, element("img", { src: url, alt: text }));
      place.replaceChildren(link);
      button.remove();
      link.focus();
    } catch (error) {
      place.textContent = error.message;
      button.disabled = false;
    }
  });
  return button;
}

function provenance(found) {
  if (!found || found.says === "unreadable") return null; // the row of the picture says why
  const entries = [
    ["says", found.says === "nothing" ? null : found.says], ["marks of generators", found.traces.map((one) => `${one.place}: ${one.excerpt}`).join("; ")],
    ["source type", found.source_type], ["camera", found.camera], ["camera's EXIF", found.camera_check],
    ["contradictions", found.doubts.join("; ")], ["editor", found.editor], ["software", found.software.join("; ")],
    ["notes", found.notes.join("; ")],
  ].filter(([, value]) => value);
  return element("details", { class: "provenance" },
    element("summary", {}, `Metadata: ${found.summary}`),
    element("dl", {}, ...entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    element("p", { class: "small" }, "No verdict depends on metadata. Their absence proves nothing, and they can be forged."));
}
