// LeVo Song in the graph.
import assert from "node:assert/strict";
import { connect, onlyNodes, runTo } from "../frontend.mjs";

const NODES = ["LeVoLyrics", "LeVoDescription", "LeVoConditioning", "LeVoLoadLeLM", "LeVoLoadRenderer", "LeVoLoadVAE", "LeVoSong",
  "LeVoDecode", "PreviewAudio"];
const WIRES = [["LeVoLyrics", "STRING", "LeVoConditioning", "lyrics"],
  ["LeVoDescription", "STRING", "LeVoConditioning", "description"],
  ["LeVoConditioning", "LEVO_CONDITIONING", "LeVoSong", "conditioning"],
  ["LeVoLoadLeLM", "LEVO_LELM", "LeVoSong", "lelm"], ["LeVoLoadRenderer", "LEVO_RENDERER", "LeVoSong", "renderer"],
  ["LeVoLoadVAE", "LEVO_VAE", "LeVoSong", "vae"], ["LeVoLoadVAE", "LEVO_VAE", "LeVoDecode", "vae"],
  ["LeVoSong", "LATENT", "LeVoDecode", "latent"], ["LeVoDecode", "AUDIO", "PreviewAudio", "audio"]];
const TINY = "tiny (built in, random weights: sounds like noise)"; // whose songs last until the limit
const FIRST = 40 - 0.64; // seconds: a window but for what waits for the next one
// A song of the tiny models that is longer than a window.
const VALUES = {
  LeVoLyrics: { text: "[Verse]\nhello there\n[chorus]\nla la la" },
  LeVoDescription: { gender: "female", genre: "pop", emotion: "", instruments: "piano", tags: "" },
  LeVoLoadLeLM: { dtype: "fp32" }, // in which its length is known
  // Another seed each time: what an earlier run made is not heard early.
  LeVoSong: { seed: 5, render_steps: 1, render_seed: Date.now() % 1e9, max_seconds: 48 },
};

export async function the_first_window_is_heard_before_the_song_is_whole(page) {
  await onlyNodes(page, ...NODES);
  for (const wire of WIRES) await connect(page, ...wire);
  await page.evaluate(([values, TINY]) => {
    for (const node of app.graph._nodes) {
      const loaded = node.widgets?.find(({ name }) => name === "checkpoint");
      if (loaded) loaded.value = TINY;
      for (const [name, value] of Object.entries(values[node.type] ?? {}))
        node.widgets.find((widget) => widget.name === name).value = value;
    }
  }, [VALUES, TINY]);
  await page.evaluate(() => {
    window.seen = [];
    const heard = ({ target }) => target.closest(".levo-early") && seen.push(target.duration);
    document.addEventListener("canplay", heard, true);
    app.api.addEventListener("execution_success", () => seen.push("made"), { once: true });
  });
  await page.waitForTimeout(500); // in which nodes are shown
  const savedSize = () => page.evaluate(() => Array.from(
    app.graph._nodes.find(({ type }) => type === "LeVoSong").serialize().size));
  const size = await savedSize();
  const ended = runTo(page, "execution_success");
  await page.getByTestId("queue-button").click();
  await ended;
  await page.waitForFunction((first) => seen.some((seconds) => seconds > first + 0.1), FIRST);
  const seen = await page.evaluate(() => window.seen);
  assert.ok(Math.abs(seen[0] - FIRST) < 0.01, `${seen}`); // before the song was made
  assert.ok(seen.includes("made"), `${seen}`);
  const player = page.locator(".levo-early audio");
  assert.equal(await player.count(), 1);
  assert.deepEqual(await savedSize(), size, "a run has changed the workflow");
  await player.evaluate((audio) => audio.play());
  await page.waitForFunction(() => document.querySelector(".levo-early audio").currentTime > 0.2);
}
