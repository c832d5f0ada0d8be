// Sends pictures and videos to be judged: few of them one by one, many as jobs of the server. Jobs go on while this page
// is loaded anew: their ids are in the session's storage, which ends with the tab.

import { Refused, cancelJob, deleteJob, eventsOf, pause, sendJob, sendPicture } from "./api.js";

const FEW = 20, AT_A_TIME = 3, JOBS_AT_A_TIME = 2;
const FORM = 8192; // bytes that a form takes around a file, with its name
const SHARE = 1 / 4; // of the bytes that the server takes for jobs, in one of them
const STORAGE = "cameraborn-jobs", TRIES = 30, PAUSE = 2; // seconds
const STOPPED = "Not judged, because you stopped before its turn.";
const LOST = "Not judged, because the server ended before its turn: choose it again.";

/**
 * `finished(picture)` is called with each picture that has its rows, `changed()` when more or fewer are left, `locked()`
 * when the server wants a token, and `failed(error)` when a job cannot be cancelled.
 */
export class Judge {
  #facts = null;
  #given = []; // that nobody has looked at
  #waiting = []; // for their turn, one by one
  #working = 0;
  #batches = []; // of jobs that are not sent
  #sending = 0;
  #waits = ""; // what sending waits for
  #jobs = [];
  #numbered = 0;
  #stopping = new AbortController();
  #clearing = new AbortController();

  constructor({ finished, changed, locked, failed }) {
    this.tell = { finished, changed, locked, failed };
  }

  /** How many pictures have no rows yet. */
  get left() {
    return this.unsent + this.#jobs.reduce((sum, job) => sum + job.left, 0);
  }

  /** How many of these would be lost with this page. */
  get unsent() {
    const batched = this.#batches.reduce((sum, batch) => sum + batch.length, 0);
    return this.#given.length + this.#waiting.length + this.#working + batched + this.#sending;
  }

  /** What is waited for, in a line; empty while pictures are judged. */
  get waits() {
    return this.#waits;
  }

