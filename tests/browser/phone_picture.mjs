// Takes a picture of an example as a phone shows it (App mode): node phone_picture.mjs SERVER_URL WORKFLOW.json PICTURE.jpg
// Side by side: the page's inputs, what is below them, and the song after a run.
import { readFileSync } from "node:fs";
import { openEditor, runTo, withBrowser } from "./frontend.mjs";

const PHONE = { width: 390, height: 844 };
const [url, path, picture] = process.argv.slice(2);

await withBrowser(url, async (browser) => {
  const page = await openEditor(browser, url);
  await page.setViewportSize(PHONE);
  const shots = [];
  const shoot = async () => {
    await page.waitForTimeout(1000);
    shots.push(`data:image/png;base64,${(await page.screenshot()).toString("base64")}`);
  };
  const name = path.split("/").at(-1).replace(".json", "");
  await page.evaluate(([workflow, name]) => app.loadGraphData(workflow, true, true, name),
    [JSON.parse(readFileSync(path, "utf8")), name]);
  await page.locator("#mobile-app-control-tab").click();
  await shoot();
  await page.getByTestId("linear-widgets").evaluate((list) => { list.scrollTop = list.clientHeight * 0.85; });
  await shoot();
  const ended = runTo(page, "execution_success");
  await page.getByTestId("linear-run-button").getByRole("button", { name: "Run" }).last().click();
  await ended;
  await page.locator("#mobile-app-preview-tab").click();
  await page.locator("#mobile-app-preview-panel audio:visible").waitFor();
  await shoot();
  const sheet = await browser.newPage({ viewport: { width: (PHONE.width + 12) * shots.length - 12, height: PHONE.height } });
  await sheet.setContent(`<body style="margin:0;display:flex;gap:12px">${shots.map((src) => `<img src="${src}">`).join("")}`);
  await sheet.screenshot({ path: picture, type: "jpeg", quality: 75 });
});
