// Files that the browser makes of the verdicts: CSV as `cameraborn score` writes it, JSON, and a report to file.

import { histogram } from "./histogram.js";
import { LIMITS, evidence, rateInWords, sentence, summary, timeSpan, wordOf } from "./words.js";

const SIDE = 420; // pixels of a picture in the report, at most
const FLOATS = ["score", "p_value", "face_confidence", "start_s", "end_s"];
const EXTRA = ["false_alarm_rate", "sha256", "provenance", "provenance_summary"];

export function csv(pictures, facts, rate) {
  const rows = decided(pictures, rate);
  const channels = facts.bundle.channels.map((channel) => channel.name);
  const fields = Object.keys(rows[0]?.row ?? {}).filter((name) => name !== "evidence" && name !== "category");
  const lines = [[...fields, ...channels.map((name) => `evidence_${name}`), ...EXTRA]];
  for (const { row, picture } of rows) {
    lines.push([
      ...fields.map((name) => cell(name, row[name])),
      ...channels.map((name) => cell("p_value", row.evidence[name]?.p_value)),
      rate, picture.sha256 ?? "", picture.provenance?.says ?? "", picture.provenance?.summary ?? "",
    ]);
  }
  return lines.map((line) => line.map(quoted).join(",") + "\n").join("");
}

function cell(name, value) {
  if (value === null || value === undefined) return "";
  if (FLOATS.includes(name) && Number.isInteger(value)) return value.toFixed(1); // as Python writes it
  return name === "box" ? value.map((side) => side.toFixed(1)).join(" ") : String(value);
}

