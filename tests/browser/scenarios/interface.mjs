// What people do with the pack in ComfyUI's own interface.
import assert from "node:assert/strict";
import { captureState, connect, inLibrary, onlyNodes, openLibrary, runTo, undoInGraph } from "../frontend.mjs";

const types = (page) => page.evaluate(() => app.graph._nodes.map((node) => node.type));

export async function a_node_is_found_in_the_library_and_dragged_into_the_graph(page) {
  await onlyNodes(page);
  await openLibrary(page);
  const leaf = await inLibrary(page, "LeVo Lyrics");
  await leaf.dragTo(page.locator("#graph-canvas"), { targetPosition: { x: 900, y: 400 } });
  await page.waitForFunction(() => app.graph._nodes.length === 1);
  assert.deepEqual(await types(page), ["LeVoLyrics"]);
}

export async function after_an_undo_nodes_are_as_large_as_before_and_a_redo_is_there(page) {
  const ours = await page.evaluate(() => Object.keys(LiteGraph.registered_node_types)
    .filter((name) => name.startsWith("LeVo"))
    .filter((name) => LiteGraph.createNode(name).widgets?.length)); // 1.32 changes what it keeps of others
  assert.ok(ours.length > 20, String(ours));
  await onlyNodes(page, ...ours);
  const sizes = () => page.evaluate(() =>
    app.graph._nodes.map(({ type, size }) => `${type} ${size.map(Math.round)}`).sort());
  await page.waitForTimeout(500); // in which they are shown
  await captureState(page);
  const before = await sizes();
  await page.evaluate(() => { app.graph._nodes[0].title = "another"; });
  await captureState(page);
  await undoInGraph(page);
  await page.waitForTimeout(500); // the same
  await captureState(page); // as a click anywhere does
  assert.deepEqual(await sizes(), before);
  await page.keyboard.press("Control+y");
  await page.waitForFunction(() => app.graph._nodes[0].title === "another");
}

export async function cancel_stops_composing_from_the_interface_and_progress_is_told(page) {
  await page.evaluate(async () => {
    const answer = await fetch("/api/workflow_templates/ComfyUI-LeVo/LeVo%20Text%20to%20Song.json");
    await app.loadGraphData(await answer.json(), true, true, "song");
    const compose = app.graph._nodes.find((node) => node.type === "LeVoCompose");
    const set = (name, value) => { compose.widgets.find((widget) => widget.name === name).value = value; };
    set("seed", Math.floor(Math.random() * 1e9)); // so that nothing of another run is taken
    set("takes", 8); // of which one goes on for long enough
  });
  const ended = runTo(page, "execution_interrupted");
  await page.getByTestId("queue-button").click();
  await page.getByText("real time").filter({ visible: true }).first().waitFor(); // on the node, and in the row of App mode
  await page.getByRole("button", { name: "Cancel current run" }).click();
  await ended;
}

export async function what_people_wrote_is_shown_on_a_node_letter_by_letter(page) {
  const names = ["__LNK0__", "[[label|https://example.com]]", "<b>bold</b> &amp; ___LNK1__", "half \ud83d"];
  await onlyNodes(page, "LeVoSongsFromJSONL", "PreviewAny");
  await connect(page, "LeVoSongsFromJSONL", "STRING", "PreviewAny", "source");
  await page.evaluate(async (names) => {
    const good = { idx: "good", gt_lyric: "[verse] la" };
    const lines = [good, ...names.map((name, i) => ({ idx: i, gt_lyric: "[verse] la", [name]: 1 }))];
    const body = new FormData();
    body.append("image", new Blob([lines.map((line) => JSON.stringify(line)).join("\n")]), "odd.jsonl");
    await fetch("/upload/image", { method: "POST", body });
    const node = app.graph._nodes.find(({ type }) => type === "LeVoSongsFromJSONL");
    const set = (name, value) => { node.widgets.find((widget) => widget.name === name).value = value; };
    set("file", "odd.jsonl");
    set("skip_faulty", true);
    set("folder", `odd ${Date.now()}`);
  }, names);
  const ended = runTo(page, "execution_success");
  await page.getByTestId("queue-button").click();
  await ended;
  const shown = page.getByText("songs to make");
  await shown.waitFor();
  const text = await shown.textContent();
  for (const name of names.slice(0, 3)) assert.ok(text.includes(`${name} means nothing here`), text);
  assert.equal(await shown.locator("b").count(), 0);
}
