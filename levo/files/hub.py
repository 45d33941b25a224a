"""Brings published files from the Hugging Face hub to disk: resumed, checked, never over a good file.

Proxies, mirrors, tokens, redirects and retries are huggingface_hub's. A file comes to its place when it is
complete and right; until then it is `<name>.part` beside it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from . import atomic, names
from .catalogue import RemoteFile
from .damage import find_damage
from .download_errors import RECORD, DownloadError, changed, elsewhere, explained, named, now
from .tensor_file import SUFFIXES

OnStep = Callable[[int, int, str], None]

RECORDED = {"repository", "revision", "size", "sha256", "mtime_ns", "time"}
MARGIN = 1_000_000_000  # bytes of the disk that stay free
CHUNK = 4_000_000  # bytes read at a time
SHA256 = re.compile("[0-9a-f]{64}")


class _UselessPart(DownloadError):
    """What has come can never become the file."""


class _Stopped(BaseException):
    """Carries what `on_step` raised past everything that catches Exception."""


@dataclass(frozen=True)
class Fetched:
    """A file that is at its place; `kept` if it was there before."""

    file: RemoteFile
    path: Path
    kept: bool


@dataclass(frozen=True)
class _Offer:
    """A file as the hub offers it now."""

    file: RemoteFile
    path: Path
    hub: str
    commit: str
    size: int
    published: str | None  # sha256 by the catalogue or the hub
    first: dict | None  # what was recorded of its first download here

    @property
    def part(self) -> Path:
        return atomic.unfinished(self.path)

    @property
    def sha256(self) -> str | None:
        return self.published or (self.first["sha256"] if self.first else None)


def fetch(
    files: Sequence[RemoteFile], folder: Path, on_step: OnStep, endpoint: str | None = None
) -> list[Fetched]:
    """Download the files that are not at their places below a folder, and check those that are.

    A file that `downloads.json` of the folder knows, unchanged since, is kept without asking the hub.

    Args:
        files: what to fetch.
        folder: of models/levo; made if it is missing.
        on_step: called with the bytes done, the bytes in all and what is being done. What it raises comes
            out as it is, and partial files stay for the next time.
        endpoint: URL of the hub; None is `HF_ENDPOINT` or huggingface.co.

    Returns:
        Where each file is, in the order given.

    Raises:
        DownloadError: one sentence; files that were finished before stay.
    """
    try:
        return _fetch(files, folder, on_step, endpoint)
    except _Stopped as stop:
        stopped = stop.__cause__ or stop
    except atomic.WriteError as error:
        raise DownloadError(str(error)) from error
    except OSError as error:
        raise _disk_error(error, folder) from error
    raise stopped  # not in the clause above, which would add to its traceback


def _fetch(
    files: Sequence[RemoteFile], folder: Path, on_step: OnStep, endpoint: str | None
) -> list[Fetched]:
    record = read_record(folder)
    offers = [
        _ask(file, _local_path(folder, file), record.get(str(file.local_path)), endpoint)
        for file in files
        if not _is_recorded(_local_path(folder, file), file, record.get(str(file.local_path)))
    ]
    missing = []
    for each in offers:
        if not _is_here(each, on_step):
            missing.append(each)
        elif each.sha256 is not None:
            _note(folder, record, each, each.sha256)
    _check_space(folder, missing)
    meter = _Meter(on_step, sum(each.size for each in missing))
    for each in missing:
        _note(folder, record, each, _download(each, meter))
    new = {each.file for each in missing}
    return [Fetched(file, _local_path(folder, file), file not in new) for file in files]


def _local_path(folder: Path, file: RemoteFile) -> Path:
    """By name, not by what links resolve to: folders below models/levo may be links to another disk."""
    if wrong := names.fault(str(file.local_path), atomic.SUFFIX):
        raise DownloadError(f"{names.shown(str(file.local_path))} cannot be the name of a file, {wrong}.")
    path = Path(os.path.normpath(Path(folder, *file.local_path.parts)))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise DownloadError(f"{file.local_path} would leave {folder}, so it is not downloaded.")
    return path


def _ask(file: RemoteFile, path: Path, first: dict | None, endpoint: str | None) -> _Offer:
    """Ask the hub for size, commit and hash of a file and compare them with what is known."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    hub = endpoint or constants.ENDPOINT
    url = hf_hub_url(
        file.repository, file.path, repo_type=_repo_type(file), revision=file.revision, endpoint=hub
    )
    try:
        offered = get_hf_file_metadata(url)
    except Exception as error:  # of requests, httpx or httpx2, whichever this huggingface_hub uses
        lost = "cannot be reached ({}); check the internet connection, the proxy and HF_ENDPOINT"
        raise explained(error, file, hub, lost) from error
    if offered.size is None or offered.commit_hash is None:
        raise DownloadError(
            f"{hub} does not answer for {file.local_path} as a Hugging Face hub does; check HF_ENDPOINT "
            "and whether a login page stands between."
        )
    # The etag of a file in Git LFS is its sha256; that of others is no hash of the content.
    etag = offered.etag if SHA256.fullmatch(offered.etag or "") else None
    if file.sha256 is not None and (offered.size != file.size or etag not in (None, file.sha256)):
        raise DownloadError(
            f"{hub} offers another {named(file)} than was published ({offered.size:,} bytes, sha256 "
            f"{etag}, not {file.size:,} bytes, sha256 {file.sha256}); {elsewhere(file)}."
        )
    if file.sha256 is None and first is not None and etag is not None and etag != first["sha256"]:
        raise DownloadError(changed(file, first, etag))
    return _Offer(file, path, hub, offered.commit_hash, offered.size, file.sha256 or etag, first)


