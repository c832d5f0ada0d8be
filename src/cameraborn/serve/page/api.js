// Requests to the server, with the token that was entered, and again when the server is busy.

const TRIES = 6, LONGEST = 30; // seconds between two tries, as there can be room before the server thinks
let token = "";

export function useToken(text) {
  token = text.trim();
}

/** Why the server did not answer as hoped: `status` (0 if it cannot be reached), and a line for people. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function getJson(path) {
  return (await asked(path, {})).json();
}

/** The answer to one picture or video: `/v1/score`, `/v1/provenance` and `/v1/explain`. */
export async function sendPicture(path, { file, name }, signal) {
  return asked(path, { method: "POST", body: form([{ file, name }]), signal });
}

/** The id of a job for these files; it waits as long as the server is busy, and calls `waits` with the reason. */
export async function sendJob(path, files, signal, waits) {
  const answer = await asked(path, { method: "POST", body: form(files), signal }, Infinity, waits);
  return (await answer.json()).id;
}

export async function cancelJob(id) {
  await asked(`/v1/jobs/${id}/cancel`, { method: "POST" });
}

export async function deleteJob(id) {
  await asked(`/v1/jobs/${id}`, { method: "DELETE" });
}

/** Server-sent events of a job behind the one of a number: `{ kind, number, data }`. An EventSource could send no token. */
export async function* eventsOf(id, number, signal) {
  const headers = { Accept: "text/event-stream", "Last-Event-ID": String(number) };
  const answer = await asked(`/v1/jobs/${id}/rows`, { headers, signal });
  if (answer.status === 204) {
    yield { kind: "end" };
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.data) yield { kind: fields.event, number: Number(fields.id), data: JSON.parse(fields.data) };
    }
  }
}

export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** As FormData makes it, but for names: those it would send with %22 for a quote, which could be part of the name. */
function form(files) {
  const boundary = `cameraborn-${Array.from(crypto.getRandomValues(new Uint8Array(8))).join("-")}`;
  const parts = files.flatMap(({ file, name }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted(name)}"\r\n\r\n`, file, "\r\n",
  ]);
  return new Blob([...parts, `--${boundary}--\r\n`], { type: `multipart/form-data; boundary=${boundary}` });
}

function quoted(name) {
  return name.replace(/["\\]/g, "\\$&").replace(/[\r\n]/g, encodeURIComponent); // a header is one line
}

async function asked(path, options, most = TRIES, waits = () => {}) {
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  for (let tries = 1; ; tries += 1) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      options.signal?.throwIfAborted();
      throw new Refused(0, "The server cannot be reached: see whether it runs, and try again.");
    }
    if (answer.ok) return answer;
    const { kind, detail } = await reason(answer);
    const busy = answer.status === 429 || answer.status === 503;
    if (!busy || kind === "out-of-time" || tries >= most) throw new Refused(answer.status, detail);
    waits(detail);
    await pause(Math.min(Number(answer.headers.get("Retry-After")) || 1, LONGEST), options.signal);
  }
}

async function reason(answer) {
  try {
    return await answer.json();
  } catch {
    return { detail: `The server answered with status ${answer.status}.` };
  }
}
