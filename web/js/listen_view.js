// The player's face: buttons, waveforms, section marks, words and keys. Knows nothing of ComfyUI's graph.
import { clock } from "./clock.js";
import { Levels } from "./levels.js";
import { element } from "./panel.js";
import { Strip } from "./strip.js";
import { decode, leave, Player, takeOver } from "./player.js";
import { peaksOf, waveform } from "./waveform.js";
import { t } from "./words.js";

const STEP = 5; // seconds of an arrow key
const LEAP = 30; // of a page key

export class ListenView {
  #host;
  #takes = [];
  #player = null;
  #levels = null;
  #song; // what is played, for takeOver
  #loading = 0; // counts orders to load, so that a late one is dropped
  #frame = 0;
  #parts = {};
  #dragged; // where the pointer holds the playhead, in seconds

  // host: { url(file), kept(), keep(levels), toMix(levels) }: the address of a file that the server named, the
  // levels that the workflow keeps, and where they go.
  constructor(host) {
    this.#host = host;
    this.element = element("div", { class: "levo-listen" });
    // A shadow root keeps our style in and the page's out.
    this.root = this.element.attachShadow({ mode: "open" });
    this.#say(t("Run the workflow to hear the song."));
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  // takes: [{ tracks: { name: file }, loudness: { name: LUFS }, sections: [{ tag, start, words }] }], as
  // nodes/listen.py makes them; older runs in ComfyUI's history know no loudness and no words.
  async show(takes) {
    if (!takes?.length || JSON.stringify(takes) === JSON.stringify(this.#takes)) return;
    this.#takes = takes;
    await this.#load(takes[0]);
  }

  get shown() {
    return this.#takes.length > 0;
  }

  // The view is gone; what it played may be shown by another at once.
  dispose() {
    const player = this.#giveUp();
    if (player) leave(this.#song, player);
  }

  #giveUp() {
    const player = this.#player;
    this.#loading++;
    cancelAnimationFrame(this.#frame);
    this.#player = null;
    return player;
  }

  async #load(take) {
    this.#giveUp()?.dispose();
    const order = this.#loading;
    const names = Object.keys(take.tracks);
    this.#song = JSON.stringify(take.tracks);
    const found = takeOver(this.#song);
    if (!found) this.#say(t("Loading…"));
    let player = found?.player;
    try {
      player ??= new Player(await this.#decoded(take.tracks));
    } catch {
      if (order === this.#loading) this.#say(t("The sound is gone; run the workflow again."));
      return;
    }
    if (order !== this.#loading) return;
    const levels = new Levels(names, this.#host.kept());
    player.factorOf = (name) => levels.factor(name);
    player.changed = () => this.#update();
    this.#levels = levels;
    this.#player = player;
    this.#build(take);
    if (found?.playing) player.play();
  }

  // Map of a track's name to its sound.
  async #decoded(tracks) {
    const sounds = Object.entries(tracks).map(async ([name, file]) => [name, await decode(this.#host.url(file))]);
    return new Map(await Promise.all(sounds));
  }

  // ---------------------------------------------------------------- building

  #say(text) {
    this.#fill(element("p", { role: "status" }, text));
  }

  #fill(...children) {
    const style = element("link", { rel: "stylesheet", href: new URL("./listen.css", import.meta.url) });
    this.root.replaceChildren(style, ...children);
  }

  #build(take) {
    const play = element("button", { class: "play" });
    play.onclick = () => this.#playOrPause();
    const time = element("span", { class: "time" });
    const sections = this.#sections(take.sections);
    const strips = this.#levels.names.map((name) => this.#strip(name, take.loudness?.[name]));
    const lanes = this.#lanes(strips);
    const stems = this.#stems();
    const words = element("div", { class: "words" });
    this.#parts = { play, time, sections, lanes, strips, stems, words, playhead: lanes.lastChild };
    const toMix = element("button", { title: t("Set LeVo Mix to what is heard here") }, t("To LeVo Mix"));
    toMix.onclick = () => this.#host.toMix(this.#levels);
    const bar = element("div", { class: "bar" }, play, time, ...this.#choice(take), stems, toMix);
    const marks = element("div", { class: "sections" }, ...sections.map((section) => section.button));
    const left = element("div", { class: "heads" }, ...strips.map((strip) => strip.head));
    const group = element("div", { class: "player", role: "group", "aria-label": t("Player") });
    group.append(bar, ...(sections.length ? [marks] : []), left, lanes);
    if (sections.some((section) => section.words)) group.append(words);
    this.#fill(group);
    this.#update();
  }

  #choice(take) {
    if (this.#takes.length < 2) return [];
    const options = this.#takes.map((_, at) => element("option", { value: at }, t("Take {n}", { n: at + 1 })));
    const select = element("select", { "aria-label": t("Take") }, ...options);
    select.value = this.#takes.indexOf(take);
    select.onchange = () => this.#load(this.#takes[select.value]);
    return [select];
  }

  #sections(marks) {
    const duration = this.#player.duration;
    return marks.map(({ tag, start, words }, at) => {
      const end = marks[at + 1]?.start ?? duration;
      const title = t("{section}, about {time}", { section: t(tag), time: clock(start) });
      const button = element("button", { class: tag.split("-")[0], title, "aria-label": title }, t(tag));
      button.style.left = `${(100 * start) / duration}%`;
      button.style.width = `${(100 * (end - start)) / duration}%`;
      button.onclick = () => this.#player.seek(start);
      return { button, tag, start, end, words };
    });
  }

  #strip(name, loudness) {
    return new Strip(name, this.#levels, loudness, (settled) => {
      this.#player.level();
      this.#update();
      if (settled) this.#host.keep(this.#levels.kept);
    });
  }

  // The button that plays the stems in place of the mix that holds them, so that they can be mixed.
  #stems() {
    if (!this.#levels.hasStems) return null;
    const title = t("Play the stems in place of the mix, which holds them, so that the faders mix them");
    const stems = element("button", { title }, t("Stems"));
    stems.onclick = () => {
      this.#levels.stems = !this.#levels.stems;
      this.#player.level();
      this.#update();
      this.#host.keep(this.#levels.kept);
    };
    return stems;
  }

  // The waveforms, over which one slider lies: where in the song we are.
  #lanes(strips) {
    const { tracks, duration } = this.#player;
    const peaks = [...tracks.values()].map(peaksOf);
    const loudest = Math.max(...peaks.flatMap((found) => [...found]));
    const drawn = [...tracks.values()].map((buffer, at) =>
      element("div", { class: "lane" }, waveform(peaks[at], loudest, buffer.duration / duration), ...strips[at].notes));
    const playhead = element("div", { class: "playhead" });
    const lanes = element("div", { class: "lanes", role: "slider", tabindex: 0, "aria-label": t("Position"),
      "aria-valuemin": 0, "aria-valuemax": Math.floor(duration) }, ...drawn, playhead);
    lanes.onpointerdown = (event) => event.button === 0 && this.#drag(lanes, event);
    return lanes;
  }

  // ---------------------------------------------------------------- what people do

  #playOrPause() {
    if (this.#player.playing) this.#player.pause();
    else this.#player.play();
  }

  // The song goes on while the pointer moves, and jumps when it is let go.
  #drag(lanes, down) {
    const { duration } = this.#player;
    const place = (event) => {
      const box = lanes.getBoundingClientRect(); // as it is on the screen, at any zoom
      return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * duration;
    };
    this.#dragged = place(down);
    lanes.setPointerCapture(down.pointerId);
    lanes.onpointermove = (event) => {
      this.#dragged = place(event);
      this.#tick();
    };
    lanes.onpointerup = lanes.onpointercancel = (event) => {
      lanes.onpointermove = lanes.onpointerup = lanes.onpointercancel = null;
      this.#dragged = undefined;
      this.#player?.seek(place(event));
    };
    this.#tick();
  }

  #key(event) {
    if (!this.#player || event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.composedPath()[0];
    const itsOwn = target.tagName === "SELECT" || target.type === "range"; // the keys that would seek
    const { position, duration } = this.#player;
    const places = { ArrowLeft: position - STEP, ArrowRight: position + STEP, PageDown: position - LEAP,
      PageUp: position + LEAP, Home: 0, End: duration };
    if (event.key === " ") {
      event.stopPropagation(); // the canvas would take it for panning
      if (target.tagName === "BUTTON" || target.tagName === "SELECT") return; // which it presses itself
      this.#playOrPause();
    } else if (event.key in places) {
      event.stopPropagation();
      if (itsOwn) return;
      this.#player.seek(places[event.key]);
    } else return;
    event.preventDefault();
  }

  // ---------------------------------------------------------------- what they see

  #update() {
    if (!this.#player) return;
    const { play, strips, lanes, stems } = this.#parts;
    play.textContent = this.#player.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", this.#player.playing ? t("Pause") : t("Play"));
    strips.forEach((strip, at) => {
      strip.show();
      lanes.children[at].classList.toggle("silent", !this.#levels.factor(strip.name));
    });
    stems?.setAttribute("aria-pressed", this.#levels.stems);
    this.#tick();
  }

  // Frames are asked for only while something moves.
  #tick() {
    cancelAnimationFrame(this.#frame);
    if (!this.#player) return;
    const { time, sections, lanes, words, playhead } = this.#parts;
    const { playing, duration } = this.#player;
    const position = this.#dragged ?? this.#player.position;
    playhead.style.left = `${(100 * position) / duration}%`;
    const now = sections.find(({ start, end }) => position >= start && position < end);
    const shown = `${clock(position)} / ${clock(duration)}`;
    if (time.textContent !== shown) {
      time.textContent = shown;
      lanes.setAttribute("aria-valuenow", Math.floor(position));
      lanes.setAttribute("aria-valuetext", now ? `${shown}, ${t(now.tag)}` : shown);
    }
    const line = now?.words || (now ? "\u266a" : "");
    if (words.textContent !== line) words.textContent = words.title = line;
    for (const section of sections) section.button.classList.toggle("now", section === now);
    if (playing) this.#frame = requestAnimationFrame(() => this.#tick());
  }
}
