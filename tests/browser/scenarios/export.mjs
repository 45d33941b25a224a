// LeVo Export Song: its player, its names, and its files dragged back onto the editor.
import assert from "node:assert/strict";
import { runTo } from "../frontend.mjs";

const SILENCE = { class_type: "EmptyAudio", inputs: { duration: 60, sample_rate: 48000, channels: 2 } };
const CHOSEN = { audio: ["1", 0], filename_prefix: "export/x", format: "FLAC 24-bit", title: "", artist: "",
  embed_workflow: true };
const TYPES = { "FLAC 16-bit": "audio/flac", "MP3 V0": "audio/mpeg", "Opus 128 kbps": "audio/ogg" };

// Exports a minute of silence (old frontends read no Ogg file below 4 kB); gives the file's entry.
async function exported(page, inputs) {
  const node = { class_type: "LeVoExport", inputs: { ...CHOSEN, ...inputs } };
  await page.evaluate((prompt) => app.loadApiJson(prompt, "export"), { 1: SILENCE, 2: node });
  const told = page.evaluate(() => new Promise((done) =>
    app.api.addEventListener("executed", ({ detail }) => detail.output.audio && done(detail.output.audio[0]))));
  const ended = runTo(page, "execution_success");
  await page.evaluate(() => app.queuePrompt(0, 1));
  await ended;
  return told;
}

export async function the_node_plays_what_it_saved(page) {
  const { filename, subfolder, type } = await exported(page, { filename_prefix: "export/{title}", title: "Played" });
  assert.match(filename, /^Played_0000\d_\.flac$/);
  assert.deepEqual([subfolder, type], ["export", "output"]);
  await page.waitForFunction((name) =>
    [...document.querySelectorAll("audio")].some(({ src, duration }) => src.includes(name) && duration === 60), filename);
}

export async function names_of_times_and_widgets_are_those_of_other_save_nodes(page) {
  const asked = "export/%date:yyyy% %LeVoExport.artist% {title}";
  const { filename } = await exported(page, { filename_prefix: asked, artist: "Me", title: "You" });
  assert.match(filename, new RegExp(`^${new Date().getFullYear()} Me You_0000\\d_\\.flac$`));
  const kept = await page.evaluate(() => app.graph._nodes.find(({ type }) => type === "LeVoExport").widgets[0].value);
  assert.equal(kept, asked, "the workflow keeps what was typed");
}

export async function a_file_opens_the_workflow_it_came_from(page) {
  for (const [format, type] of Object.entries(TYPES)) {
    const entry = await exported(page, { format, title: `Back as ${format} 夜` });
    await page.evaluate(async ([entry, type]) => {
      const blob = await (await app.api.fetchApi(`/view?${new URLSearchParams(entry)}`)).blob();
      app.graph.clear();
      await app.handleFile(new File([blob], entry.filename, { type }));
    }, [entry, type]);
    await page.waitForFunction((title) => app.graph._nodes.some((node) =>
      node.type === "LeVoExport" && node.widgets.some(({ value }) => value === title)), `Back as ${format} 夜`);
  }
}
