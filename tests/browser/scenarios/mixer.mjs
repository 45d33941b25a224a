// The faders of LeVo Listen, what a workflow keeps of them, LeVo Mix, and the line of words below the waveforms.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { captureState, queuedInputs, runTo, saveAndReload, undoInGraph } from "../frontend.mjs";
import { button, fader, showPlayer } from "../player.mjs";

const PROMPT = JSON.parse(readFileSync(new URL("../../prompts/listen.json", import.meta.url), "utf8"));
const TRACKS = ["mix", "vocals", "accompaniment"];
const MIX = { class_type: "LeVoMix",
  inputs: { vocals: ["9", 1], accompaniment: ["9", 2], vocals_db: 0, accompaniment_db: 0, mix_db: 0 } };
const SHOW = { class_type: "PreviewAny", inputs: { source: ["20", 0] } };
const toast = (page, text) => page.locator(".p-toast, li[data-state=open]").filter({ hasText: text });

// A song of the tiny models in the player, and LeVo Mix beside it.
async function withSong(page, lyrics = PROMPT["4"].inputs.text, name = "a mix") {
  const prompt = { ...structuredClone(PROMPT), 20: MIX, 21: SHOW };
  prompt["4"].inputs.text = lyrics;
  await page.evaluate(([prompt, name]) => app.loadApiJson(prompt, name), [prompt, name]);
  await showPlayer(page);
  await captureState(page);
  const ended = runTo(page, "execution_success");
  await page.evaluate(() => app.queuePrompt(0, 1));
  await ended;
  await page.locator(".levo-listen .player").waitFor();
}

// Keeps the gains through which our tracks play.
function keepGains() {
  window.gains = [];
  window.GainNode = class extends GainNode {
    constructor(context, options) {
      super(context, options);
      window.gains = [...window.gains, this].slice(-3);
    }
  };
}

async function state(page) {
  await page.waitForTimeout(300);
  return page.evaluate(() => {
    const root = document.querySelector(".levo-listen").shadowRoot;
    const all = (selector) => [...root.querySelectorAll(selector)];
    const words = root.querySelector(".words");
    return {
      gains: (window.gains ?? []).map(({ gain }) => Math.round(20 * Math.log10(gain.value) * 10) / 10),
      levels: all("input").map((input) => input.getAttribute("aria-valuetext")),
      shown: all(".gain").map((gain) => gain.textContent),
      muted: all("[aria-label^=Mute]").map((mute) => mute.getAttribute("aria-pressed") === "true"),
      soloed: all("[aria-label^=Solo]").map((solo) => solo.getAttribute("aria-pressed") === "true"),
      notes: all(".note").map((note) => (note.checkVisibility() ? note.textContent : "")),
      titles: all("[aria-label^=Mute]").map((mute) => mute.title),
      loudness: all(".loudness").map((loudness) => loudness.textContent),
      words: words?.textContent,
      lines: words ? Math.round(words.clientHeight / parseFloat(getComputedStyle(words).lineHeight)) : 0,
      cut: words ? words.scrollWidth > words.clientWidth : false,
      elements: words?.childElementCount,
      place: app.graph._nodes.find(({ type }) => type === "LeVoListen").pos.map(Math.round),
    };
  });
}

async function press(page, track, key, times = 1) {
  for (let i = 0; i < times; i++) await fader(page, track).press(key);
}

// Drags a fader from one share of its width to another.
async function drag(page, track, from, to) {
  const box = await fader(page, track).boundingBox();
  const at = (share) => [box.x + share * box.width, box.y + box.height / 2];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to), { steps: 6 });
  await page.mouse.up();
}

