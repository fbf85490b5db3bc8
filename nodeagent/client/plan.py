"""A job before it is posted: inputs checked against the model, cut into shards, and its manifest.

The model is only ever opened by the Executor, a process of its own. Everything that goes into the manifest
follows from the arguments, so the same call makes the same manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nodeagent.client.inputs import TaskInputs, check_inputs, cut_shards
from nodeagent.content import ContentStore
from nodeagent.errors import JobFault
from nodeagent.protocol.cids import raw_cid
from nodeagent.protocol.documents import Content
from nodeagent.protocol.manifest import (
    InputTensor,
    JobManifest,
    OutputTensor,
    Preprocessing,
    Runtime,
    encode_manifest,
)
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.types import CANONICAL, MAX_INPUT_BYTES, MAX_OUTPUT_BYTES, Identity, ModelFacts, TensorSpec

DEFAULT_STRING_BYTES = 65_536  # room for an answer whose size the model leaves open


class BadModel(JobFault):
    """The model cannot be an answerable question: what it breaks, one reason after the other."""


@dataclass(frozen=True, slots=True)
class JobPlan:
    """:param digest: sha256 of ``document``, the canonical manifest: what names the job's content on chain"""

    manifest: JobManifest
    document: bytes
    digest: bytes
    facts: ModelFacts

    @property
    def cid(self) -> str:
        return raw_cid(self.digest)


def check_model(facts: ModelFacts, inputs: TaskInputs) -> None:
    """Compares inputs and model, then the model with the rules.

    :raises BadInputs: an array does not fit
    :raises BadModel: nodes would refuse it, whatever the inputs
    """
    check_inputs(inputs, facts.inputs)
    if facts.problems:
        reasons = "; ".join(facts.problems)
        raise BadModel(f"nodes would refuse this model: {reasons}", hint="change the model's export and try again")


def make_plan(
    model: Path,
    inputs: TaskInputs,
    facts: ModelFacts,
    runtime: Identity,
    store: ContentStore,
    *,
    shard_size: int,
    units: int | None = None,
    max_output_bytes: int | None = None,
    title: str | None = None,
    preprocessing: Preprocessing | None = None,
    labels: dict[str, tuple[str, ...]] | None = None,
) -> JobPlan:
    """Puts model, shards and manifest into ``store``.

    :param preprocessing: how the inputs were made, for the manifest
    :param labels: by output, what its numbers stand for
    :param units: millions of operations a task may use; what the model needs when None
    :raises BadInputs: they do not fit the model, or one shard's file is too large
    :raises BadModel: nodes would refuse it, or it needs more than the units or bytes given
    :raises Malformed: the manifest is over 1 MiB
    """
    check_model(facts, inputs)
    units = facts.units if units is None else units
    if units < facts.units:
        raise BadModel(f"the model needs {facts.units} units a task: --units gives {units}")
    room = max_output_bytes or facts.output_bytes or DEFAULT_STRING_BYTES
    if not facts.output_bytes <= room <= MAX_OUTPUT_BYTES:
        raise BadModel(
            f"a task's answer has {facts.output_bytes} bytes: expected at most {min(room, MAX_OUTPUT_BYTES)}"
        )
    shards = []
    for number, blob in enumerate(cut_shards(inputs, shard_size)):
        if len(blob) > MAX_INPUT_BYTES:
            raise BadModel(
                f"the inputs of shard {number} have {len(blob)} bytes: at most {MAX_INPUT_BYTES} are allowed",
                hint="use a smaller --shard-size",
            )
        shards.append(Content(cid=str(store.put_bytes(blob)), bytes=len(blob)))
    manifest = JobManifest(
        runtime=Runtime(name=runtime.name, id="0x" + runtime.runtime_id.hex()),
        model=Content(cid=str(store.put_file(model)), bytes=model.stat().st_size),
        inputs=tuple(InputTensor.model_validate(_tensor(s)) for s in inputs.specs()),
        outputs=tuple(OutputTensor.model_validate({"name": o.name, "dtype": o.dtype}) for o in facts.outputs),
        tasks=inputs.tasks,
        shard_size=shard_size,
        units=units,
        max_output_bytes=room,
        shards=tuple(shards),
        title=title,
        preprocessing=preprocessing,
        labels=labels,
    )
    document, digest = encode_manifest(manifest)
    if str(store.put_bytes(document)) != raw_cid(digest):
        raise BadModel("the store names the manifest by another CID than its sha256", hint="use the default layout")
    return JobPlan(manifest, document, digest, facts)


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": spec.shape}


@contextmanager
def inspecting(home: Path, runtimes: Path, *payload: Path) -> Iterator[Executor]:
    """An Executor of this command's own, ended with it, which may read the folders ``payload``."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        TemporaryDirectory(dir=home, prefix="inspect-") as scratch,
        Executor(runtimes, None, Path(scratch), payload=payload) as executor,
    ):
        yield executor


def canonical_runtime(runtimes: Path) -> Identity:
    """Identity of the canonical runtime, installed first where it is not. Raises ToolMissing, InstallFailed."""
    from nodeagent.runtimes.identity import identities
    from nodeagent.runtimes.install import install

    install(runtimes)
    return identities(runtimes)[CANONICAL]
