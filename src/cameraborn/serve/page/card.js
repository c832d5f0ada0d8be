// One picture on the page: boxes, verdicts, evidence, histogram, explanation, provenance.

import { drawn, element } from "./dom.js";
import { histogram } from "./histogram.js";
import { evidence, sentence, wordOf } from "./words.js";

const LABELS = { flagged: "Flagged", "not flagged": "Not flagged", "not judged": "Not judged", unreadable: "Not read" };
const CLASSES = { flagged: "flagged", "not flagged": "passed" };
const NO_PREVIEW = "This browser cannot show the picture.";

/** Shows a picture whose rows have come. `facts` holds bundle and calibration, `explain(picture, row)` asks for a drawing. */
export function makeCard(picture, facts, rate, explain) {
  const svg = boxes(picture.rows);
  const image = element("img", { src: picture.url, alt: `The picture ${picture.name}`, loading: "lazy", decoding: "async" });
  const shown = element("div", { class: "shown" }, image, svg);
  image.addEventListener("error", () => shown.replaceChildren(element("p", { class: "no-preview" }, NO_PREVIEW)));
  const faces = picture.rows.map((row) => face(picture, row, facts, explain));
  const card = element("li", { class: "picture" }, shown,
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
    if (row.box && drawnBoxes[box]) drawnBoxes[box++].setAttribute("class", `box ${kind}`);
  });
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
      }, String(row.face + 1)));
    }
  }
  return svg;
}

function face(picture, row, facts, explain) {
  const said = evidence(row, facts.bundle.channels);
  const made = element("div", { class: "face" },
    element("p", {}, row.face === null ? "" : `Face ${row.face + 1}: `, element("span", { class: "word" })),
    element("p", { class: "sentence" }, sentence(row)),
    row.notes ? element("p", { class: "small" }, row.notes) : null);
  if (row.p_value !== null) {
    made.append(element("details", {}, element("summary", {}, decidedBy(row)),
      histogram(row, facts.calibration) ?? "", table(said)));
  }
  if (row.score !== null) made.append(...explanation(picture, row, explain));
  return made;
}

function decidedBy(row) {
  return row.decided_by ? `Decided by the evidence “${row.decided_by}”` : "Evidence";
}

function table(said) {
  const heads = ["evidence", "what it says", "part"].map((text) => element("th", { scope: "col" }, text));
  const lines = said.map((one) => element("tr", {},
    element("th", { scope: "row" }, one.name, element("br"), element("span", { class: "small" }, one.about)),
    element("td", {}, one.says), element("td", {}, one.role)));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
}

function explanation(picture, row, explain) {
  const place = element("div", { class: "explanation", "aria-live": "polite" });
  const name = row.face === null ? picture.name : `face ${row.face + 1} of ${picture.name}`;
  const button = element("button", { type: "button", class: "quiet", "aria-label": `Explain ${name}` }, "Explain");
  button.addEventListener("click", async () => {
    button.disabled = true;
    place.textContent = "Drawing…";
    try {
      const url = await explain(picture, row);
      const text = `Explanation of ${name}: the picture, a map of what moved the score, and where the score lies.`;
      const image = element("img", { src: url, alt: text });
      place.replaceChildren(element("a", { href: url, target: "_blank" }, image));
      button.remove();
    } catch (error) {
      place.textContent = error.message;
      button.disabled = false;
    }
  });
  return [button, place];
}

function provenance(found) {
  if (!found) return null;
  const entries = [
    ["says", found.says], ["marks of generators", found.traces.map((one) => `${one.place}: ${one.excerpt}`).join("; ")],
    ["source type", found.source_type], ["camera", found.camera], ["camera's EXIF", found.camera_check],
    ["contradictions", found.doubts.join("; ")], ["editor", found.editor], ["software", found.software.join("; ")],
    ["C2PA", found.c2pa && [found.c2pa.claim_generator, found.c2pa.signature, found.c2pa.signer].filter(Boolean).join(", ")],
    ["notes", found.notes.join("; ")], ["error", found.error],
  ].filter(([, value]) => value);
  return element("details", { class: "provenance" },
    element("summary", {}, `Metadata: ${found.summary}`),
    element("dl", {}, ...entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    element("p", { class: "small" }, "No verdict depends on this. Absence of metadata proves nothing, and they can be forged."));
}
