// Plays the tracks of a song in step, on one clock of WebAudio; knows nothing of the page or of ComfyUI.

const RATE = 48000;
const LEAD = 0.03; // seconds from the order to play until the first sample, so that all tracks begin together
const FADE = 0.01; // seconds in which a track changes its level, without a click
const MOMENT = 3000; // ms that a player is kept for

let heard = null; // the player that sounds: two songs at once please nobody
const left = new Map(); // what is played -> a player that is kept, and whether it played

// Decodes a file; throws if it is not there or is no sound.
export async function decode(url) {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${reply.status}`);
  // Offline, because a real context would ask for the sound card before anybody wants to hear anything.
  return new OfflineAudioContext(2, 1, RATE).decodeAudioData(await reply.arrayBuffer());
}

// Silences a player and keeps it for a moment: an undo makes all nodes anew, and the song goes on.
export function leave(key, player) {
  const { playing } = player;
  player.pause();
  takeOver(key)?.player.dispose();
  const timer = setTimeout(() => takeOver(key)?.player.dispose(), MOMENT);
  left.set(key, { player, playing, timer });
}

// The player of the same that was left just now, and whether it played; undefined if none was.
export function takeOver(key) {
  const found = left.get(key);
  clearTimeout(found?.timer);
  left.delete(key);
  return found;
}

export class Player {
  #context = null;
  #sources = []; // those that sound; WebAudio starts each only once
  #gains = new Map();
  #offset = 0; // seconds into the song where the sources began or will begin
  #began = 0; // the context's time at that moment
  #disposed = false;

  factorOf = () => 1; // what a track's samples are multiplied by, by its name
  changed = () => {}; // called when playing begins or ends

  // tracks: Map of name to AudioBuffer.
  constructor(tracks) {
    this.tracks = tracks;
    this.duration = Math.max(...[...tracks.values()].map((buffer) => buffer.duration));
  }

  get playing() {
    return this.#sources.length > 0;
  }

  get position() {
    const passed = this.playing ? Math.max(0, this.#context.currentTime - this.#began) : 0;
    return Math.min(this.#offset + passed, this.duration);
  }

  // Has what sounds follow new factors.
  level() {
    for (const [name, { gain }] of this.#gains)
      gain.setTargetAtTime(this.factorOf(name), this.#context.currentTime, FADE / 3);
  }

  async play() {
    this.#context ??= new AudioContext({ sampleRate: RATE });
    await this.#context.resume();
    if (this.playing || this.#disposed) return;
    if (heard !== this) heard?.pause();
    heard = this;
    this.#began = this.#context.currentTime + LEAD;
    for (const [name, buffer] of this.tracks) this.#start(name, buffer);
    this.changed();
  }

  pause() {
    this.#offset = this.position;
    this.#stop();
    this.changed();
  }

  async seek(seconds) {
    const wasPlaying = this.playing;
    this.#stop();
    this.#offset = Math.min(Math.max(seconds, 0), this.duration);
    if (wasPlaying) await this.play();
    else this.changed();
  }

  dispose() {
    this.#disposed = true;
    this.#stop();
    if (heard === this) heard = null;
    this.#context?.close();
    this.tracks.clear();
  }

  #start(name, buffer) {
    const gain = new GainNode(this.#context, { gain: this.factorOf(name) });
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(gain).connect(this.#context.destination);
    source.start(this.#began, this.#offset);
    if (buffer.duration === this.duration) source.onended = () => this.#end();
    this.#gains.set(name, gain);
    this.#sources.push(source);
  }

  #end() {
    this.#stop();
    this.#offset = 0;
    this.changed();
  }

  #stop() {
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    for (const gain of this.#gains.values()) gain.disconnect();
    this.#sources = [];
    this.#gains.clear();
  }
}
