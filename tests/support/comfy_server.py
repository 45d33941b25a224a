"""A real ComfyUI as a subprocess with the pack in it, and what tests ask of it: HTTP, runs, files, the log.

Knows ComfyUI's routes and websocket messages, nothing of the pack's nodes. ComfyUI itself is `COMFYUI_DIR`,
or the `comfyui` folder beside the interpreter's environment, as tests/environment.sh lays it out; its
frontend is its own, or `LEVO_FRONTEND_ROOT`.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import websocket

from support.free_port import free_port
from support.frontend import frontend_root
from support.pack import ROOT, comfyui_dir

PACK_NAME = "ComfyUI-LeVo"
TAIL_LINES = 40
REQUEST_SECONDS = 60.0
STOP_SECONDS = 10.0
END_STATUS = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}
# Small models are as fast on one thread, and do not crawl when the machine is busy.
THREADS = {"OMP_NUM_THREADS": "1"}
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


class ServerError(RuntimeError):
    """ComfyUI did not start, died or did not answer in time; `log` is the end of its log."""

    def __init__(self, sentence: str, log: str = "") -> None:
        super().__init__(f"{sentence}\n{log}" if log else sentence)
        self.sentence = sentence
        self.log = log


class PromptRejected(RuntimeError):
    """ComfyUI refused a prompt before running it."""

    def __init__(self, status: int, error: dict[str, Any], node_errors: dict[str, Any]) -> None:
        details = [
            f"node {node} ({found['class_type']}): {reason['message']}, {reason['details']}"
            for node, found in node_errors.items()
            for reason in found["errors"]
        ]
        super().__init__(
            "; ".join([f"ComfyUI refused the prompt with {status}: {error.get('message')}", *details])
        )
        self.status = status
        self.error = error
        self.node_errors = node_errors


@dataclass(frozen=True)
class Response:
    """An answer that is no JSON, or a failure."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")


@dataclass(frozen=True)
class Message:
    """One websocket message; `seconds` counts from the moment the prompt was posted."""

    type: str
    data: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Run:
    """One finished prompt: `status` is success, error or interrupted; `error` is that message's data."""

    prompt_id: str
    status: str
    messages: tuple[Message, ...]
    outputs: dict[str, Any]
    error: dict[str, Any] | None

    def of_type(self, kind: str) -> list[Message]:
        """The messages of one type, in the order they came."""
        return [message for message in self.messages if message.type == kind]

    @property
    def cached(self) -> set[str]:
        """The ids of the nodes whose results were taken from ComfyUI's cache."""
        return {node for message in self.of_type("execution_cached") for node in message.data["nodes"]}


def comfyui_folder() -> Path:
    """The ComfyUI to start; raises ServerError when there is none."""
    folder = comfyui_dir().resolve()
    if not (folder / "main.py").is_file():
        raise ServerError(
            f"There is no ComfyUI in {folder}; run the tests with make test, or set COMFYUI_DIR."
        )
    return folder