  /** The server answers: what it judges with is known. */
  ready(facts) {
    this.#facts = facts;
    this.#remember();
    for (const job of this.#jobs) if (job.left && !job.followed) this.#follow(job);
    this.#work();
  }

  take(files) {
    for (const one of files) this.#given.push({ ...one, number: (this.#numbered += 1) });
    this.#work();
  }

  /** Ends what is under way; what was not judged says so. */
  stop() {
    const dropped = [...this.#given.splice(0), ...this.#waiting.splice(0), ...this.#batches.splice(0).flat()];
    this.#stopping.abort();
    this.#stopping = new AbortController();
    for (const one of dropped) this.#finish(one, { rows: [this.#refused(one.name, STOPPED)] });
    for (const job of this.#jobs.filter((one) => one.left)) cancelJob(job.id).catch(this.tell.failed);
    this.tell.changed();
  }

  /** Forgets everything, here and on the server. */
  clear() {
    for (const waiting of [this.#given, this.#waiting, this.#batches]) waiting.length = 0;
    this.#stopping.abort();
    this.#clearing.abort();
    [this.#stopping, this.#clearing] = [new AbortController(), new AbortController()];
    for (const job of this.#jobs.splice(0)) deleteJob(job.id).catch(() => {}); // else it expires
    sessionStorage.removeItem(STORAGE);
    this.tell.changed();
  }

  #work() {
    if (this.#facts) {
      this.#sort();
      while (this.#waiting.length && this.#working < AT_A_TIME) this.#judge(this.#waiting.shift());
      while (this.#batches.length && !this.#sending && this.#running < JOBS_AT_A_TIME) this.#send(this.#batches.shift());
    }
    this.tell.changed();
  }

  get #running() {
    return this.#jobs.filter((job) => job.left).length;
  }

  /** One by one, or as jobs. */
  #sort() {
    const { limits } = this.#facts.bundle, given = this.#given.splice(0);
    const few = this.#waiting.length + given.length <= FEW && bytesOf(given) + FORM <= limits.max_bytes;
    if (few) this.#waiting.push(...given);
    else this.#batches.push(...batched(given, limits.max_job_files, limits.max_job_bytes * SHARE));
  }

  async #judge(one) {
    const { signal } = this.#stopping, cleared = this.#clearing.signal;
    this.#working += 1;
    try {
      const rows = await (await sendPicture("/v1/score?category=true", one, signal)).json();
      const isVideo = rows[0].start_s !== null;
      const [provenance] = isVideo ? [null] : await (await sendPicture("/v1/provenance", one, signal)).json();
      const sha256 = await digest(one.file);
      if (!cleared.aborted) this.#finish(one, { rows, provenance, sha256 });
    } catch (error) {
      if (!cleared.aborted) await this.#failed([one], error, () => this.#waiting.unshift(one));
    } finally {
      this.#working -= 1;
      this.#work();
    }
  }

  async #send(batch) {
    const { signal } = this.#stopping, cleared = this.#clearing.signal;
    this.#sending = batch.length;
    this.#wait(`Sending ${batch.length} ${batch.length === 1 ? "file" : "files"}.`);
    const busy = (detail) => this.#wait(`The server takes no more now: ${detail}. This page goes on trying until you stop it.`);
    try {
      const id = await sendJob("/v1/jobs?category=true&provenance=true", batch, signal, busy);
      if (cleared.aborted) deleteJob(id).catch(() => {});
      else this.#begin(id, batch);
    } catch (error) {
      if (!cleared.aborted) await this.#failed(batch, error, () => this.#batches.unshift(batch));
    } finally {
      this.#sending = 0;
      this.#waits = "";
      this.#work();
    }
  }

  #wait(said) {
    this.#waits = said;
    this.tell.changed();
  }

  #begin(id, batch) {
    const job = jobOf({ id, numbers: batch.map((one) => one.number) });
    for (const one of batch) job.files.set(one.number, one);
    this.#jobs.push(job);
    sessionStorage.setItem(STORAGE, JSON.stringify(this.#jobs.map(({ id, numbers }) => ({ id, numbers }))));
    this.#follow(job);
  }

  /** Jobs from before the page was loaded anew. */
  #remember() {
    if (this.#jobs.length) return;
    for (const kept of JSON.parse(sessionStorage.getItem(STORAGE) ?? "[]")) {
      this.#jobs.push(jobOf(kept));
      this.#numbered = Math.max(this.#numbered, ...kept.numbers);
    }
  }

  /** Takes a job's results until it has ended, however often the connection is cut. */
  async #follow(job) {
    const { signal } = this.#clearing;
    job.followed = true;
    for (let tries = 0; job.left; tries += 1) {
      try {
        for await (const { kind, number, data } of eventsOf(job.id, job.last, signal)) {
          tries = 0;
          if (kind === "picture") await this.#settle(job, number, data);
          else this.#lose(job, LOST); // nothing more will come
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401) {
          job.followed = false;
          this.#lock();
          return;
        }
        if (error.status === 404 || tries >= TRIES) this.#lose(job, error.message);
      }
      if (job.left) await pause(PAUSE, signal).catch(() => {});
      if (signal.aborted) return;
    }
    this.#work();
  }

  async #settle(job, number, { picture, name, state, rows, problem, provenance }) {
    const one = job.files.get(job.numbers[picture]) ?? { number: job.numbers[picture], name, file: null };
    const said = { refused: problem?.detail, cancelled: STOPPED, lost: LOST }[state];
    const sha256 = one.file && (await digest(one.file));
    job.last = number;
    if (this.#clearing.signal.aborted || !job.unknown.delete(one.number)) return;
    this.#finish(one, { rows: said ? [this.#refused(name, said)] : rows, provenance, sha256 });
    this.tell.changed();
  }

  /** What is left of a job has no rows. */
  #lose(job, said) {
    for (const number of job.unknown) {
      const one = job.files.get(number) ?? { number, name: `picture ${number}`, file: null };
      this.#finish(one, { rows: [this.#refused(one.name, said)] });
    }
    job.unknown.clear();
  }

  async #failed(some, error, keep) {
    const { signal } = this.#clearing;
    if (error.status === 401) {
      keep();
      this.#lock();
      return;
    }
    const said = error.name === "AbortError" ? STOPPED
      : error instanceof Refused ? error.message : `The file could not be read: ${error.message}`;
    for (const one of some) {
      const sha256 = error instanceof Refused ? await digest(one.file).catch(() => null) : null;
      if (signal.aborted) return;
      this.#finish(one, { rows: [this.#refused(one.name, said)], sha256 });
    }
  }

  #lock() {
    this.#facts = null;
    this.tell.locked();
  }

  #finish({ number, name, file }, found) {
    this.tell.finished({ number, name, file, provenance: null, sha256: null, explanations: new Map(), ...found });
  }

  /** A row in the form of the others for what has none. */
  #refused(name, said) {
    return {
      path: name, face: null, box: null, width: null, height: null, score: null, p_value: null, flagged: null,
      scope: "unreadable", error: said, bundle: this.#facts?.bundle.name ?? "", evidence: {}, decided_by: null,
      face_confidence: null, notes: "", start_s: null, end_s: null, frames: null, verdict: "unreadable", needed_px: null,
    };
  }
}

/** A job of pictures with these numbers; `last` is the last event that has come. */
function jobOf({ id, numbers }) {
  const unknown = new Set(numbers);
  return { id, numbers, unknown, files: new Map(), last: 0, followed: false, get left() { return unknown.size; } };
}

function bytesOf(files) {
  return files.reduce((sum, { file }) => sum + file.size, 0);
}

/** Parts of a list, each of at most so many files and bytes, or of one file. */
function batched(files, most, bytes) {
  const batches = [];
  for (const one of files) {
    const last = batches.at(-1);
    if (last && last.length < most && bytesOf(last) + one.file.size <= bytes) last.push(one);
    else batches.push([one]);
  }
  return batches;
}

async function digest(file) {
  if (!globalThis.crypto?.subtle) return null; // a browser has it on secure addresses alone
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
