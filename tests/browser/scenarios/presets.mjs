// Presets fill the number fields; a number that is changed makes the preset custom.
import assert from "node:assert/strict";
import { connect, onlyNodes, queuedInputs } from "../frontend.mjs";

// As the canvas does when somebody chooses or types a value.
const set = (page, name, value) => page.evaluate(([name, value]) => {
  const node = app.graph._nodes[0];
  node.widgets.find((widget) => widget.name === name).setValue(value, { e: {}, node, canvas: app.canvas });
}, [name, value]);
const shown = (page, ...names) => page.evaluate((names) => {
  const { widgets } = app.graph._nodes[0];
  return names.map((name) => widgets.find((widget) => widget.name === name).value);
}, names);
const NUMBERS = ["preset", "temperature", "top_k", "top_p"];

// The graph's only node as a workflow saves it, with `change` of the saved values, in place of it.
const reopened = (page, change) => page.evaluate((change) => {
  const saved = app.graph.serialize();
  saved.nodes[0].widgets_values = Function("values", change)(saved.nodes[0].widgets_values);
  return app.loadGraphData(saved);
}, change);

// One node a page: frontend 1.49 keeps values by a node's number, also for the next node of that number.
export async function a_new_node_says_released_and_a_preset_fills_its_numbers(page) {
  await fillsItsNumbers(page, "LeVoCompose");
}

export async function presets_of_continue_song_fill_its_numbers(page) {
  await fillsItsNumbers(page, "LeVoContinueSong");
}

async function fillsItsNumbers(page, node) {
  await onlyNodes(page, node);
  assert.deepEqual(await shown(page, ...NUMBERS), ["released", 0.8, 5000, 0]);
  await set(page, "top_p", 0.5);
  await set(page, "preset", "levo-demo");
  assert.deepEqual(await shown(page, ...NUMBERS), ["levo-demo", 0.9, 50, 0]);
  await set(page, "preset", "gradio");
  const { preset, temperature, top_k, top_p } = await queuedInputs(page, node);
  assert.deepEqual([preset, temperature, top_k, top_p], ["gradio", 1, 50, 0]);
}

export async function levo_song_gets_the_steps_too(page) {
  await onlyNodes(page, "LeVoSong");
  assert.deepEqual(await shown(page, "preset", "render_steps"), ["released", 10]);
  await set(page, "preset", "levo-demo");
  assert.deepEqual(await shown(page, ...NUMBERS, "render_steps"), ["levo-demo", 0.9, 50, 0, 50]);
  await set(page, "render_steps", 10);
  assert.deepEqual(await shown(page, ...NUMBERS, "render_steps"), ["custom", 0.9, 50, 0, 10]);
}

export async function a_number_changed_by_hand_makes_it_custom_and_stays(page) {
  await onlyNodes(page, "LeVoCompose");
  for (const [name, value] of [["temperature", 0.9], ["top_k", 50], ["top_p", 0.3]]) {
    await set(page, "preset", "gradio");
    await set(page, name, value === 50 ? 51 : value);
    assert.equal((await shown(page, "preset"))[0], "custom", name);
  }
  await set(page, "preset", "gradio");
  await set(page, "guidance", 2); // no preset says anything of it
  await set(page, "seed", 5);
  assert.deepEqual(await shown(page, ...NUMBERS), ["gradio", 1, 50, 0]);
}

export async function custom_changes_nothing(page) {
  await onlyNodes(page, "LeVoCompose");
  await set(page, "preset", "levo-demo");
  await set(page, "preset", "custom");
  assert.deepEqual(await shown(page, ...NUMBERS), ["custom", 0.9, 50, 0]);
}

export async function saved_workflows_keep_their_numbers(page) {
  await onlyNodes(page, "LeVoCompose");
  await set(page, "temperature", 0.95);
  await reopened(page, "return values.slice(0, -1)"); // from before there were presets
  assert.deepEqual(await shown(page, ...NUMBERS), ["custom", 0.95, 5000, 0]);
  await set(page, "preset", "released");
  await reopened(page, "return values.slice(0, -1)");
  assert.deepEqual(await shown(page, ...NUMBERS), ["released", 0.8, 5000, 0]);
  await reopened(page, "values[values.length - 1] = 'gradio'; return values"); // written by hand
  assert.deepEqual(await shown(page, ...NUMBERS), ["custom", 0.8, 5000, 0]);
  await set(page, "preset", "gradio");
  await reopened(page, "return values");
  assert.deepEqual(await shown(page, ...NUMBERS), ["gradio", 1, 50, 0]);
}

export async function what_is_queued_is_true_whoever_wrote_the_numbers(page) {
  await onlyNodes(page, "LeVoCompose", "PrimitiveFloat");
  await page.evaluate(() => { // as scripts of others do
    app.graph._nodes[0].widgets.find(({ name }) => name === "top_k").value = 77;
  });
  const { preset, top_k } = await queuedInputs(page, "LeVoCompose");
  assert.deepEqual([preset, top_k], ["custom", 77]);
  await set(page, "preset", "released");
  await connect(page, "PrimitiveFloat", "FLOAT", "LeVoCompose", "temperature");
  assert.equal((await queuedInputs(page, "LeVoCompose")).preset, "custom");
}