export async function faders_are_heard_at_once_by_keys_and_pointer(page) {
  await page.evaluate(keepGains);
  await withSong(page);
  await button(page, "Play").click();
  assert.deepEqual((await state(page)).gains, [0, -Infinity, -Infinity]);
  await press(page, "mix", "ArrowLeft", 12);
  const lower = await state(page);
  assert.deepEqual([lower.gains[0], lower.levels[0], lower.shown[0]], [-6, "-6.0 dB", "-6.0 dB"]);
  await press(page, "mix", "End");
  assert.deepEqual([(await state(page)).gains[0], (await state(page)).shown[0]], [6, "+6.0 dB"]);
  await press(page, "mix", "Home");
  const nothing = await state(page);
  assert.deepEqual([nothing.gains[0], nothing.levels[0]], [-Infinity, "-\u221e dB"]);
  await press(page, "mix", "0");
  assert.equal((await state(page)).gains[0], 0);
  await button(page, "Solo vocals").click();
  await drag(page, "vocals", 0.9, 0.5);
  const dragged = await state(page);
  assert.ok(dragged.gains[1] < -20 && dragged.gains[1] > -40, `${dragged.gains}`);
  assert.deepEqual(dragged.place, nothing.place, "the node moved with its fader");
  await fader(page, "vocals").dblclick();
  assert.deepEqual((await state(page)).gains, [-Infinity, 0, -Infinity]);
  await button(page, "Pause").click();
}

export async function a_workflow_keeps_the_levels_through_undo_tabs_and_a_reload(page) {
  await withSong(page);
  await button(page, "Stems").click();
  await press(page, "vocals", "ArrowLeft", 3);
  await press(page, "accompaniment", "ArrowRight", 2);
  await button(page, "Solo accompaniment").click();
  const seen = async () => {
    await page.locator(".levo-listen .player").waitFor();
    const { levels, muted, soloed } = await state(page);
    return { levels, muted, soloed };
  };
  const set = await seen();
  assert.deepEqual(set, { levels: ["0.0 dB", "-1.5 dB", "+1.0 dB"], muted: [true, false, false],
    soloed: [false, false, true] });
  await undoInGraph(page);
  await showPlayer(page);
  assert.deepEqual(await seen(), { ...set, soloed: [false, false, false] });
  await button(page, "Solo accompaniment").click();
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.NewBlankWorkflow"));
  await page.waitForFunction(() => !document.querySelector(".levo-listen"));
  await page.evaluate(async () => {
    const song = app.extensionManager.workflow.openWorkflows.find(({ path }) => path.includes("a mix"));
    await app.loadGraphData(JSON.parse(JSON.stringify(song.activeState)), true, true, song);
  });
  await showPlayer(page);
  assert.deepEqual(await seen(), set);
  await saveAndReload(page);
  await showPlayer(page);
  assert.deepEqual(await seen(), set);
  const saved = await page.evaluate(() => app.graph.serialize().nodes.find(({ type }) => type === "LeVoListen"));
  assert.deepEqual(Object.keys(saved.properties.levo_levels).sort(), ["accompaniment", "mix", "vocals"]);
  const inputs = Object.keys(await queuedInputs(page, "LeVoListen"));
  assert.deepEqual(inputs.sort(), ["accompaniment", "mix", "tokens", "vocals"], "levels would run the node anew");
}

export async function a_song_goes_on_when_a_fader_is_undone_and_ends_with_its_node(page) {
  await page.evaluate(keepGains);
  await withSong(page);
  const position = page.getByRole("slider", { name: "Position" });
  await position.press("ArrowRight"); // 5 s
  await button(page, "Play").click();
  await press(page, "mix", "ArrowLeft", 4);
  assert.equal((await state(page)).gains[0], -2);
  await undoInGraph(page);
  await showPlayer(page);
  await button(page, "Pause").waitFor({ timeout: 3000 });
  assert.equal((await state(page)).gains[0], -1.5);
  assert.ok(Number(await position.getAttribute("aria-valuenow")) >= 5, "it began again");
  await page.evaluate(() => {
    window.last = gains.at(-1).context;
    app.graph.remove(app.graph._nodes.find(({ type }) => type === "LeVoListen"));
  });
  await page.waitForFunction(() => window.last.state === "closed", null, { timeout: 10000 });
}