function quoted(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function json(pictures, facts, rate, reference) {
  return JSON.stringify({
    cameraborn: facts.bundle.cameraborn, bundle: facts.bundle.name, false_alarm_rate: rate, case: reference,
    exported: new Date().toISOString(), limits: LIMITS,
    pictures: pictures.map((picture) => ({
      name: picture.name, sha256: picture.sha256 ?? null,
      rows: picture.rows.map((row) => decidedRow(row, rate)), provenance: picture.provenance ?? null,
    })),
  }, null, 2) + "\n";
}

function decided(pictures, rate) {
  return pictures.flatMap((picture) => picture.rows.map((row) => ({ picture, row: decidedRow(row, rate) })));
}

function decidedRow(row, rate) {
  return { ...row, flagged: row.p_value === null ? null : row.p_value <= rate, verdict: wordOf(row, rate) };
}

/** A page of its own: it needs no server, no script and no other file. */
export async function report(pictures, facts, rate, reference) {
  const rows = pictures.flatMap((picture) => picture.rows);
  const sections = [];
  for (const picture of pictures) sections.push(await section(picture, facts, rate));
  const { bundle } = facts;
  const known = [
    ["Case", reference || "not given"], ["Made", new Date().toISOString()], ["Software", `cameraborn ${bundle.cameraborn}`],
    ["Detector", bundle.name], ["Calibrated on", `${bundle.calibration_photographs} held-out photographs`],
    ["False-alarm rate", rateInWords(rate)], ["Result", summary(rows, rate)],
  ].map(([name, value]) => `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td></tr>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>cameraborn report</title>
<style>body{font:15px/1.45 sans-serif;max-width:900px;margin:24px auto;padding:0 16px;color:#18222c;background:#fff}
section{display:flex;flex-wrap:wrap;gap:16px;border-top:1px solid #ccc;padding:12px 0;break-inside:avoid}section>div{flex:1 1 320px;min-width:0}
h1{font-size:1.5rem}h2{font-size:1.15rem}h3{font-size:1rem;margin:0;overflow-wrap:anywhere}img{max-width:100%;height:auto;align-self:flex-start;object-fit:contain}
th{text-align:left;vertical-align:top;padding-right:16px}.flagged .verdict{color:#a53408}small{overflow-wrap:anywhere}p{margin:4px 0}figure{max-width:460px;margin:6px 0}figcaption{font-size:.85em}
.bar{fill:#a9b8c5}.tail{fill:#17577f}.flagged .tail{fill:#b23a0a}.mark{stroke:#18222c;stroke-width:3}
@page{margin:12mm}@media print{body{font-size:11px;max-width:none;margin:0;padding:0}ul{margin:0;padding-left:16px}h1,h2{margin:4px 0;font-size:14px}
table{border-spacing:0}td,th{padding-block:0}p{margin:2px 0}section{padding:6px 0;gap:8px 16px}section>div{flex-basis:0}
section>img{max-height:88mm}section>img:first-child{max-width:36%;max-height:64mm}}</style></head>
<body><main><h1>Was this face born in a camera?</h1><table>${known.join("")}</table>
<h2>What this cannot tell</h2><ul>${LIMITS.map((text) => `<li>${escaped(text)}</li>`).join("")}</ul>
<h2>Pictures</h2>${sections.join("\n")}</main></body></html>
`;
}

async function section(picture, facts, rate) {
  const shown = await thumbnail(picture, rate);
  const faces = picture.rows.map((row) => {
    const word = wordOf(row, rate);
    const said = evidence(row, facts.bundle.channels).map((one) => `${one.name} ${one.role}: ${one.says}`);
    const name = row.face === null ? "" : `Face ${row.face}: `;
    return `<div class="${word === "flagged" ? "flagged" : ""}">` +
      `<p class="verdict"><b>${escaped(name + word)}</b>. ${escaped(sentence(row))}</p>` +
      (histogram(row, facts.calibration)?.outerHTML ?? "") +
      said.map((text) => `<p><small>${escaped(text)}</small></p>`).join("") +
      (row.start_s === null ? "" : `<p><small>${timeSpan(row)}</small></p>`) +
      (row.notes ? `<p><small>${escaped(row.notes)}</small></p>` : "") + "</div>";
  });
  const digest = picture.sha256 ? `<p><small>SHA-256 ${picture.sha256}</small></p>` : "";
  const origin = picture.provenance ? `<p><small>Metadata, no part of the verdict: ${escaped(picture.provenance.summary)}</small></p>` : "";
  const drawings = [];
  for (const blob of picture.explanations.values()) drawings.push(`<img alt="Explanation" src="${await asData(blob)}">`);
  const image = shown ? `<img alt="${escaped(picture.name)}" src="${shown}">` : "";
  return `<section>${image}<div><h3>${escaped(picture.name)}</h3>${faces.join("")}${origin}${digest}</div>${drawings.join("")}</section>`;
}

async function thumbnail(picture, rate) {
  if (!picture.url) return null; // its page was loaded anew
  const image = new Image();
  image.src = await picture.upright;
  try {
    await image.decode();
  } catch {
    return null; // a video, or a format that this browser does not know
  }
  const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0, canvas.width, canvas.height);
  for (const row of picture.rows.filter((one) => one.box)) {
    const [x0, y0, x1, y1] = row.box, by = canvas.width / row.width;
    brush.lineWidth = 3;
    brush.strokeStyle = wordOf(row, rate) === "flagged" ? "#e0531a" : "#ffffff";
    brush.strokeRect(x0 * by, y0 * by, (x1 - x0) * by, (y1 - y0) * by);
    if (row.face !== null) number(brush, String(row.face), x0 * by + 5, y0 * by + 17);
  }
  return canvas.toDataURL("image/jpeg", 0.85);
}

function number(brush, text, x, y) {
  brush.font = "bold 15px sans-serif";
  brush.lineWidth = 4;
  brush.strokeStyle = "#000000";
  brush.strokeText(text, x, y);
  brush.fillStyle = "#ffffff";
  brush.fillText(text, x, y);
}

function asData(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

function escaped(text) {
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return String(text).replace(/[&<>"']/g, (sign) => signs[sign]);
}

/** Hands a file to whoever looks at the page. */
export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
