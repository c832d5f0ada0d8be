// Requests to the server: one picture at a time, with the token that was entered, and again when the server is busy.

const TRIES = 6;
let token = "";

export function useToken(text) {
  token = text.trim();
}

/** Why the server did not answer as hoped: `status`, and a line for people. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function getJson(path) {
  return (await asked(path, {})).json();
}

/** The rows of a picture: `/v1/score` and `/v1/provenance`. */
export async function sendPicture(path, file, name, signal) {
  const body = new FormData();
  body.append("file", file, name);
  return asked(path, { method: "POST", body, signal });
}

async function asked(path, options) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (let tries = 1; ; tries += 1) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, "The server cannot be reached: see whether it runs, and try again.");
    }
    if (answer.ok) return answer;
    const busy = answer.status === 429 || answer.status === 503;
    if (!busy || tries === TRIES) throw new Refused(answer.status, await reason(answer));
    await pause(Number(answer.headers.get("Retry-After")) || 1, options.signal);
  }
}

async function reason(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `The server answered with status ${answer.status}.`;
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    });
  });
}
