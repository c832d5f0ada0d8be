// Pictures the right way up. Browsers turn JPEG, PNG and AVIF by what their metadata say, and WebP not; boxes are those of
// the upright picture.

const MOST = 2048; // pixels of a side that is turned
const HEAD = 12, ORIENTATION = 0x0112;
// What a canvas does for each orientation of EXIF, of a picture of w x h: the six numbers of `transform`.
const TURNS = {
  2: (w) => [-1, 0, 0, 1, w, 0], 3: (w, h) => [-1, 0, 0, -1, w, h], 4: (w, h) => [1, 0, 0, -1, 0, h],
  5: () => [0, 1, 1, 0, 0, 0], 6: (w, h) => [0, 1, -1, 0, h, 0], 7: (w, h) => [0, -1, -1, 0, h, w],
  8: (w) => [0, -1, 1, 0, 0, w],
};

/** An address of the picture as it is to be seen: its own, or that of a turned copy. */
export async function uprightUrl(file, url) {
  try {
    const turn = TURNS[await orientationOf(file)];
    return turn ? URL.createObjectURL(await turned(file, turn)) : url;
  } catch {
    return url; // broken: the browser says so, or shows what there is
  }
}

async function turned(file, turn) {
  const picture = await createImageBitmap(file, { imageOrientation: "none" });
  const { width, height } = picture, by = Math.min(1, MOST / Math.max(width, height));
  const canvas = document.createElement("canvas"), isAside = turn(1, 1)[0] === 0;
  [canvas.width, canvas.height] = (isAside ? [height, width] : [width, height]).map((side) => Math.max(1, Math.round(side * by)));
  const brush = canvas.getContext("2d");
  brush.scale(by, by);
  brush.transform(...turn(width, height));
  brush.drawImage(picture, 0, 0);
  picture.close();
  return new Promise((resolve) => { canvas.toBlob(resolve); });
}

/** What the EXIF of a WebP says, 1 to 8; 1 of any other file. */
async function orientationOf(file) {
  const head = await bytes(file, 0, HEAD);
  if (word(head, 0) !== "RIFF" || word(head, 8) !== "WEBP") return 1;
  for (let at = HEAD; at + 8 <= file.size;) {
    const chunk = await bytes(file, at, 8), size = chunk.getUint32(4, true);
    if (word(chunk, 0) === "EXIF") return tagOf(await bytes(file, at + 8, size));
    at += 8 + size + (size % 2);
  }
  return 1;
}

/** The orientation in the first directory of EXIF, which some begin with the mark that a JPEG has. */
function tagOf(whole) {
  const exif = word(whole, 0) === "Exif" ? new DataView(whole.buffer, 6) : whole;
  const isLittle = word(exif, 0).startsWith("II"), first = exif.getUint32(4, isLittle);
  for (let i = 0; i < exif.getUint16(first, isLittle); i += 1) {
    const entry = first + 2 + 12 * i;
    if (exif.getUint16(entry, isLittle) === ORIENTATION) return exif.getUint16(entry + 8, isLittle);
  }
  return 1;
}

async function bytes(file, at, count) {
  return new DataView(await file.slice(at, at + count).arrayBuffer());
}

function word(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}