def _repo_type(file: RemoteFile) -> str:
    return "space" if file.space else "model"


def _get(offer: _Offer, sink: _Sink) -> None:
    """Fetch what is missing. Not by hf_hub_download: it takes xet, which neither resumes nor stops."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    file = offer.file
    url = hf_hub_url(
        file.repository, file.path, repo_type=_repo_type(file), revision=offer.commit, endpoint=offer.hub
    )
    # Uncompressed, because a part is resumed by the file's own bytes; with a range, because hf_transfer of
    # older huggingface_hubs would write past the sink, and leaves ranges alone.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": "bytes=0-"}
    try:
        http_get(
            url, cast(BinaryIO, sink), resume_size=sink.done, headers=headers, expected_size=offer.size
        )
    except DownloadError:
        raise
    except Exception as error:
        come = f"{sink.done:,} of {offer.size:,} bytes of {file.local_path}"
        lost = f"broke off ({{}}) after {come}, which are kept; queue again to go on"
        raise explained(error, file, offer.hub, lost) from error


def _disk_error(error: OSError, path: Path, size: int = 0) -> DownloadError:
    """What to do about a disk; `size` bytes are still to be written to `path`."""
    if error.errno == errno.ENOSPC:
        return DownloadError(atomic.sentence(path, errno.ENOSPC, size))
    trouble = f"{error.filename or path} cannot be read or written ({error.strerror})"
    return DownloadError(f"{trouble}; check the disk and the permissions.")


def _is_here(offer: _Offer, on_step: OnStep) -> bool:
    """Whether the file is at its place; not if it is damaged and may be replaced.

    Raises:
        DownloadError: another file is there.
    """
    path = offer.path
    if not path.is_file():
        return False
    weights = path.suffix in SUFFIXES
    same = path.stat().st_size == offer.size
    damaged = weights and find_damage(path) is not None
    if same and offer.sha256 is not None:
        with path.open("rb") as file:
            whole = _Sink(file, offer, _Meter(on_step, offer.size)).sha256 == offer.sha256
    else:
        whole = same and not damaged
    # Text of the right size may be somebody's edit; weights of the right size are a bad download.
    if whole or damaged or (same and weights):
        return whole
    raise DownloadError(f"{path} is there already and is another file; move it away to download this one.")


def _check_space(folder: Path, missing: list[_Offer]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    on_disk = sum(offer.part.stat().st_size for offer in missing if offer.part.is_file())
    needed = sum(offer.size for offer in missing) - on_disk + MARGIN
    free = shutil.disk_usage(folder).free
    if missing and needed > free:
        raise DownloadError(
            f"{needed / 1e9:.1f} GB are needed in {folder} and {free / 1e9:.1f} GB are free; make room or "
            "make the folder a link to another disk."
        )


def read_record(folder: Path) -> dict[str, dict]:
    """What was downloaded into a folder before, by place below it.

    Raises:
        DownloadError: the record cannot be understood.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        whole = all(entry.keys() >= RECORDED for entry in record.values())
    except (ValueError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise DownloadError(f"{path} cannot be understood; delete it, and files are checked anew.")
    return record


def _is_recorded(path: Path, file: RemoteFile, entry: dict | None) -> bool:
    """Whether the file at its place was checked before and is unchanged, by size and time."""
    if entry is None or file.sha256 not in (None, entry["sha256"]) or not path.is_file():
        return False
    state = path.stat()
    return (state.st_size, state.st_mtime_ns) == (entry["size"], entry["mtime_ns"])


def _note(folder: Path, record: dict[str, dict], offer: _Offer, sha256: str) -> None:
    """Write down a file that is at its place; the time is that of the first download of this content."""
    first = offer.first
    record[str(offer.file.local_path)] = {
        "repository": offer.file.repository,
        "revision": offer.commit,
        "size": offer.size,
        "sha256": sha256,
        "mtime_ns": offer.path.stat().st_mtime_ns,
        "time": first["time"] if first and first["sha256"] == sha256 else now(),
    }
    data = json.dumps(record, indent=2).encode()
    with atomic.writing(folder / RECORD, len(data)) as unfinished:
        unfinished.write_bytes(data)


class _Meter:
    """Counts bytes towards a total and tells `on_step`."""

    def __init__(self, on_step: OnStep, total: int) -> None:
        self._on_step, self._total, self._done = on_step, total, 0

    def add(self, count: int, what: str) -> None:
        self._done += count
        try:
            self._on_step(self._done, self._total, what)
        except Exception as error:
            raise _Stopped from error


class _Sink:
    """A partial file as http_get writes it: hashes, counts and reports every chunk, earlier ones first."""

    def __init__(self, file: BinaryIO, offer: _Offer, meter: _Meter) -> None:
        self._file, self._offer, self._meter = file, offer, meter
        self.done, self._digest = 0, hashlib.sha256()
        file.seek(0)
        while chunk := file.read(CHUNK):
            self._count(chunk, f"checking {offer.path.name}")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        if self.done + len(chunk) > self._offer.size:
            raise _UselessPart(
                f"{self._offer.hub} sent more than the {self._offer.size:,} bytes of "
                f"{self._offer.file.local_path}, so they were thrown away; queue again to start anew."
            )
        try:
            self._file.write(chunk)
        except OSError as error:  # which must not be taken for one of the connection
            raise _disk_error(error, self._offer.part, self._offer.size - self.done) from error
        self._count(chunk, self._offer.path.name)

    def tell(self) -> int:
        return self.done

    def seek(self, position: int) -> None:
        """Rewind, for a server that sends the whole where it was asked for the rest; truncate follows."""
        self._file.seek(position)
        self._meter.add(-self.done, self._offer.path.name)
        self.done, self._digest = 0, hashlib.sha256()

    def truncate(self) -> None:
        self._file.truncate()

    def _count(self, chunk: bytes, what: str) -> None:
        self._digest.update(chunk)
        self.done += len(chunk)
        self._meter.add(len(chunk), what)


def _download(offer: _Offer, meter: _Meter) -> str:
    """Bring one file to its place and return its sha256."""
    part = offer.part
    meter.add(0, offer.path.name)
    part.parent.mkdir(parents=True, exist_ok=True)
    if part.is_file() and part.stat().st_size > offer.size:
        part.unlink()
    try:
        with atomic.locked(part) as file:
            sink = _Sink(file, offer, meter)
            _get(offer, sink)
        if offer.sha256 not in (None, sink.sha256):
            raise _UselessPart(_wrong(offer, sink.sha256))
    except _UselessPart:
        part.unlink()
        raise
    os.replace(part, offer.path)
    return sink.sha256


def _wrong(offer: _Offer, sha256: str) -> str:
    if offer.published is None and offer.first is not None:
        return changed(offer.file, offer.first, sha256)
    return (
        f"{offer.hub} sent as {offer.file.local_path} something with the sha256 {sha256} and not "
        f"{offer.published}, so it was thrown away; queue again, and check HF_ENDPOINT if it stays so."
    )
