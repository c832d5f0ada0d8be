// Where a score lies among held-out photographs of its category.

import { drawn } from "./dom.js";
import { unusual } from "./words.js";

const WIDTH = 460, HEIGHT = 110, FLOOR = 92;

export function histogram(row, calibration) {
  const category = calibration.categories[row.category];
  if (category === undefined || row.score === null) return null;
  const { edges } = calibration, most = Math.max(...category.counts);
  const [low, high] = [Math.min(edges[0], row.score), Math.max(edges.at(-1), row.score)];
  const x = (score) => 6 + (score - low) / (high - low || 1) * (WIDTH - 12);
  const bars = category.counts.map((count, i) => drawn("rect", {
    class: edges[i] >= row.score ? "tail" : "bar",
    x: x(edges[i]), width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1),
    y: FLOOR - count / most * 72, height: count / most * 72,
  }));
  const at = x(row.score), end = at > WIDTH / 2;
  return drawn("svg", {
    class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `Scores of ${category.photographs} held-out photographs of the same category (${category.name}), ` +
      `and this face's score, ${row.score.toFixed(2)}: ${unusual(row.p_value)}`,
  },
  ...bars,
  drawn("line", { class: "mark", x1: at, x2: at, y1: 4, y2: FLOOR }),
  drawn("text", { x: end ? at - 5 : at + 5, y: 13, "text-anchor": end ? "end" : "start" }, "this face"),
  drawn("text", { x: 6, y: HEIGHT - 4 }, `${category.photographs} comparable photographs`),
  drawn("text", { x: WIDTH - 6, y: HEIGHT - 4, "text-anchor": "end" }, "less like a photograph →"));
}
