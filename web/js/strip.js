// What a track of the player has of its own: mute, solo, a fader, its loudness. Knows no sound and no graph.
import { decibels, LOUDEST, SILENT } from "./levels.js";
import { element } from "./panel.js";
import { t } from "./words.js";

const STEP = 0.5; // dB of an arrow key
const NOTHING = -200; // LUFS that the server gives for silence

export class Strip {
  #levels;
  #parts;

  // loudness: in LUFS, if it is known. changed: called with whether that was the last of a movement.
  constructor(name, levels, loudness, changed) {
    this.name = name;
    this.#levels = levels;
    const track = { track: t(name) };
    const mute = element("button", { "aria-label": t("Mute {track}", track) }, "M");
    const solo = element("button", { "aria-label": t("Solo {track}", track), title: t("Solo") }, "S");
    mute.onclick = () => {
      levels.mute(name);
      changed(true);
    };
    solo.onclick = () => {
      levels.solo(name);
      changed(true);
    };
    const fader = this.#fader(changed);
    const gain = element("span", { class: "gain", "aria-hidden": "true" });
    const note = element("span", { class: "note" }, t("muted: it is in the mix already"));
    this.#parts = { mute, fader, gain, solo, note };
    this.head = element("div", {}, element("span", { class: "name" }, t(name)), mute, solo, fader, gain);
    this.notes = [note, loudnessOf(loudness)].filter(Boolean);
  }

  #fader(changed) {
    const label = t("Level of {track}", { track: t(this.name) });
    const fader = element("input", { type: "range", min: SILENT, max: LOUDEST, step: STEP, "aria-label": label,
      title: t("Double click, or the key 0, for 0 dB") });
    const turn = (db, settled) => {
      this.#levels.turn(this.name, db);
      changed(settled);
    };
    fader.oninput = () => turn(fader.valueAsNumber, false);
    fader.onchange = () => turn(fader.valueAsNumber, true);
    fader.ondblclick = () => turn(0, true);
    fader.onkeydown = (event) => {
      if (event.key !== "0" || event.ctrlKey || event.altKey || event.metaKey) return;
      event.stopPropagation();
      turn(0, true);
    };
    return fader;
  }

  // Shows the levels as they are now.
  show() {
    const { mute, fader, gain, solo, note } = this.#parts;
    const { name } = this, levels = this.#levels, db = levels.db(name);
    const because = levels.muted(name) && levels.mutedAtFirst(name) && levels.audible(levels.whole);
    mute.setAttribute("aria-pressed", levels.muted(name));
    mute.title = because ? t("Muted: it is in the mix already") : t("Mute");
    solo.setAttribute("aria-pressed", levels.soloed(name));
    fader.value = db;
    fader.style.setProperty("--level", (db - SILENT) / (LOUDEST - SILENT));
    fader.setAttribute("aria-valuetext", decibels(db));
    gain.textContent = decibels(db);
    note.hidden = !because;
  }
}

function loudnessOf(loudness) {
  if (!Number.isFinite(loudness)) return null;
  const text = loudness > NOTHING ? `${loudness.toFixed(1)} LUFS` : t("silent");
  return element("span", { class: "loudness" }, text);
}
