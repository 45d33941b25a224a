// Uploads a file with the button of LeVo Load Tokens: node upload_tokens.mjs SERVER_URL FILE
// Prints one line of JSON: the combo's value and choices, the saved widgets, the prompt and console errors.
import { createRequire } from "node:module";
import { chromiumPath } from "./chromium.mjs";

const { chromium } = createRequire(process.env.LEVO_BROWSER_DIR + "/")("playwright-core");
const [url, file] = process.argv.slice(2);

await fetch(`${url}/settings/Comfy.TutorialCompleted`, { method: "POST", body: "true" });
const browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  await page.waitForFunction(() => window.app?.extensionManager && window.app?.graph, null, { timeout: 60000 });
  const chooser = page.waitForEvent("filechooser");
  await page.evaluate(() => {
    app.graph.clear();
    const node = LiteGraph.createNode("LeVoLoadTokens");
    app.graph.add(node);
    node.widgets.find((widget) => widget.type === "button").callback();
  });
  await (await chooser).setFiles(file);
  const name = file.split("/").pop();
  await page.waitForFunction((name) => app.graph._nodes[0].widgets[0].value === name, name, { timeout: 20000 });
  const found = await page.evaluate(async () => {
    const [node] = app.graph._nodes;
    const { output } = await app.graphToPrompt();
    return { value: node.widgets[0].value, choices: node.widgets[0].options.values,
      saved: node.serialize().widgets_values, prompt: output };
  });
  console.log(JSON.stringify({ ...found, errors }));
} finally {
  await browser.close();
}
