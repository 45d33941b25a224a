// The pack's blueprints (subgraphs/), dragged out of the node library into an empty canvas and run on the tiny models.
import assert from "node:assert/strict";
import { inLibrary, onlyNodes, openLibrary, runTo } from "../frontend.mjs";

const TINY = "tiny (built in, random weights: sounds like noise)";
const MODELS = { lelm: TINY, renderer: TINY, vae: TINY };

// Puts a blueprint into the graph at that x of the screen; gives the id of its node.
async function drop(page, name, x = 700) {
  const before = await page.evaluate(() => app.graph._nodes.length);
  if (!before) await openLibrary(page);
  const leaf = await inLibrary(page, name);
  await leaf.dragTo(page.locator("#graph-canvas"), { targetPosition: { x, y: 300 } });
  await page.waitForFunction((before) => app.graph._nodes.length === before + 1, before);
  return page.evaluate((name) => app.graph._nodes.find(({ title }) => title === name)?.id, name);
}

// Sets outer widgets, which must all be there.
async function set(page, id, values) {
  const missing = await page.evaluate(([id, values]) => {
    const { widgets = [] } = app.graph.getNodeById(id);
    return Object.entries(values).filter(([name, value]) => {
      const widget = widgets.find((found) => found.name === name || found.label === name);
      if (widget) widget.value = value;
      return !widget;
    }).map(([name]) => name);
  }, [id, values]);
  assert.deepEqual(missing, []);
}

// Connects outputs of a node to inputs of new or given nodes: [[output, type or id, input]].
async function connect(page, id, links) {
  await page.evaluate(([id, links]) => links.forEach(([output, to, input], at) => {
    const from = app.graph.getNodeById(id);
    let node = app.graph.getNodeById(to);
    if (!node) {
      node = LiteGraph.createNode(to);
      node.pos = [1500, 100 + 300 * at];
      app.graph.add(node);
    }
    const slot = (slots, name) => slots.findIndex((found) => found.name === name || found.label === name);
    from.connect(slot(from.outputs, output), node, slot(node.inputs, input));
  }), [id, links]);
}

// Runs the graph; gives what nodes of a type were asked to do.
async function run(page, type) {
  const { output } = await page.evaluate(() => app.graphToPrompt());
  const ended = runTo(page, "execution_success");
  await page.getByTestId("queue-button").click();
  await ended;
  return Object.values(output).find((node) => node.class_type === type).inputs;
}


export async function a_song_from_words_is_one_node(page) {
  await onlyNodes(page);
  const id = await drop(page, "LeVo Song from Words");
  await set(page, id, { lyrics: "[verse]\nOne node alone", tags: "jazz", max_seconds: 6, seed: 7, ...MODELS });
  await connect(page, id, [["audio", "PreviewAudio", "audio"]]);
  const { seed, max_seconds: most } = await run(page, "LeVoSong");
  assert.deepEqual([seed, most], [7, 6]);
  const heard = page.locator("audio[src*=view]").first();
  await heard.waitFor({ state: "attached" });
  const { output } = await page.evaluate(() => app.graphToPrompt());
  const asked = Object.values(output).map(({ inputs }) => inputs);
  assert.ok(asked.some(({ text }) => text === "[verse]\nOne node alone"));
  assert.ok(asked.some(({ tags }) => tags === "jazz"));
}

export async function a_song_with_stems_is_heard_in_listen(page) {
  await onlyNodes(page);
  const id = await drop(page, "LeVo Song with Stems");
  await set(page, id, { lyrics: "[verse]\nThree of them", tags: "pop", max_seconds: 6, seed: 7, ...MODELS });
  await connect(page, id, [["mix", "LeVoListen", "mix"]]);
  const listen = await page.evaluate(() => app.graph._nodes.at(-1).id);
  await connect(page, id, ["vocals", "accompaniment", "tokens"].map((track) => [track, listen, track]));
  await run(page, "LeVoCompose");
  await page.locator(".levo-listen .lane").nth(2).waitFor();
}

export async function a_style_of_a_clip_goes_into_the_next_song(page) {
  await onlyNodes(page);
  const song = await drop(page, "LeVo Song from Words");
  const clip = await drop(page, "LeVo Style of a Clip", 1200);
  await set(page, song, { lyrics: "[verse]\nA stand-in for a clip", max_seconds: 12, seed: 7, ...MODELS });
  await set(page, clip, { start: 0, auto: true, separator: TINY, septoken: TINY, one_rvq: TINY });
  await connect(page, song, [["audio", clip, "audio"]]);
  await connect(page, clip, [["style", "LeVoSaveStyle", "style"], ["clip", "PreviewAudio", "audio"]]);
  await page.evaluate(() => {
    const { widgets } = app.graph._nodes.find(({ type }) => type === "LeVoSaveStyle");
    widgets.find(({ name }) => name === "name").value = `clip ${Date.now()}`; // one that is there is never replaced
  });
  const asked = await run(page, "LeVoStyleFromAudio");
  assert.equal(asked.auto, true);
}
