// LeVo Listen's player in the page, for scenarios and pictures.

export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const fader = (page, track) => page.getByRole("slider", { name: `Level of ${track}`, exact: true });

// Puts the player into view at the canvas's own size, LeVo Mix beside it, and all other nodes far away.
export async function showPlayer(page) {
  await page.evaluate(() => {
    const of = (type) => app.graph._nodes.find((node) => node.type === type);
    app.graph._nodes.forEach((node, i) => { node.pos = [3000 + 500 * i, 3000]; });
    of("LeVoListen").pos = [0, 0];
    if (of("LeVoMix")) of("LeVoMix").pos = [600, 0];
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [500, 250];
    app.canvas.setDirty(true, true);
  });
}

// Clicks into the waveforms at a share of their width.
export async function seek(page, share) {
  const box = await page.locator(".lanes").boundingBox();
  await page.mouse.click(box.x + share * box.width, box.y + box.height / 2);
}