class ComfyServer:
    """Context manager: ComfyUI on 127.0.0.1 with everything it writes below `base`.

    `pack` is linked as custom_nodes/ComfyUI-LeVo and `more_packs` beside it, `arguments` are added to
    ComfyUI's own, `environment` to its variables (without it Hugging Face is offline), and `timeout` bounds
    the start in seconds. With `on_cpu` it stays off a card. Entering raises ServerError if ComfyUI does not
    answer or could not import the pack.
    """

    def __init__(
        self,
        base: Path,
        pack: Path = ROOT,
        more_packs: Sequence[Path] = (),
        arguments: Sequence[str] = (),
        timeout: float = 240.0,
        environment: Mapping[str, str] | None = None,
        on_cpu: bool = True,
    ) -> None:
        self.base = Path(base).resolve()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = self.base / "comfyui.log"
        self._packs = {PACK_NAME: Path(pack).resolve(), **{path.name: path for path in more_packs}}
        self._arguments = ("--cpu", *arguments) if on_cpu else tuple(arguments)
        self._timeout = timeout
        self._environment = {**OFFLINE, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy would be asked for 127.0.0.1
        self._probes = itertools.count()

    def __enter__(self) -> ComfyServer:
        self._lay_out()
        try:
            self._start()
            self._wait_until_ready()
            self._check_import()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def get(self, path: str) -> Any:
        """GET: the parsed JSON of a successful JSON answer, else a Response."""
        return self._request("GET", path)

    def post(self, path: str, data: Any = None) -> Any:
        """POST `data` as JSON: the parsed JSON of a successful JSON answer, else a Response."""
        return self._request("POST", path, json=data)

    def queue(
        self, prompt: dict[str, Any], client_id: str | None = None, workflow: dict[str, Any] | None = None
    ) -> str:
        """Put an API-format prompt into the queue and return its id; raises PromptRejected.

        `workflow` is what an editor sends beside it, for files that hold it.
        """
        body = {"prompt": prompt} if client_id is None else {"prompt": prompt, "client_id": client_id}
        if workflow is not None:
            body["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        answer = self.post("/prompt", body)
        if isinstance(answer, Response):
            reason = _parsed(answer.text)
            raise PromptRejected(answer.status, reason.get("error", {}), reason.get("node_errors", {}))
        return answer["prompt_id"]

    def run(
        self,
        prompt: dict[str, Any],
        timeout: float = 300.0,
        on_message: Callable[[Message], None] | None = None,
        workflow: dict[str, Any] | None = None,
    ) -> Run:
        """Run an API-format prompt to its end, calling `on_message` with each of its messages as they come.

        Raises PromptRejected, or ServerError when the run takes over `timeout` seconds or ComfyUI dies.
        """
        client_id = uuid.uuid4().hex
        with closing(self._listen(client_id)) as listener:
            listener.recv()  # the greeting: from here on ComfyUI knows this client
            start = time.monotonic()
            prompt_id = self.queue(prompt, client_id, workflow)
            messages = []
            for message in self._messages(listener, prompt_id, start, timeout):
                messages.append(message)
                if on_message is not None:
                    on_message(message)
        status = END_STATUS[messages[-1].type]
        error = None if status == "success" else messages[-1].data
        return Run(prompt_id, status, tuple(messages), self._outputs(prompt_id), error)

    def interrupt(self) -> None:
        """Interrupt the prompt that is running now; one that is still waiting is not touched."""
        self.post("/interrupt")

    def clear_cache(self) -> None:
        """Drop all cached node results and loaded models; returns when that is done.

        POST /free only sets flags. ComfyUI's worker obeys them after a prompt, or when it is woken idle,
        and may miss the waking; so run a tiny prompt, and a second, which starts once the flags are obeyed.
        """
        self.post("/free", {"unload_models": True, "free_memory": True})
        for _ in range(2):
            prompt = {
                "number": {"class_type": "PrimitiveInt", "inputs": {"value": next(self._probes)}},
                "show": {"class_type": "PreviewAny", "inputs": {"source": ["number", 0]}},
            }
            run = self.run(prompt)
            if run.status != "success":
                raise ServerError("ComfyUI could not run the prompt that follows /free.", self._tail())

    def output_file(self, entry: dict[str, str]) -> Path:
        """Where the file of a {"filename", "subfolder", "type"} entry of a run's outputs lies."""
        return self.base / entry["type"] / entry["subfolder"] / entry["filename"]

    def log(self) -> str:
        """All that ComfyUI has written to standard output and error so far."""
        return self.log_file.read_text("utf-8", errors="replace") if self.log_file.exists() else ""

    def _lay_out(self) -> None:
        for name in ("custom_nodes", "input", "models", "output", "temp", "user"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for name, folder in self._packs.items():
            (self.base / "custom_nodes" / name).symlink_to(folder, target_is_directory=True)

    def _start(self) -> None:
        command = [sys.executable, str(comfyui_folder() / "main.py"), "--disable-auto-launch"]
        command += ["--listen", "127.0.0.1", "--port", str(self.port), "--base-directory", str(self.base)]
        command += ["--database-url", f"sqlite:///{self.base / 'user' / 'comfyui.db'}"]
        if root := frontend_root():
            command += ["--front-end-root", str(root)]
        command += ["--disable-api-nodes", *self._arguments]
        environment = {**os.environ, **self._environment, **THREADS, "PYTHONUNBUFFERED": "1"}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.base, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(
                    f"ComfyUI ended with code {self._process.returncode} as it started.", self._tail()
                )
            try:
                if not isinstance(self.get("/system_stats"), Response):
                    return
            except requests.ConnectionError:
                time.sleep(0.2)
        raise ServerError(
            f"ComfyUI did not answer within {self._timeout:.0f} s of its start.", self._tail()
        )

    def _check_import(self) -> None:
        lines = self.log().splitlines()
        if any("IMPORT FAILED" in line and PACK_NAME in line for line in lines):
            last = max(index for index, line in enumerate(lines) if "IMPORT FAILED" in line)
            raise ServerError(
                f"ComfyUI could not import {PACK_NAME}.", "\n".join(lines[: last + 1][-TAIL_LINES:])
            )

    def _stop(self) -> None:
        self._session.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _request(self, method: str, path: str, **options: Any) -> Any:
        reply = self._session.request(method, self.url + path, timeout=REQUEST_SECONDS, **options)
        content_type = reply.headers.get("Content-Type", "").partition(";")[0]
        if reply.ok and content_type == "application/json":
            return reply.json()
        return Response(reply.status_code, content_type, reply.content)

    def _listen(self, client_id: str) -> websocket.WebSocket:
        return websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/ws?clientId={client_id}",
            timeout=REQUEST_SECONDS,
            http_no_proxy=["127.0.0.1"],
        )

    def _messages(
        self, listener: websocket.WebSocket, prompt_id: str, start: float, timeout: float
    ) -> Iterator[Message]:
        while True:
            try:
                listener.settimeout(max(start + timeout - time.monotonic(), 0.01))
                frame = listener.recv()
            except websocket.WebSocketTimeoutException:
                self.interrupt()
                raise ServerError(
                    f"The prompt was not finished within {timeout:.0f} s.", self._tail()
                ) from None
            except (websocket.WebSocketConnectionClosedException, ConnectionError) as error:
                raise ServerError("ComfyUI closed the connection during a prompt.", self._tail()) from error
            message = json.loads(frame) if isinstance(frame, str) and frame else {}
            if message.get("data", {}).get("prompt_id") != prompt_id:
                continue
            yield Message(message["type"], message["data"], time.monotonic() - start)
            if message["type"] in END_STATUS:
                return

    def _outputs(self, prompt_id: str) -> dict[str, Any]:
        """ComfyUI sends the last message before it writes the history, so the entry may need a moment."""
        deadline = time.monotonic() + REQUEST_SECONDS
        while time.monotonic() < deadline:
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                return entry["outputs"]
            time.sleep(0.02)
        raise ServerError(f"ComfyUI keeps no history of the prompt {prompt_id}.", self._tail())

    def _tail(self) -> str:
        return "\n".join(self.log().splitlines()[-TAIL_LINES:])


def _parsed(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        answer = {"error": {"message": text}}
    return answer
