// Gives LeVo Load Tokens a button and a drop target that bring a song from this computer to ComfyUI's input folder.
import { fetchApi, follow, makeRoom, register, setValue, toast, widgetOf } from "./comfy.js";
import { loadWords, t } from "./words.js";

const NODE = "LeVoLoadTokens";
const SUFFIX = ".safetensors";
const WIDTH = 400; // in which names of files are read
const NOTHING = "no song found"; // how the choice begins that stands where there is none
const nodes = new Set(); // those in a graph

async function upload(node, file) {
  const body = new FormData();
  body.append("image", file); // the one upload route of ComfyUI, for every kind of file
  const reply = await fetchApi("/upload/image", { method: "POST", body }).catch(() => null);
  if (!reply?.ok) {
    const reason = reply ? `${reply.status} ${reply.statusText}` : t("the server does not answer");
    const detail = t("{file} was not uploaded ({reason}).", { file: file.name, reason });
    toast("error", "LeVo Load Tokens", detail);
    return;
  }
  const { name, subfolder } = await reply.json();
  const path = subfolder ? `${subfolder}/${name}` : name;
  const combo = widgetOf(node, "file");
  combo.options.values = [path, ...combo.options.values.filter((value) => value !== path)];
  setValue(node, combo, path);
}

function choose(node) {
  const picker = document.createElement("input");
  picker.type = "file";
  picker.accept = SUFFIX;
  picker.onchange = () => picker.files.length && upload(node, picker.files[0]);
  picker.click();
}

// A list that was empty has songs now: the newest takes the place of "no song found".
function chooseFirst(node) {
  const combo = widgetOf(node, "file");
  const [first] = combo.options.values;
  if (String(combo.value).startsWith(NOTHING) && !first.startsWith(NOTHING)) setValue(node, combo, first);
}

register("LoadTokens", {
  setup: loadWords,
  refreshComboInNodes: () => nodes.forEach(chooseFirst), // after r
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    const button = node.addWidget("button", "upload", "", () => choose(node), { serialize: false });
    button.label = t("choose a song to upload");
    makeRoom(node, WIDTH);
    follow(node, "onAdded", () => nodes.add(node));
    follow(node, "onRemoved", () => nodes.delete(node));
    button.serialize = false; // the button is no value of the workflow
    node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
    node.onDragDrop = (event) => {
      const songs = [...event.dataTransfer.files].filter((file) => file.name.endsWith(SUFFIX));
      if (songs.length) upload(node, songs[0]);
      return songs.length > 0;
    };
  },
});
