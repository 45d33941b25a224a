// The interface in Chinese.
import assert from "node:assert/strict";
import { inLibrary, onlyNodes, vueNodes } from "../frontend.mjs";

export const SETTINGS = { "Comfy.Locale": "zh" };

export async function nodes_their_sockets_and_the_player_are_chinese(page) {
  await onlyNodes(page, "LeVoCompose", "LeVoListen");
  const nodes = await page.evaluate(() => app.graph._nodes.map((node) => ({
    title: node.title,
    inputs: node.inputs.map((input) => input.localized_name),
    outputs: node.outputs.map((output) => output.localized_name),
    widgets: node.widgets.map((widget) => widget.label),
  })));
  assert.deepEqual(nodes.map(({ title }) => title), ["LeVo 作曲", "LeVo 试听"]);
  assert.deepEqual(nodes[0].inputs.slice(0, 2), ["LeLM", "条件"]);
  assert.deepEqual(nodes[0].outputs, ["tokens", "自行结束", "秒数"]);
  assert.ok(nodes[0].widgets.includes("最长秒数"), nodes[0].widgets.join());
  await page.locator(".levo-listen").getByText("运行工作流即可试听歌曲。").waitFor();
}

export async function the_words_of_a_switch_are_chinese(page) {
  await onlyNodes(page, "LeVoDownloadModels");
  const words = await page.evaluate(() => {
    const { options } = app.graph._nodes[0].widgets.find(({ name }) => name === "accept_licence");
    return [options.off, options.on];
  });
  assert.deepEqual(words, ["需要：请打开", "已接受"]);
  if (await vueNodes(page)) await page.getByText("需要：请打开").waitFor();
}

export async function a_node_is_found_by_its_chinese_name(page) {
  await page.locator("canvas#graph-canvas").click({ position: { x: 900, y: 900 } });
  await page.keyboard.press("n");
  await (await inLibrary(page, "LeVo 渲染")).waitFor();
}

export async function a_node_explains_itself_in_chinese(page) {
  await onlyNodes(page, "LeVoLyrics");
  await page.evaluate(() => app.canvas.selectNodes(app.graph._nodes));
  await page.getByTestId("info-button").click();
  await page.getByText("把歌词整理成模型训练时用的严格格式").waitFor();
}
