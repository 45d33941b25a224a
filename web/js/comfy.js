// Where things are in ComfyUI: the node that an id names, and the address of a file that a node put out.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// Ids are "7", with the subgraphs' nodes before it in a run ("5:3"), with the subgraph's own id before it
// where the frontend keeps outputs ("<subgraph>:7"). No node, no error: another workflow may be open by now.
export function nodeOf(id) {
  let graph = app.rootGraph ?? app.graph, node;
  for (const part of String(id).split(":")) {
    const subgraph = graph?.subgraphs?.get(part);
    node = subgraph ? undefined : graph?.getNodeById(part);
    graph = subgraph ?? node?.subgraph;
  }
  return node;
}

// file: { filename, subfolder, type }, as nodes name what they wrote.
export function fileUrl({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}
