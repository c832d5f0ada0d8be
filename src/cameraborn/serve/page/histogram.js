// Where a score lies among held-out photographs of its category.

import { drawn, element } from "./dom.js";
import { unusual } from "./words.js";

const WIDTH = 460, HEIGHT = 90;

export function histogram(row, calibration) {
  const category = calibration.categories[row.category];
  if (category === undefined || row.score === null) return null;
  const { edges } = calibration, most = Math.max(...category.counts);
  const [low, high] = [Math.min(edges[0], row.score), Math.max(edges.at(-1), row.score)];
  const x = (score) => 6 + (score - low) / (high - low || 1) * (WIDTH - 12);
  const bars = category.counts.map((count, i) => drawn("rect", {
    class: edges[i] >= row.score ? "tail" : "bar",
    x: x(edges[i]), width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1),
    y: HEIGHT - count / most * (HEIGHT - 8), height: count / most * (HEIGHT - 8),
  }));
  const at = x(row.score);
  return element("figure", { class: "histogram" },
    drawn("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": `Scores of ${category.photographs} held-out photographs of the same category (${category.name}), ` +
        `and this face's score, ${row.score.toFixed(2)}: ${unusual(row.p_value)}`,
    }, ...bars, drawn("line", { class: "mark", x1: at, x2: at, y1: 0, y2: HEIGHT })),
    element("figcaption", {}, `${category.photographs} comparable photographs (${category.name}), ` +
      "coloured where they look at least as unusual as this face, the line; to the right, less like a photograph."));
}
