// Verdicts, rates and reasons in words. Nothing here touches the page.

const SCOPES = {
  "no-face": "No face was found, so there is nothing to judge.",
  "doubtful-face": "It is doubtful whether this is a human face, so it is not judged.",
  "too-small": "The face is too small to be judged.",
  "damaged": "Too much of the picture is damaged there, so a verdict could not be trusted.",
  "hdr": "The picture has a high dynamic range, and the detector knows no photographs of this kind.",
  "video": "The detector was not calibrated on videos, so it follows faces in them and does not judge.",
  "beyond-calibration": "The detector was not calibrated on pictures in this condition, so it does not judge.",
  "unreadable": "The file could not be read.",
};
const KINDS = {
  "binary classifier": "has learnt known generators",
  "density": "has learnt photographs alone",
  "pseudo-fake classifier": "has learnt photographs redrawn by autoencoders",
};

export const LIMITS = [
  "A flag is no proof. Retouching, filters, screenshots and unusual cameras can look unlike photographs as well.",
  "A face that is not flagged may still be generated: many generated faces look like photographs to this detector.",
  "A p-value is no probability that a picture is generated. It says how many comparable photographs look at least as unusual.",
  "The rate holds for photographs like those of the calibration. Yours may be of another kind.",
  "Metadata can be removed and forged. Their absence proves nothing, and no verdict depends on them.",
];

/** The verdict at a false-alarm rate, in a word. */
export function wordOf(row, rate) {
  if (row.scope === "unreadable") return "unreadable";
  if (row.p_value === null) return "not judged";
  return row.p_value <= rate ? "flagged" : "not flagged";
}

/** How unusual a p-value is among photographs. */
export function unusual(p) {
  if (p <= 0.1) return `as unusual as 1 photograph in ${Math.floor(1 / p + 1e-9).toLocaleString("en")}`;
  return `${Math.round(p * 100)} of 100 photographs look at least as unusual`;
}

/** What is said of a row: a sentence. */
export function sentence(row) {
  if (row.p_value !== null) {
    const said = unusual(row.p_value);
    return said[0].toUpperCase() + said.slice(1) + ".";
  }
  const reason = SCOPES[row.scope] ?? `Not judged: ${row.scope}.`;
  const needed = row.needed_px ? ` Its longer side would have to be at least ${row.needed_px} pixels.` : "";
  return row.error?.replace(`${row.path}: `, "") || reason + needed;
}

/** When a face is seen in a video, and in how many of the frames that were looked at. */
export function timeSpan(row) {
  if (row.start_s === null) return "";
  const frames = `${row.frames} ${row.frames === 1 ? "frame" : "frames"}`;
  return `${clock(row.start_s)} to ${clock(row.end_s)}, ${frames} looked at`;
}

function clock(seconds) {
  const whole = Math.floor(seconds / 60);
  return `${whole}:${(seconds - 60 * whole).toFixed(1).padStart(4, "0")}`;
}

/** What raised the score most, of a flagged face; of others nothing decided. The sum alone has the verdict's p-value. */
export function evidenceTitle(row, rate) {
  const isRaised = wordOf(row, rate) === "flagged" && row.decided_by;
  return isRaised ? `Evidence; what raised the score most: “${row.decided_by}”` : "Evidence";
}

/** What each channel of evidence says. */
export function evidence(row, channels) {
  return channels
    .filter((channel) => row.evidence[channel.name]?.p_value != null)
    .map((channel) => ({
      name: channel.name,
      about: KINDS[channel.kind] ?? channel.kind,
      says: unusual(row.evidence[channel.name].p_value),
      role: channel.in_score ? "(part of the score)" : "(beside the score)",
    }));
}

/** A rate in words: `5 %, 1 photograph in 20`. */
export function rateInWords(rate) {
  return `${Number((rate * 100).toPrecision(3))} %, 1 photograph in ${Number((1 / rate).toPrecision(3))}`;
}

/** The rates that can be chosen: round ones from the smallest that the calibration supports. */
export function ratesFrom(smallest) {
  const round = [];
  for (let power = -6; power < 0; power += 1) {
    for (const digits of [1, 1.5, 2, 3, 4, 5, 6, 8]) round.push(Number(`${digits}e${power}`));
  }
  return [smallest, ...round.filter((rate) => rate > smallest && rate <= 0.5)];
}

/** How many are flagged, and how many would be if all were photographs. */
export function summary(rows, rate) {
  const words = rows.map((row) => wordOf(row, rate));
  const count = (word) => words.filter((one) => one === word).length;
  const judged = count("flagged") + count("not flagged");
  const rest = rows.length - judged;
  if (!rows.length) return "";
  const expected = judged * rate;
  const shown = expected < 10 ? Number(expected.toPrecision(2)) : Math.round(expected);
  return `${count("flagged")} of ${judged} judged ${judged === 1 ? "face is" : "faces are"} flagged. ` +
    `If all were photographs, about ${shown} would be flagged by mistake.` +
    (rest ? ` ${rest} could not be judged.` : "");
}
