// What nodes say and what they refuse is read where one looks, and stays; what is opened anew shows nothing old.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { layOut, onlyNodes, queuedInputs, runTo, saveAndReload, textBox, undoInGraph, captureState } from "../frontend.mjs";

const PROMPT = JSON.parse(readFileSync(new URL("../../prompts/listen.json", import.meta.url), "utf8"));
const said = (page, text) => page.locator(".levo-said").filter({ hasText: text });
const toast = (page, text) => page.locator(".p-toast, li[data-state=open]").filter({ hasText: text });
const ENDED = /ended by itself at|cut at the limit/;

async function run(page, end = "execution_success") {
  const ended = runTo(page, end);
  await page.evaluate(() => app.queuePrompt(0, 1));
  await ended;
}

// The graph of a song of the tiny models.
async function withGraph(page, seed) {
  await page.evaluate((prompt) => app.loadApiJson(prompt, "a song"), PROMPT);
  await layOut(page);
  await page.evaluate((seed) => {
    const compose = app.graph._nodes.find(({ type }) => type === "LeVoCompose");
    compose.widgets.find(({ name }) => name === "seed").value = seed;
  }, seed);
  await captureState(page);
}

// A song of the tiny models, made and shown.
async function withSong(page, seed) {
  await withGraph(page, seed);
  await run(page);
  await page.locator(".levo-listen .player").waitFor();
}

export async function what_a_node_said_stays_after_the_run_an_undo_other_tabs_and_a_reload(page, url) {
  await withSong(page, 71);
  await said(page, ENDED).waitFor();
  await page.waitForTimeout(1500);
  assert.equal(await said(page, ENDED).count(), 1);
  assert.equal(await page.getByText(ENDED).count(), 1, "it is said twice");
  const text = await said(page, ENDED).textContent();
  const [last] = Object.values(await (await fetch(`${url}/history?max_items=1`)).json());
  assert.ok(Object.values(last.outputs).some((output) => output.levo_said?.[0] === text), "not in the history");
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.NewBlankWorkflow"));
  await page.waitForFunction(() => !document.querySelector(".levo-said"));
  await page.evaluate(async () => {
    const { workflow } = app.extensionManager;
    const song = workflow.openWorkflows.find(({ path }) => path.includes("a song"));
    await app.loadGraphData(structuredClone(JSON.parse(JSON.stringify(song.activeState))), true, true, song);
  });
  await layOut(page);
  await said(page, text).waitFor();
  await page.locator(".levo-listen .player").waitFor();
  await captureState(page);
  await page.evaluate(() => { app.graph._nodes[0].title = "another"; });
  await captureState(page);
  await undoInGraph(page);
  await said(page, text).waitFor();
  await page.locator(".levo-listen .player").waitFor();
  await saveAndReload(page);
  await layOut(page);
  await said(page, text).waitFor();
  await page.locator(".levo-listen .player").waitFor();
  assert.equal(await page.getByText(text).count(), 1);
}

export async function an_undo_after_a_run_takes_back_what_was_done_before_it(page) {
  await withGraph(page, 73);
  const before = await page.evaluate(() => app.graph._nodes[0].title);
  await page.evaluate(() => {
    app.graph._nodes[0].title = "another";
    for (const { widgets = [] } of app.graph._nodes)
      for (const widget of widgets) if (widget.name === "control_after_generate") widget.value = "fixed";
  });
  await captureState(page);
  await run(page);
  await said(page, ENDED).waitFor();
  await page.waitForTimeout(500); // in which nodes grow
  await captureState(page); // as a click anywhere does
  await undoInGraph(page);
  assert.equal(await page.evaluate(() => app.graph._nodes[0].title), before);
}

export async function a_graph_that_is_opened_anew_shows_no_older_song_whatever_its_ids(page) {
  await withSong(page, 72);
  const graph = await page.evaluate(() => JSON.parse(JSON.stringify(app.graph.serialize())));
  const nothing = async () => {
    await page.waitForTimeout(1500);
    await page.locator(".levo-listen p").waitFor({ state: "attached" });
    assert.equal(await page.locator(".levo-listen .player, .levo-said").count(), 0);
  };
  for (const name of ["another", "a song", "a song"]) {
    await page.evaluate(([graph, name]) => app.loadGraphData(graph, true, true, name), [graph, name]);
    await nothing();
  }
  await saveAndReload(page);
  await nothing();
}

export async function what_a_node_refuses_is_told_at_once_and_on_the_node_until_it_is_healed(page) {
  await onlyNodes(page, "LeVoLyrics", "PreviewAny");
  await page.evaluate(() => {
    const of = (type) => app.graph._nodes.find((node) => node.type === type);
    of("LeVoLyrics").connect(0, of("PreviewAny"), 0);
  });
  await textBox(page).fill("[verse]\nla\n[zzz]\nla");
  await page.evaluate(() => app.queuePrompt(0, 1));
  await toast(page, "Lyrics line 3: [zzz]").waitFor();
  await said(page, "Lyrics line 3: [zzz]").waitFor();
  assert.equal(await said(page, "[zzz]").getAttribute("role"), "alert");
  await page.keyboard.press("Escape"); // a dialog of the frontend
  await page.evaluate(() => {
    const lyrics = app.graph._nodes.find(({ type }) => type === "LeVoLyrics");
    const text = lyrics.widgets.find(({ name }) => name === "text");
    text.value = "[verse]\nla";
    text.callback?.(text.value);
  });
  assert.equal((await queuedInputs(page, "LeVoLyrics")).text, "[verse]\nla");
  await run(page);
  assert.equal(await said(page, "[zzz]").count(), 0);
}

export async function a_refusal_of_two_inputs_is_said_once(page) {
  await onlyNodes(page, "LeVoDownloadModels");
  await page.evaluate(() => app.queuePrompt(0, 1));
  const line = said(page, "licence");
  await line.waitFor();
  const sentences = (await line.textContent()).split("\n");
  assert.equal(new Set(sentences).size, sentences.length);
  await toast(page, sentences[0]).waitFor();
}

export async function a_run_that_fails_at_once_tells_its_sentence(page) {
  await onlyNodes(page, "LeVoListen");
  await run(page, "execution_error");
  const line = page.locator(".levo-said[role=alert]");
  await line.waitFor();
  await toast(page, await line.textContent()).waitFor();
}
