// Runs every scenario of a file, each in a page of its own: node run_scenarios.mjs SERVER_URL FILE.mjs
// A scenario is an exported function of (page, url). Prints one JSON object: name -> "" or what went wrong.
// LEVO_NODES=vue shows nodes as elements (Nodes 2.0), anything else on the canvas; ONLY=word runs some of them.
import { pathToFileURL } from "node:url";
import { openEditor, withBrowser } from "./frontend.mjs";

const [url, file] = process.argv.slice(2);
const { SETTINGS = {}, ...scenarios } = await import(pathToFileURL(file).href);
const mode = { "Comfy.VueNodes.Enabled": process.env.LEVO_NODES === "vue" };
const results = {};
await withBrowser(url, async (browser) => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (!name.includes(process.env.ONLY ?? "")) continue;
    let page;
    try {
      page = await openEditor(browser, url);
      page.setDefaultTimeout(60000);
      await scenario(page, url);
      results[name] = page.problems().join("\n");
    } catch (error) {
      results[name] = [error.stack, ...(page?.problems() ?? [])].join("\n");
    }
    await page?.close();
  }
}, { ...mode, ...SETTINGS });
console.log(JSON.stringify(results));
