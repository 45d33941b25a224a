// Takes the README's pictures, of a running ComfyUI: node readme_pictures.mjs SERVER_URL FOLDER [NAME]
// FOLDER gets LeVoTextToSong.jpg, LeVoLyrics.jpg, LeVoListen.jpg and LeVoPhone.jpg, or the one that NAME begins.
import { readFileSync } from "node:fs";
import { onlyNodes, openEditor, runTo, shoot, textBox, withBrowser } from "./frontend.mjs";
import { button, fader, seek, showPlayer } from "./player.mjs";

const [url, folder, only = ""] = process.argv.slice(2);
const EXAMPLES = new URL("../../example_workflows/", import.meta.url);
const PHONE = { width: 390, height: 844 };
// A word that is no section, for the sentence and for Tidy.
const LYRICS = `[intro-short]

[verse]
Paper boats on a silver stream
I fold the morning into a dream

[pre-chorus]
And every river knows my name

[chorus]
Hold on, hold on to the light
We were lanterns in the night

[outro-medium]`;

async function openExample(page, name) {
  const workflow = JSON.parse(readFileSync(new URL(`${name}.json`, EXAMPLES), "utf8"));
  await page.evaluate(([workflow, name]) => app.loadGraphData(workflow, true, true, name), [workflow, name]);
  await page.waitForTimeout(1500);
}

const PICTURES = {
  // A whole graph, as it opens.
  async LeVoTextToSong(page, path) {
    await openExample(page, "LeVo Text to Song");
    await shoot(page, path);
  },

  // The two editors in use.
  async LeVoLyrics(page, path) {
    await onlyNodes(page, "LeVoLyrics", "LeVoDescription");
    await textBox(page).fill(LYRICS);
    await page.getByLabel("Search tags").fill("jazz");
    await page.locator(".levo-problem").filter({ hasText: "pre-chorus" }).waitFor();
    await shoot(page, path);
  },

  // A song after a run, and its tracks' levels, which LeVo Mix has taken over.
  async LeVoListen(page, path) {
    await openExample(page, "LeVo Stems");
    await page.evaluate(() => { app.graph._groups.length = 0; });
    await showPlayer(page);
    const ended = runTo(page, "execution_success", 900000);
    await page.evaluate(() => app.queuePrompt(0, 1));
    await ended;
    await page.locator(".levo-listen .player").waitFor();
    await button(page, "Stems").click();
    for (const [track, level] of [["vocals", "1.5"], ["accompaniment", "-3"]])
      await fader(page, track).fill(level);
    await button(page, "To LeVo Mix").click();
    await seek(page, 0.55);
    await shoot(page, path, await page.evaluate(() => app.graph._nodes
      .filter(({ type }) => ["LeVoListen", "LeVoMix"].includes(type)).map(({ id }) => String(id))));
  },

  // A page of App mode, side by side: its inputs, what is below them, and the song after a run.
  async LeVoPhone(page, path) {
    await page.setViewportSize(PHONE);
    const shots = [];
    const keep = async () => {
      await page.waitForTimeout(1000);
      shots.push(`data:image/png;base64,${(await page.screenshot()).toString("base64")}`);
    };
    await openExample(page, "LeVo Text to Song");
    await page.locator("#mobile-app-control-tab").click();
    await keep();
    await page.getByTestId("linear-widgets").evaluate((list) => { list.scrollTop = list.clientHeight * 0.85; });
    await keep();
    const ended = runTo(page, "execution_success");
    await page.getByTestId("linear-run-button").getByRole("button", { name: "Run" }).last().click();
    await ended;
    await page.locator("#mobile-app-preview-tab").click();
    await page.locator("#mobile-app-preview-panel audio:visible").waitFor();
    await keep();
    await page.setViewportSize({ width: (PHONE.width + 12) * shots.length - 12, height: PHONE.height });
    await page.setContent(`<body style="margin:0;display:flex;gap:12px">${shots.map((src) => `<img src="${src}">`).join("")}`);
    await page.screenshot({ path, type: "jpeg", quality: 75 });
  },
};

for (const [name, take] of Object.entries(PICTURES)) {
  if (!name.startsWith(only)) continue;
  await withBrowser(url, async (browser) => {
    const page = await openEditor(browser, url);
    page.setDefaultTimeout(60000);
    await take(page, `${folder}/${name}.jpg`);
  }, { "Comfy.VueNodes.Enabled": name === "LeVoListen" });
}
