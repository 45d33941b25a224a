// The examples as they were first, from before anything was released: they open and run in the pack of today.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { runTo } from "../frontend.mjs";

const FOLDER = new URL("../first_examples/", import.meta.url);
// What they ask for before they run: the licence, and a song of one's own.
const ASKS_FIRST = ["LeVo Get the Models", "LeVo Re-render Saved Tokens"];

export async function the_first_examples_open_with_their_values_and_run(page) {
  const files = readdirSync(FOLDER);
  assert.equal(files.length, 5);
  for (const file of files) {
    const name = file.replace(".json", "");
    const workflow = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8"));
    await page.evaluate(([graph, name]) => app.loadGraphData(graph, true, true, name), [workflow, name]);
    const red = await page.evaluate(() => app.graph._nodes.filter((node) => node.has_errors).map((n) => n.type));
    assert.deepEqual(red, [], name);
    await keepsValues(page, workflow);
    if (ASKS_FIRST.includes(name)) continue;
    const ended = runTo(page, "execution_success");
    await page.evaluate(() => app.queuePrompt(0, 1));
    await ended;
  }
}

// Workflows keep values by their places: new ones may only come after those that are there.
async function keepsValues(page, workflow) {
  const values = await page.evaluate(() => Object.fromEntries(app.graph._nodes.map((node) =>
    [node.id, (node.widgets ?? []).filter(({ serialize }) => serialize !== false).map(({ value }) => value)])));
  for (const { id, type, widgets_values: saved } of workflow.nodes)
    if (type.startsWith("LeVo")) assert.deepEqual(values[id].slice(0, saved.length), saved, type);
}
