"""A model folder from a stranger: refused by name and with a remedy, and nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle  # noqa: TID251 - makes the file that must never be unpickled
import random
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from ml.contract import ModelError
from ml.graph_check import TENSOR_ELEMENTS, graph_fault
from ml.registry import (
    FILE_BYTES,
    MANIFEST_BYTES,
    altered_files,
    installed_models,
    manifest_seal,
    read_manifest,
    stray_files,
    verified_bytes,
)
from ml.runtime import load_folder
from tests.ml.test_hostile_arrays import Payload
from tests.ml.test_registry import rewrite


@pytest.fixture
def folder(copied, shipped) -> Path:
    return copied / shipped.name / shipped.version


@pytest.fixture
def canary(tmp_path) -> Path:
    """A file that exists only if something in a model folder was executed."""
    return tmp_path / "executed"


def install(folder: Path, content: bytes, *, name: str = "model.tflite") -> None:
    """Put a file in place with a manifest that is right about it in every way: the digest is no defence here."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / name).write_bytes(content)
    files = {**manifest["files"], name: hashlib.sha256(content).hexdigest()}
    rewrite(folder, files=files, model_file=name)


def refusal(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_folder(folder)
    assert caught.value.code in ("model_missing", "model_altered", "model_invalid")
    assert caught.value.remedy, "the person who runs the site is told what to do"
    return caught.value


# Programs in disguise


def keras_archive(canary: Path) -> bytes:
    """A ``.keras`` file whose Lambda layer would make the canary when Keras loads it with safe mode off."""
    code = f"__import__('os').mkdir({str(canary)!r})"
    layer = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": code}}}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("model.weights.h5", pickle.dumps(Payload(canary)))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.pkl", "model.npz", "model.pt"])
def test_only_a_litert_graph_is_ever_a_model_file(folder, canary, name):
    content = keras_archive(canary) if name == "model.keras" else pickle.dumps(Payload(canary))
    install(folder, content, name=name)
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert "LiteRT graph" in str(error)
    assert not canary.exists()


@pytest.mark.parametrize("make", [keras_archive, lambda canary: pickle.dumps(Payload(canary))])
def test_a_program_under_the_name_of_a_graph_is_no_graph(folder, canary, make):
    install(folder, make(canary))
    assert refusal(folder).code == "model_invalid"
    assert not canary.exists()


# Graphs


def graph(shipped) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(shipped.model_path.read_bytes()))


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def largest_buffer(model: schema.ModelT) -> schema.BufferT:
    return max(model.buffers, key=lambda each: 0 if each.data is None else len(each.data))


def with_custom_operation(model: schema.ModelT, name: bytes) -> None:
    operator = next(code for code in model.operatorCodes if code.builtinCode == schema.BuiltinOperator.ADD)
    operator.builtinCode, operator.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, schema.BuiltinOperator.CUSTOM
    operator.customCode = name


def with_endless_loop(model: schema.ModelT) -> None:
    """The image goes through a loop whose condition is the constant true."""
    main, condition, body = model.subgraphs[0], schema.SubGraphT(), schema.SubGraphT()
    entry = main.inputs[0]

    def tensor(shape, kind=schema.TensorType.FLOAT32, buffer=0):
        made = schema.TensorT()
        made.shape, made.type, made.buffer, made.name = shape, kind, buffer, b"loop"
        return made

    true = schema.BufferT()
    true.data = np.array([1], np.uint8)
    model.buffers.append(true)
    shape = list(main.tensors[entry].shape)
    condition.tensors = [tensor(shape), tensor([], schema.TensorType.BOOL, len(model.buffers) - 1)]
    condition.inputs, condition.outputs, condition.operators = [0], [1], []
    body.tensors, body.inputs, body.outputs, body.operators = [tensor(shape)], [0], [0], []
    model.subgraphs += [condition, body]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
    code.version = 1
    model.operatorCodes.append(code)
    main.tensors.append(tensor(shape))
    loop = schema.OperatorT()
    loop.opcodeIndex, loop.inputs, loop.outputs = len(model.operatorCodes) - 1, [entry], [len(main.tensors) - 1]
    loop.builtinOptionsType, loop.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()
    loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
    for operator in main.operators:
        operator.inputs = [loop.outputs[0] if each == entry else each for each in operator.inputs]
    main.operators = [loop, *main.operators]


def with_huge_tensor(model: schema.ModelT) -> None:
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape = [1, 100_000, 100_000, 3]


def with_other_side(model: schema.ModelT) -> None:
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape = [1, 192, 192, 3]