export async function what_is_heard_goes_into_levo_mix(page) {
  await withSong(page);
  const gains = async () => {
    const { vocals_db, accompaniment_db, mix_db } = await queuedInputs(page, "LeVoMix");
    return [vocals_db, accompaniment_db, mix_db];
  };
  await button(page, "To LeVo Mix").click();
  await toast(page, "does not get the track mix").waitFor();
  assert.deepEqual(await gains(), [0, 0, 0]);
  await button(page, "Stems").click();
  await press(page, "vocals", "ArrowLeft", 5);
  await button(page, "Mute accompaniment").click();
  await button(page, "To LeVo Mix").click();
  await toast(page, "vocals -2.5 dB").waitFor();
  assert.deepEqual(await gains(), [-2.5, -60, 0]);
  await undoInGraph(page);
  assert.deepEqual(await gains(), [0, 0, 0], "one undo takes the levels back");
  await showPlayer(page);
  await page.locator(".levo-listen .player").waitFor();
  await page.evaluate(() => app.graph.remove(app.graph._nodes.find(({ type }) => type === "LeVoMix")));
  await button(page, "To LeVo Mix").click();
  await toast(page, "No LeVo Mix gets these tracks").waitFor();
}

export async function muted_stems_say_why_and_the_loudness_of_each_track_is_shown(page) {
  await withSong(page);
  const first = await state(page);
  const why = "muted: it is in the mix already";
  assert.deepEqual([first.muted, first.notes], [[false, true, true], ["", why, why]]);
  assert.deepEqual(first.titles, ["Mute", ...Array(2).fill("Muted: it is in the mix already")]);
  assert.equal(first.loudness.length, TRACKS.length);
  assert.ok(first.loudness.every((text) => /^-\d+\.\d LUFS$/.test(text)), `${first.loudness}`);
  await button(page, "Stems").click();
  const stems = await state(page);
  assert.deepEqual([stems.muted, stems.notes], [[true, false, false], ["", "", ""]]);
  await button(page, "Stems").click();
  assert.deepEqual((await state(page)).notes, first.notes);
}

export async function the_words_of_a_section_are_one_line_of_text_below_the_waveforms(page) {
  const markup = "hello <img src=x onerror=alert(1)> there";
  const long = "the river is deep and the night is so long and we sing of it";
  await withSong(page, `[intro-short]\n[verse]\n${markup}\n[chorus]\n${long}\n${long}`, "words");
  assert.equal((await state(page)).words, "\u266a");
  const at = async (section) => {
    await page.getByRole("button", { name: new RegExp(`^${section}, about`) }).press("Enter");
    return state(page);
  };
  const verse = await at("verse");
  assert.deepEqual([verse.words, verse.elements, verse.lines], [markup, 0, 1]);
  const chorus = await at("chorus");
  assert.deepEqual([chorus.words, chorus.lines, chorus.cut], [`${long} / ${long}`, 1, true]);
  await button(page, "Play").click();
  await page.getByRole("button", { name: /^intro-short, about/ }).press("Enter");
  assert.equal((await state(page)).words, "\u266a");
  await page.waitForFunction(() =>
    document.querySelector(".levo-listen").shadowRoot.querySelector(".words").textContent.includes("hello"));
  await button(page, "Pause").click();
}

export async function levels_out_of_a_file_may_be_anything(page) {
  const made = await page.evaluate(async () => {
    const { Levels } = await import("/extensions/ComfyUI-LeVo/js/levels.js");
    const odd = [undefined, null, 7, "loud", [], [1, null], { vocals: 5 }, { vocals: null }, { vocals: { db: "6" } },
      { vocals: { db: NaN, muted: 1, soloed: "yes" } }, JSON.parse('{ "__proto__": { "db": -3 } }'),
      JSON.parse('{ "vocals": { "db": 1e9, "more": 1 }, "mix": { "db": -1e9 } }')];
    return odd.map((kept) => {
      const levels = new Levels(["mix", "vocals"], kept);
      return [levels.db("vocals"), levels.muted("vocals"), levels.soloed("vocals"), levels.factor("mix")];
    });
  });
  const untouched = [0, true, false, 1];
  assert.deepEqual(made.slice(0, -1), Array(made.length - 1).fill(untouched));
  assert.deepEqual(made.at(-1), [6, true, false, 0]);
}
