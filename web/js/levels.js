// How loud each track of a player is: gain in dB, muted or not, soloed or not. Knows no sound, page or graph.

export const SILENT = -60; // dB; as far down as this is silence, in LeVo Mix too
export const LOUDEST = 6;
const WHOLE = "mix"; // the track that holds the others

export class Levels {
  #kept = {}; // what people set: name -> { db, muted, soloed }, each only where it is not as at first

  // names: of the tracks. kept: what the getter below once gave; from a file, so it may be anything.
  constructor(names, kept) {
    this.names = names;
    for (const [name, { db, muted, soloed }] of Object.entries(kept ?? {}).filter(([, set]) => set instanceof Object)) {
      if (Number.isFinite(db)) this.#set(name, "db", Math.min(Math.max(db, SILENT), LOUDEST));
      if (typeof muted === "boolean") this.#set(name, "muted", muted);
      if (soloed === true) this.#set(name, "soloed", true);
    }
  }

  // What a workflow keeps; tracks that are not there now keep theirs.
  get kept() {
    return structuredClone(this.#kept);
  }

  db(name) {
    return this.#kept[name]?.db ?? 0;
  }

  muted(name) {
    return this.#kept[name]?.muted ?? this.mutedAtFirst(name);
  }

  soloed(name) {
    return this.#kept[name]?.soloed ?? false;
  }

  // The stems are in the mix already.
  mutedAtFirst(name) {
    return name !== WHOLE && this.names.includes(WHOLE);
  }

  // Solo beats mute.
  audible(name) {
    return this.names.some((other) => this.soloed(other)) ? this.soloed(name) : !this.muted(name);
  }

  // The track that holds the others.
  get whole() {
    return WHOLE;
  }

  // Gain of what is heard of a track, in dB and as a factor.
  heard(name) {
    return this.audible(name) ? this.db(name) : SILENT;
  }

  factor(name) {
    const db = this.heard(name);
    return db > SILENT ? 10 ** (db / 20) : 0;
  }

  turn(name, db) {
    this.#set(name, "db", db);
  }

  mute(name, muted = !this.muted(name)) {
    this.#set(name, "muted", muted);
  }

  solo(name) {
    this.#set(name, "soloed", !this.soloed(name));
  }

  // Whether there is a mix and something else to hear in its place, and whether that is heard.
  get hasStems() {
    return this.names.length > 1 && this.names.includes(WHOLE);
  }

  get stems() {
    return this.hasStems && this.names.every((name) => this.muted(name) === (name === WHOLE));
  }

  set stems(wanted) {
    for (const name of this.names) {
      this.mute(name, wanted === (name === WHOLE));
      this.#set(name, "soloed", false);
    }
  }

  #set(name, what, value) {
    const atFirst = { db: 0, muted: this.mutedAtFirst(name), soloed: false };
    const { [what]: _, ...others } = this.#kept[name] ?? {};
    const set = value === atFirst[what] ? others : { ...others, [what]: value };
    const { [name]: __, ...rest } = this.#kept;
    this.#kept = Object.keys(set).length ? { ...rest, [name]: set } : rest;
  }
}

// A gain as people read it.
export function decibels(db) {
  return db > SILENT ? `${db > 0 ? "+" : ""}${db.toFixed(1)} dB` : "-\u221e dB";
}
