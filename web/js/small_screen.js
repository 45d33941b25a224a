// On a screen as narrow as a phone's a graph cannot be read: a workflow with nodes of ours that says what its inputs
// and outputs are opens as a page of them (App mode). Saves nothing, and leaves a user alone who went to the graph.
import { nodesOfGraph, onLoaded, showPage } from "./comfy.js";

const NARROW = "(max-width: 767px)"; // where the frontend lays its own page out for a phone

onLoaded(() => {
  if (matchMedia(NARROW).matches && nodesOfGraph().some(({ type }) => type?.startsWith("LeVo"))) showPage();
});
