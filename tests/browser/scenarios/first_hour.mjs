// What somebody meets in the first hour: the licence's switch, the first song in LeVo Load Tokens, inputs folded away.
import assert from "node:assert/strict";
import { onlyNodes, queuedInputs } from "../frontend.mjs";

const NOTHING = "no song found (save one with LeVo Save Tokens, or upload one)";
const PROMPT = {
  1: { class_type: "LeVoLoadLeLM", inputs: { checkpoint: "tiny (built in, random weights: sounds like noise)", dtype: "auto" } },
  2: { class_type: "LeVoConditioning", inputs: { kind: "song", lyrics: "[verse] la la la.", description: "piano" } },
  3: {
    class_type: "LeVoCompose",
    inputs: {
      lelm: ["1", 0], conditioning: ["2", 0], seed: 1, max_seconds: 1, guidance: 1.5, temperature: 0.8, top_k: 5000,
      top_p: 0, repetition_window: 50, takes: 1, cuda_graph: true,
    },
  },
  4: { class_type: "LeVoSaveTokens", inputs: { tokens: ["3", 0], filename_prefix: "tokens/first_hour" } },
};

async function saveSong(url) {
  const reply = await fetch(`${url}/prompt`, { method: "POST", body: JSON.stringify({ prompt: PROMPT }) });
  const { prompt_id: id } = await reply.json();
  let run;
  while (!run) {
    await new Promise((done) => { setTimeout(done, 200); });
    run = (await (await fetch(`${url}/history/${id}`)).json())[id];
  }
  assert.equal(run.status.status_str, "success");
}

export async function after_r_the_first_song_takes_the_place_of_none(page, url) {
  await onlyNodes(page, "LeVoLoadTokens");
  await page.evaluate((nothing) => {
    const combo = app.graph._nodes[0].widgets.find(({ name }) => name === "file");
    combo.options.values = [nothing];
    combo.value = nothing;
  }, NOTHING);
  await saveSong(url);
  await page.evaluate(() => app.refreshComboInNodes());
  const { file } = await queuedInputs(page, "LeVoLoadTokens");
  assert.match(file, /^tokens\/first_hour_\d+_\.safetensors \[output\]$/);
  await page.evaluate(() => {
    const combo = app.graph._nodes[0].widgets.find(({ name }) => name === "file");
    combo.value = "a song of mine.safetensors";
  });
  await page.evaluate(() => app.refreshComboInNodes());
  assert.equal((await queuedInputs(page, "LeVoLoadTokens")).file, "a song of mine.safetensors");
}

export async function an_upload_without_a_server_is_told(page) {
  await onlyNodes(page, "LeVoLoadTokens");
  await page.route("**/upload/image", (route) => route.abort("connectionrefused"));
  const before = (await queuedInputs(page, "LeVoLoadTokens")).file;
  const chooser = page.waitForEvent("filechooser");
  await page.evaluate(() => app.graph._nodes[0].widgets.find(({ type }) => type === "button").callback());
  const song = { name: "mine.safetensors", mimeType: "application/octet-stream", buffer: Buffer.from("a song") };
  await (await chooser).setFiles(song);
  const told = page.locator(".p-toast, li[data-state=open]").filter({ hasText: "LeVo Load Tokens" });
  await told.getByText("mine.safetensors was not uploaded (the server does not answer).").waitFor();
  assert.equal((await queuedInputs(page, "LeVoLoadTokens")).file, before);
}

export async function the_switch_of_the_licence_says_that_it_is_needed(page) {
  await onlyNodes(page, "LeVoDownloadModels");
  const labels = await page.evaluate(() => {
    const { options } = app.graph._nodes[0].widgets.find(({ name }) => name === "accept_licence");
    return [options.off, options.on];
  });
  assert.deepEqual(labels, ["needed: switch on", "accepted"]);
}

export async function inputs_that_are_folded_away_are_queued_all_the_same(page) {
  await onlyNodes(page, "LeVoCompose");
  const inputs = await queuedInputs(page, "LeVoCompose");
  for (const name of ["temperature", "top_k", "top_p", "repetition_window", "cuda_graph"]) assert.ok(name in inputs, name);
  const folds = await page.evaluate(() => {
    const [node] = app.graph._nodes;
    return node.widgets.filter((widget) => widget.advanced ?? widget.options?.advanced).map(({ name }) => name);
  });
  const known = await page.evaluate(() => LiteGraph.registered_node_types.LeVoCompose.nodeData.input.required.top_k[1]);
  if (known.advanced) assert.deepEqual(folds, ["temperature", "top_k", "top_p", "repetition_window", "cuda_graph"]);
}
