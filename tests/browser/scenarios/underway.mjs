// A run that is under way is said on its nodes after a reload of the page and in a second page, and so is its end.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { captureState, layOut, openEditor, ready } from "../frontend.mjs";

const PROMPT = JSON.parse(readFileSync(new URL("../../prompts/listen.json", import.meta.url), "utf8"));
PROMPT[1].inputs.dtype = "fp32"; // in which this song does not end before its limit
// Seconds tell runs apart: what was made before would come out of ComfyUI's cache.
// Six takes, so that composing them lasts longer than pages take to open, also on a fast machine.
const longSong = (seconds) => ({ 7: { seed: 5, max_seconds: seconds, takes: 6 }, 8: { steps: 1 } });
// What is cancelled anyway may last much longer.
const endlessSong = { 7: { seed: 5, max_seconds: 48, takes: 16 }, 8: { steps: 1 } };
const longRendering = (seconds) => ({ 7: { seed: 5, max_seconds: seconds }, 8: { steps: 200 } });
const GOING = /(\d):(\d\d) of at most 0:\d\d - /;
const ENDED = / - composed in 0:/;
const line = (page, text) => page.getByText(text).filter({ visible: true });
const said = (page, text) => page.locator(".levo-said").filter({ hasText: text });
const player = (page) => page.locator(".levo-listen .player");

// Opens the prompt with changed inputs, by the ids of nodes, and runs it; gives the graph.
async function start(page, changes) {
  const prompt = structuredClone(PROMPT);
  for (const [id, inputs] of Object.entries(changes)) Object.assign(prompt[id].inputs, inputs);
  await page.evaluate((prompt) => app.loadApiJson(prompt, "a long song"), prompt);
  await layOut(page);
  await captureState(page);
  await page.waitForTimeout(1500); // the draft is written a moment later
  await page.evaluate(() => app.queuePrompt(0, 1));
  return page.evaluate(() => JSON.parse(JSON.stringify(app.graph.serialize())));
}

async function isRunning(url) {
  return (await (await fetch(`${url}/queue`)).json()).queue_running.length > 0;
}

// Waits until nothing runs.
async function idle(url) {
  while (await isRunning(url)) await new Promise((done) => { setTimeout(done, 200); });
}

async function secondsIn(page) {
  const [, minutes, seconds] = GOING.exec(await line(page, GOING).textContent());
  return 60 * Number(minutes) + Number(seconds);
}

// Waits until a page says a later second of the song than it does now.
async function goesOn(page) {
  const before = await secondsIn(page);
  await page.waitForFunction(([before, source]) => {
    const found = document.body.textContent.match(new RegExp(source));
    return found && 60 * Number(found[1]) + Number(found[2]) > before;
  }, [before, GOING.source]);
}

// A page beside another, which shows the same graph.
async function secondPage(page, url, graph) {
  const second = await openEditor(page.context().browser(), url);
  await second.evaluate((graph) => app.loadGraphData(graph, true, true, "the same song"), graph);
  return second;
}

async function interrupt(url) {
  await fetch(`${url}/interrupt`, { method: "POST" });
  await idle(url);
}

export async function composing_goes_on_being_said_after_a_reload_and_its_end_stays(page, url) {
  await start(page, longSong(48));
  await line(page, GOING).waitFor();
  await page.reload();
  await ready(page);
  await line(page, GOING).waitFor();
  await goesOn(page);
  await idle(url);
  await player(page).waitFor();
  await said(page, ENDED).waitFor();
  assert.equal(await line(page, ENDED).count(), 1);
}

export async function what_was_said_before_is_there_while_the_run_goes_on(page, url) {
  const graph = await start(page, longRendering(4));
  await line(page, ENDED).waitFor();
  await page.reload();
  await ready(page);
  await said(page, ENDED).waitFor();
  const second = await secondPage(page, url, graph);
  await said(second, ENDED).waitFor();
  graph.nodes.find(({ type }) => type === "LeVoListen").type = "LeVoDecodeStems";
  const other = await secondPage(page, url, graph);
  await other.waitForTimeout(1500);
  assert.equal(await said(other, ENDED).count(), 0, "another graph than the one that runs");
  assert.ok(await isRunning(url), "the run was over too soon to tell");
  await interrupt(url);
  assert.equal(await said(second, ENDED).count(), 1);
}

export async function a_second_page_shows_what_is_said_to_the_end_but_not_what_was_made(page, url) {
  const graph = await start(page, longSong(47));
  await line(page, GOING).waitFor();
  const second = await secondPage(page, url, graph);
  await line(second, GOING).waitFor();
  await idle(url);
  await said(second, ENDED).waitFor();
  assert.equal(await line(second, ENDED).count(), 1);
  await player(page).waitFor();
  assert.equal(await player(second).count(), 0);
}

export async function what_is_cancelled_says_no_longer_where_it_is(page, url) {
  const graph = await start(page, endlessSong);
  await line(page, GOING).waitFor();
  const second = await secondPage(page, url, graph);
  await line(second, GOING).waitFor();
  await interrupt(url);
  await line(second, GOING).waitFor({ state: "detached" });
}