def with_output_missing(model: schema.ModelT) -> None:
    model.subgraphs[0].outputs = model.subgraphs[0].outputs[:1]


def with_wrong_tensor_number(model: schema.ModelT) -> None:
    model.subgraphs[0].operators[5].inputs = [99_999, -7, 3]


def with_missing_operator(model: schema.ModelT) -> None:
    model.subgraphs[0].operators[5].opcodeIndex = 1000


def with_short_weights(model: schema.ModelT) -> None:
    buffer = largest_buffer(model)
    buffer.data = buffer.data[:10]


def without_weights(model: schema.ModelT) -> None:
    largest_buffer(model).data = None


def with_weights_outside_the_file(model: schema.ModelT) -> None:
    buffer = largest_buffer(model)
    buffer.data, buffer.offset, buffer.size = None, 2**40, 2**30


def with_weights_that_are_no_numbers(model: schema.ModelT) -> None:
    buffer = largest_buffer(model)
    buffer.data = np.full(len(buffer.data) // 2, np.nan, np.float16).view(np.uint8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model: with_custom_operation(model, b"EvilOp"), "'EvilOp', a custom one"),
        (lambda model: with_custom_operation(model, b"FlexPyFunc"), "'FlexPyFunc', a custom one"),
        (with_endless_loop, "loops and branches"),
        (with_huge_tensor, "30,000,000,000 elements"),
        (with_other_side, ""),
        (with_output_missing, "outputs"),
        (with_wrong_tensor_number, "LiteRT cannot load it"),
        (with_missing_operator, "LiteRT cannot load it"),
        (with_short_weights, "LiteRT cannot load it"),
        (without_weights, "LiteRT cannot"),
        (with_weights_outside_the_file, "LiteRT cannot load it"),
        (with_weights_that_are_no_numbers, "not numbers"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_graph_that_is_not_plain_arithmetic_of_the_right_shape_is_refused(folder, shipped, change, words):
    model = graph(shipped)
    change(model)
    install(folder, packed(model))
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert words in str(error)


def test_the_graph_that_is_only_packed_anew_still_runs(folder, shipped):
    model = graph(shipped)
    model.description = b"packed anew"
    install(folder, packed(model))
    assert load_folder(folder).identity.sha256 != shipped.sha256


def test_the_shipped_graphs_are_plain_arithmetic():
    graphs = [model.model_path for model in installed_models()]
    assert graphs
    for path in graphs:
        assert graph_fault(path.read_bytes()) == ""
        assert path.stat().st_size < TENSOR_ELEMENTS


@pytest.mark.parametrize("cut", [0, 1, 7, 1000, 0.5, -1000])
def test_a_truncated_graph_with_the_right_digest_is_refused(folder, shipped, cut):
    content = shipped.model_path.read_bytes()
    install(folder, content[: int(cut * len(content)) if isinstance(cut, float) else cut])
    assert refusal(folder).code == "model_invalid"


# Folders


@pytest.mark.parametrize(
    "name", ["../../secret", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:model", "a\0b", "a\nb", "~root", "-rf"]
)
def test_a_manifest_that_reaches_out_of_its_folder_is_refused(folder, name):
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, files={**manifest["files"], name: "0" * 64})
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert "plain name" in str(error)


def test_a_link_out_of_the_folder_is_not_followed_even_to_the_right_bytes(folder, shipped):
    (folder / "model.tflite").unlink()
    (folder / "model.tflite").symlink_to(shipped.model_path)
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert "leads out of its folder" in str(error)
    assert any("leads out" in each for each in altered_files(read_manifest(folder)))


def test_a_link_within_the_folder_is_as_good_as_the_file(folder, shipped):
    (folder / "model.tflite").rename(folder / "stored")
    (folder / "model.tflite").symlink_to("stored")
    assert load_folder(folder).identity.sha256 == shipped.sha256


def test_a_link_to_itself_is_refused(folder):
    (folder / "model.tflite").unlink()
    (folder / "model.tflite").symlink_to("model.tflite")
    assert refusal(folder).code in ("model_invalid", "model_missing")


@pytest.mark.parametrize("name", ["manifest.json", "model.tflite"])
def test_a_pipe_is_refused_instead_of_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert "no regular file" in str(error)


@pytest.mark.parametrize("name", ["manifest.json", "model.tflite"])
def test_a_folder_in_the_place_of_a_file_is_refused(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    assert refusal(folder).code == "model_invalid"


@pytest.mark.parametrize(("name", "limit"), [("manifest.json", MANIFEST_BYTES), ("model.tflite", FILE_BYTES)])
def test_a_file_beyond_any_sense_is_not_read_into_memory(folder, name, limit):
    # A sparse file: it states its size and takes no room on the disk.
    with (folder / name).open("r+b") as handle:
        handle.truncate(limit + 1)
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert f"more than the {limit:,} that are read" in str(error)


def test_two_folders_that_claim_to_be_one_version_are_both_refused(copied, folder, shipped):
    (copied / "other").mkdir()
    folder.rename(copied / "other" / "7.0.0")
    (copied / shipped.name).rmdir()
    twin = copied / "another" / "7.0.0"
    twin.mkdir(parents=True)
    for path in (copied / "other" / "7.0.0").iterdir():
        (twin / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="both claim to be") as caught:
        installed_models(copied)
    assert caught.value.code == "model_invalid"


def test_a_file_that_the_manifest_does_not_list_is_never_read_and_is_named(folder):
    (folder / "extra.keras").write_bytes(b"anything")
    installed = read_manifest(folder)
    assert stray_files(installed) == ["extra.keras"]
    with pytest.raises(ModelError, match="not listed") as caught:
        verified_bytes(installed, "extra.keras")
    assert caught.value.code == "model_invalid"


# Manifests


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "a", "name": "b"}', "there twice"),
        ('{"a": {"b": 1, "b": 2}}', "there twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" * (MANIFEST_BYTES + 1), "more than the"),
        ('{"a": 1} {"b": 2}', "cannot be read"),
        ("﻿{}", "cannot be read"),
        ('"\\ud800"', "no JSON object"),
    ],
    ids=[
        "twice",
        "twice within",
        "nan",
        "infinity",
        "1e999",
        "digits",
        "arrays",
        "objects",
        "long",
        "two",
        "mark",
        "lone",
    ],
)
def test_a_manifest_that_two_readers_could_read_differently_is_refused(folder, text, words):
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    error = refusal(folder)
    assert error.code == "model_invalid"
    assert words in str(error)
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": {"temperature": "inf", "threshold": 0.5, "suspicion_cuts": [0.1] * 9}},
        {"calibration": {"temperature": 1, "threshold": "nan", "suspicion_cuts": [0.1] * 9}},
        {"calibration": {"temperature": 1, "threshold": 0.5, "suspicion_cuts": [0.1, "nan", *[0.2] * 7]}},
        {"calibration": {"temperature": 1, "threshold": 0.5, "suspicion_cuts": 9}},
        {"calibration": [1, 2]},
        {"calibration": "warm"},
        {"input": {"side": 1e308}},
        {"input": {"side": -224}},
        {"input": []},
        {"quality_limits": None},
        {"kind": "three_looks"},
        {"kind": ["classifier"]},
        {"version": "1.0.0\n"},
        {"version": "1.0.99999999999"},
        {"version": "١.٠.٠"},
        {"name": "us-mobilenetv2\n"},
        {"name": "a" * 5000},
        {"files": []},
        {"files": {}},
        {"model_file": ["model.tflite"]},
    ],
    ids=lambda changes: json.dumps(changes)[:40],
)
def test_a_sealed_manifest_with_senseless_values_is_refused(folder, changes):
    rewrite(folder, **changes)
    assert refusal(folder).code == "model_invalid"


def test_manifests_changed_at_random_load_or_are_refused_by_name(folder, shipped):
    """Manifests with one entry replaced by nonsense, sealed again so that the seal is no defence."""
    chance = random.Random(11)
    nonsense = [None, True, 0, -1, 10**19, 1e300, "", "nan", "../..", "\0", "é" * 300, [], [[]], {}, {"a": []}, [0] * 9]
    whole = json.loads((folder / "manifest.json").read_text())
    refused = 0
    for _ in range(80):
        manifest = json.loads(json.dumps(whole))
        place = manifest
        while True:
            name = chance.choice(sorted(place))
            if isinstance(place[name], dict) and place[name] and chance.random() < 0.7:
                place = place[name]
                continue
            break
        place[name] = chance.choice(nonsense)
        manifest["seal"] = manifest_seal(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        try:
            load_folder(folder)
        except ModelError as error:
            assert error.remedy
            refused += 1
    assert 10 < refused < 80


def test_manifests_with_bytes_changed_at_random_are_refused_by_name(folder):
    chance = random.Random(13)
    whole = (folder / "manifest.json").read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 4, 40))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        if content == whole:
            continue
        (folder / "manifest.json").write_bytes(content)
        assert refusal(folder).remedy
