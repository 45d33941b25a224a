// Gives LeVo Load Tokens a button and a drop target that bring a song from this computer to ComfyUI's input folder.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

const NODE = "LeVoLoadTokens";
const SUFFIX = ".safetensors";

async function upload(node, file) {
  const body = new FormData();
  body.append("image", file); // the one upload route of ComfyUI, for every kind of file
  const reply = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!reply.ok) {
    const detail = `${file.name} was not uploaded (${reply.status} ${reply.statusText}).`;
    app.extensionManager.toast.add({ severity: "error", summary: "LeVo Load Tokens", detail, life: 8000 });
    return;
  }
  const { name, subfolder } = await reply.json();
  const path = subfolder ? `${subfolder}/${name}` : name;
  const combo = node.widgets.find((widget) => widget.name === "file");
  combo.options.values = [path, ...combo.options.values.filter((value) => value !== path)];
  combo.value = path;
  combo.callback?.(path);
  node.setDirtyCanvas(true, true);
}

function choose(node) {
  const picker = document.createElement("input");
  picker.type = "file";
  picker.accept = SUFFIX;
  picker.onchange = () => picker.files.length && upload(node, picker.files[0]);
  picker.click();
}

app.registerExtension({
  name: "LeVo.LoadTokens",
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    const button = node.addWidget("button", "upload", "", () => choose(node), { serialize: false });
    button.label = "choose a song to upload";
    button.serialize = false; // the button is no value of the workflow
    node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
    node.onDragDrop = (event) => {
      const songs = [...event.dataTransfer.files].filter((file) => file.name.endsWith(SUFFIX));
      if (songs.length) upload(node, songs[0]);
      return songs.length > 0;
    };
  },
});
