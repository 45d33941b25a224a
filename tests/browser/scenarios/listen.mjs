// The player of LeVo Listen, with a song of the tiny models.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { saveAndReload } from "../frontend.mjs";
import { button, seek } from "../player.mjs";

const PROMPT = JSON.parse(readFileSync(new URL("../../prompts/listen.json", import.meta.url), "utf8"));
const LONG = 120000; // ms that composing may take on a busy machine

// Keeps our gains with a meter behind each, and counts our animation frames.
function instrument() {
  window.meters = [];
  window.frames = 0;
  window.GainNode = class extends GainNode {
    constructor(context, options) {
      super(context, options);
      const meter = new AnalyserNode(context, { fftSize: 2048 });
      this.connect(meter);
      window.meters = [...window.meters, meter].slice(-3);
    }
  };
  const request = window.requestAnimationFrame;
  window.requestAnimationFrame = (call) => {
    if (new Error().stack.includes("listen_view")) window.frames++;
    return request(call);
  };
}

async function withSong(page) {
  await page.evaluate(instrument);
  await page.evaluate((prompt) => app.loadApiJson(prompt, "song"), PROMPT);
  await look(page, 1);
  await page.evaluate(() => app.queuePrompt(0, 1));
  await page.locator(".levo-listen .player").waitFor({ timeout: LONG });
}

// Brings the player into view at a zoom.
async function look(page, scale) {
  await page.evaluate((scale) => {
    const node = app.graph._nodes.find(({ type }) => type === "LeVoListen");
    node.pos = [0, 0];
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [500 / scale, 250 / scale];
    app.canvas.setDirty(true, true);
  }, scale);
  await page.waitForTimeout(300);
}

// What the player shows, and which tracks sound just now.
async function state(page) {
  await page.waitForTimeout(300);
  return page.evaluate(() => {
    const root = document.querySelector(".levo-listen").shadowRoot;
    const all = (selector) => [...root.querySelectorAll(selector)];
    const loudest = (meter) => {
      const samples = new Float32Array(meter.fftSize);
      meter.getFloatTimeDomainData(samples);
      return Math.max(...samples.map(Math.abs));
    };
    return {
      tracks: all(".heads .name").map((span) => span.textContent),
      waveforms: all(".lane path").filter((path) => path.getAttribute("d").length > 1000).length,
      sections: all(".sections button").map((section) => section.title),
      time: root.querySelector(".time").textContent,
      seconds: Number(root.querySelector(".lanes").getAttribute("aria-valuenow")),
      said: root.querySelector(".lanes").getAttribute("aria-valuetext"),
      silent: all(".lane").map((lane) => lane.classList.contains("silent")),
      sounds: (window.meters ?? []).map((meter) => loudest(meter) > 1e-4),
      frames: window.frames,
      colours: [getComputedStyle(root.host).color, getComputedStyle(root.querySelector(".lane")).backgroundColor],
    };
  });
}

async function press(page, ...keys) {
  for (const key of keys) await page.locator(".lanes").press(key);
}

export async function a_song_plays_and_its_tracks_are_muted_and_soloed(page) {
  await withSong(page);
  const ready = await state(page);
  assert.deepEqual(ready.tracks, ["mix", "vocals", "accompaniment"]);
  assert.equal(ready.waveforms, 3);
  assert.deepEqual([ready.time, ready.silent], ["0:00 / 0:12", [false, true, true]]);
  assert.deepEqual(ready.sections.map((title) => title.split(",")[0]), ["verse", "chorus"]);
  await button(page, "Play").click();
  await page.waitForFunction(() => {
    const lanes = document.querySelector(".levo-listen").shadowRoot.querySelector(".lanes");
    return Number(lanes.getAttribute("aria-valuenow")) >= 1;
  });
  assert.deepEqual((await state(page)).sounds, [true, false, false]);
  await button(page, "Solo vocals").click();
  assert.deepEqual((await state(page)).sounds, [false, true, false]);
  await button(page, "Solo vocals").click();
  await button(page, "Mute mix").click();
  assert.deepEqual((await state(page)).sounds, [false, false, false]);
  await button(page, "Mute accompaniment").click();
  assert.deepEqual((await state(page)).sounds, [false, false, true]);
  await button(page, "Pause").click();
  const { frames, time } = await state(page);
  await page.waitForTimeout(700);
  const idle = await state(page);
  assert.deepEqual([idle.frames, idle.time], [frames, time], "it works while it stands still");
}

export async function pointer_keys_and_marks_seek_at_any_zoom(page) {
  await withSong(page);
  await seek(page, 0.5);
  assert.equal((await state(page)).time, "0:06 / 0:12");
  await press(page, "Home", "ArrowRight", "ArrowRight", "ArrowLeft");
  assert.equal((await state(page)).time, "0:05 / 0:12");
  await press(page, "Space");
  assert.deepEqual((await state(page)).sounds, [true, false, false]);
  await press(page, "Space", "End");
  assert.equal((await state(page)).time, "0:12 / 0:12");
  await page.getByRole("button", { name: /^chorus/ }).press("Enter");
  const chorus = await state(page);
  assert.ok(chorus.said.endsWith(", chorus") && chorus.seconds < 12, chorus.said);
  await look(page, 0.4);
  await seek(page, 0.75);
  assert.ok(Math.abs((await state(page)).seconds - 9) <= 1);
}

export async function the_player_follows_the_theme_and_a_reload_finds_the_song(page) {
  await withSong(page);
  const theme = (name) => page.evaluate((name) => app.extensionManager.setting.set("Comfy.ColorPalette", name), name);
  const dark = await state(page);
  await theme("light");
  const light = await state(page);
  await theme("dark");
  assert.notDeepEqual(light.colours, dark.colours);
  await saveAndReload(page);
  await page.locator(".levo-listen .player").waitFor();
  const again = await state(page);
  assert.deepEqual([again.tracks, again.time, again.sections], [dark.tracks, dark.time, dark.sections]);
}

export async function times_are_written_and_nodes_found_in_one_way(page) {
  const { times, found } = await page.evaluate(async () => {
    const { clock } = await import("/extensions/ComfyUI-LeVo/js/clock.js");
    const { nodeOf } = await import("/extensions/ComfyUI-LeVo/js/comfy.js");
    const node = app.graph._nodes[0];
    const inner = new node.constructor("inner");
    inner.id = 3;
    const subgraph = { getNodeById: (id) => (Number(id) === 3 ? inner : null) };
    app.graph.subgraphs.set("1f0c", subgraph); // as ids of subgraphs are: a node's never
    node.subgraph = subgraph;
    const named = [`${node.id}`, `${node.id}:3`, "1f0c:3", "1f0c:4", `${node.id}:3:5`, "987"].map(nodeOf);
    app.graph.subgraphs.delete("1f0c");
    delete node.subgraph;
    return {
      times: [0, 59.96, 83.6, 270, 3600].map(clock),
      found: named.map((one) => (one === node ? "outer" : one === inner ? "inner" : one ?? "none")),
    };
  });
  assert.deepEqual(times, ["0:00", "0:59", "1:23", "4:30", "60:00"]);
  assert.deepEqual(found, ["outer", "inner", "inner", "none", "none", "none"]);
}
