// What our nodes cost the canvas: little while it moves, nothing while it is idle.
import assert from "node:assert/strict";
import { onlyNodes } from "../frontend.mjs";

const MOST = 50; // ms that the panels of 20 nodes may add to a frame
const FRAMES = 40;
const IDLE = 2000; // ms
const TWENTY = Array.from({ length: 20 }, (_, i) => (i % 2 ? "LeVoDescription" : "LeVoLyrics"));

// Twenty nodes, all in view.
async function twenty(page) {
  await onlyNodes(page, ...TWENTY);
  await page.evaluate(() => {
    app.graph._nodes.forEach((node, i) => { node.pos = [440 * (i % 6), 500 * Math.floor(i / 6)]; });
    app.canvas.ds.scale = 0.6;
    app.canvas.ds.offset = [150, 150];
    app.canvas.setDirty(true, true);
  });
  await page.locator(".levo-block").nth(39).waitFor();
  await page.locator(".levo-chip").nth(49).waitFor();
}

// How long a frame in which the canvas moves keeps the page's thread busy, in ms of its own time, which other
// programs on the machine do not stretch: drawing, Vue's updates, style and layout.
async function frameTime(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const spent = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1000 * metrics.find(({ name }) => name === "TaskDuration").value;
  };
  const move = (frames) => page.evaluate(async (frames) => {
    for (let i = 0; i < frames; i++) {
      app.canvas.ds.offset[0] += i % 2 ? 5 : -5;
      app.canvas.setDirty(true, true);
      await new Promise(requestAnimationFrame);
    }
  }, frames);
  await move(5);
  const before = await spent();
  await move(FRAMES);
  return (await spent() - before) / FRAMES;
}

export async function twenty_nodes_add_little_to_a_frame(page) {
  await twenty(page);
  const full = await frameTime(page);
  await page.evaluate(() => app.graph._nodes.forEach((node) => node.widgets.pop().onRemove()));
  await page.waitForFunction(() => !document.querySelector(".levo-panel"));
  const bare = await frameTime(page);
  assert.ok(full - bare < MOST, `20 panels add ${(full - bare).toFixed(1)} ms to ${bare.toFixed(1)} ms`);
}

export async function twenty_idle_nodes_do_nothing(page) {
  let asked = 0;
  page.on("request", (request) => { asked += request.url().includes("/levo/"); });
  await twenty(page);
  asked = 0;
  const done = await page.evaluate(async (idle) => {
    const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));
    const ours = { timers: 0, changes: 0, draws: 0 };
    const draw = app.canvas.drawFrontCanvas;
    app.canvas.drawFrontCanvas = function () { ours.draws += 1; return draw.call(this); };
    do { // until the graph has settled
      ours.draws = 0;
      await pause(1000);
    } while (ours.draws);
    const counted = ["setTimeout", "setInterval", "requestAnimationFrame"].map((name) => {
      const before = window[name];
      window[name] = (...given) => {
        ours.timers += new Error().stack.includes("/extensions/ComfyUI-LeVo/");
        return before.apply(window, given);
      };
      return () => { window[name] = before; };
    });
    const watcher = new MutationObserver((changes) => { ours.changes += changes.length; });
    document.querySelectorAll(".levo-panel").forEach((panel) =>
      watcher.observe(panel, { subtree: true, childList: true, attributes: true, characterData: true }));
    await pause(idle);
    watcher.disconnect();
    counted.forEach((restore) => restore());
    app.canvas.drawFrontCanvas = draw;
    return ours;
  }, IDLE);
  assert.deepEqual({ ...done, asked }, { timers: 0, changes: 0, draws: 0, asked: 0 });
}
