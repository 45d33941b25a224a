// Where this machine has Chromium, or Chrome, which does as well: by PATH, as a snap, as macOS installs it.
// Run as a program, it prints the path, and fails where there is none.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { argv, env, exit } from "node:process";
import { fileURLToPath } from "node:url";

const NAMES = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];
const PLACES = ["/snap/bin/chromium", "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

export function chromiumPath() {
  const folders = (env.PATH ?? "").split(delimiter).filter(Boolean);
  const places = [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...PLACES];
  return places.find((place) => existsSync(place));
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const found = chromiumPath();
  if (!found) exit(1);
  console.log(found);
}
