"""The kinds of model are texts in files and messages, and each has its row."""

from __future__ import annotations

import json

import pytest

from levo.kinds import MODELS, Kind, second_kind


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_written_as_its_text(kind: Kind):
    assert str(kind) == f"{kind}" == f"{kind:s}" == "%s" % kind == kind.value  # noqa: UP031
    assert json.loads(json.dumps({"kind": kind})) == {"kind": kind.value}
    assert {kind.value: 1}[kind] == 1


def test_each_model_is_found_by_a_tensor_of_its_own_or_in_the_file_of_another():
    shared = {second_kind(kind) for kind in MODELS}
    assert {kind for kind, model in MODELS.items() if model.marker} == MODELS.keys() - shared


def test_names_of_released_files_tell_one_kind():
    names = [name for model in MODELS.values() for name in model.names]
    assert len(names) == len(set(names))
