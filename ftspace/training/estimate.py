"""Peak memory and time of a run, from the shape of its model, its config and the lengths of its rows. Pure arithmetic.

Knows no torch, no files and no machine: what a device can do is given. The constants were fitted to runs of
`python -m benchmarks.estimate`, which tells how far off the estimates are; docs/design/0013-estimate.md says why so.
"""

from dataclasses import dataclass, fields

from ftspace.config import RunConfig
from ftspace.devices import Device, fast_bfloat16
from ftspace.training.passes import Tokens
from ftspace.training.recipe import Recipe
from ftspace.training.shape import Shape

BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
NF4_BYTES = 0.516
"""A weight in 4 bits with its share of the doubly quantized scales (QLoRA, Dettmers et al. 2023)."""
INT8_BYTES = 1.002
"""A weight in 8 bits with its row's scale."""
OPTIMIZER_BYTES = {
    "adamw_torch": 8.0,
    "adamw_torch_fused": 8.0,
    "adamw_8bit": 2.03,
    "paged_adamw_32bit": 8.0,
    "paged_adamw_8bit": 2.03,
    "adafactor": 0.05,
    "lion_32bit": 4.0,
    "lion_8bit": 1.02,
    "rmsprop": 4.0,
    "adagrad": 4.0,
    "sgd": 0.0,
}
"""What an optimizer holds of each trained parameter."""
LOGIT_BYTES = 12.0
"""Of a supervised position and a token of the vocabulary, where logits are made whole: the log-probabilities, their
gradient and that of the logits, in float32, lie there together."""
PIECE = 2.0**26
"""Of a piece in float32, where the loss goes through the logits piece by piece; two of them lie there together, and
their copies in half precision take as much as a third."""
TRIED_BYTES = 5 * 4 * 192.0
"""Of a token of the vocabulary on a CPU: five times the logits of the 192 positions by which a model is tried before
its first step. They are freed and leave holes that larger tensors don't fit in."""
HEAD_COPIES = 4.0
"""Of the output head on a CPU in half precision: its products lay the weights out anew, forward and backward."""
SQUARED = {"float32": 128, "bfloat16": 640}
"""On a CPU the weights of attention are kept for documents of up to so many tokens."""
ROW_BYTES = 16.0
"""Of a parameter of embedding and head when rows of them are trained: the merged copy, its gradient, and another."""
SLACK = {"cpu": 1.2, "cuda": 1.08}
"""Memory that an allocator holds over the activations in use: they come in many sizes, and leave gaps."""
IDLE_BYTES = {"cpu": 0.65e9, "cuda": 0.6e9}
"""A worker that has done nothing yet: the libraries on a CPU; on a GPU its context and the kernels' workspace."""
ASKING_BYTES = 0.75e9
"""The same of the evaluation's process on a CPU, which imports more."""

WIDEST = 3.0
"""Gradients of the feed-forward part's width that lie there together in the backward pass."""
PASS_OPS = 350.0
"""Tensor operations of a layer in one pass forward and backward: what a small model spends its time on."""
GROUP_OPS = 20.0
"""Of a layer for each further length among the documents of a pass."""
STEP_OPS = 3500.0
"""Of a step, beside its passes: collating, clipping, the optimizer, the log."""
ADAPTER_OPS = 12.0
"""Of an adapted matrix in a step: the optimizer goes through its two parts one by one."""
TRAFFIC = 3.0
"""How often a GPU moves through its memory in a step what is kept for the backward pass."""
NUMBER_BYTES = 167.0
"""On a CPU a number of those kept costs a step, beside the products, as much as moving so many bytes: norms, softmax,
casts, copies and their gradients go through it some twenty times, in bfloat16 no faster than in float32."""
RECORDED = 2.15
"""Starting an operation on a CPU takes so much longer where a backward pass is recorded and made."""


@dataclass(frozen=True)
class Memory:
    """Peak memory of the training by its parts, in bytes."""

    idle: float
    weights: float
    adapters: float
    """Trained parameters, their gradients and the optimizer's state."""
    activations: float
    logits: float
    slack: float

    @property
    def total(self) -> int:
        """All of them."""
        return round(sum(getattr(self, one.name) for one in fields(self)))


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a training step, and what else it spends its time on."""

    flops: float
    traffic: float
    """Bytes moved through memory beside the products."""
    operations: float
    """Tensor operations."""
    numbers: float
    """What the layers, their attention and the head make, one by one."""


def trainable(shape: Shape, config: RunConfig, rows: int = 0) -> int:
    """Parameters that are trained; `rows` tokens have theirs trained in embedding and head."""
    lora = config.lora
    if lora.method == "full":
        return shape.parameters
    if lora.method == "prompt_tuning":
        return lora.virtual_tokens * shape.hidden
    if lora.method == "prefix_tuning":
        return lora.virtual_tokens * 2 * shape.layers * shape.kv_heads * shape.head_width
    count = 0
    for one in shape.adapted(lora.target_modules):
        count += one.count * (lora.r * (one.rows + one.columns) + (one.rows if lora.dora else 0))
        count += one.parameters if one.name in lora.modules_to_save else 0
    saved = sum(name in ("lm_head", "embed_tokens") for name in lora.modules_to_save)
    return count + saved * shape.head + rows * shape.hidden * (1 if shape.tied else 2)


def weight_bytes(shape: Shape, config: RunConfig, dtype: str) -> float:
    """The base's weights as the run holds them; those that are trained whole in float32."""
    each = 4.0 if config.lora.method == "full" else BYTES.get(dtype, 2.0)
    kept = {"nf4": NF4_BYTES, "int8": INT8_BYTES, "none": each}[config.model.quantization]
    return shape.linear * kept + (shape.parameters - shape.linear) * each


def activation_bytes(shape: Shape, dtype: str, tokens: int, squares: int = 0, *, checkpointing: bool) -> float:
    """What the forward pass of `tokens` keeps for the backward pass, and what that adds at its widest.

    Of a layer in half precision, a token: the inputs of both norms in float32, their results, which all adapters behind
    them share, queries, keys and values with the attention's result, and of the feed-forward part its gate before and
    after, its other half and their product. In float32 the norms keep a second copy. `squares` are those of attention.
    """
    hidden, inner, each = shape.hidden, shape.inner, BYTES.get(dtype, 2.0)
    queries, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    layer = tokens * (8 * hidden + each * (2 * hidden + 3 * queries + 2 * keys + 4 * inner))
    layer += each * shape.heads * squares
    widest = tokens * WIDEST * each * inner
    if checkpointing:
        return tokens * shape.layers * each * hidden + layer + widest
    return shape.layers * layer + widest


def memory(
    shape: Shape,
    config: RunConfig,
    *,
    kind: str,
    dtype: str,
    checkpointing: bool,
    tokens: int,
    supervised: int,
    squares: int = 0,
    rows: int = 0,
) -> Memory:
    """Peak memory of the training.

    Args:
        shape: the model's.
        config: the run's.
        kind: cpu, cuda or mps.
        dtype: in which the base computes.
        checkpointing: whether activations are computed again.
        tokens: most of one pass.
        supervised: trained ones among them.
        squares: of the lengths of its documents, where attention keeps its weights.
        rows: tokens whose rows are trained.
    """
    trained = trainable(shape, config, rows)
    optimizer = OPTIMIZER_BYTES[config.train.optimizer]
    full = config.lora.method == "full"
    adapters = trained * ((4 if full else 8) + optimizer) + (ROW_BYTES * shape.head if rows else 0)
    activations = activation_bytes(shape, dtype, tokens, squares, checkpointing=checkpointing)
    place = "cpu" if kind == "cpu" else "cuda"
    logits = LOGIT_BYTES * shape.vocabulary * supervised
    half = BYTES.get(dtype, 2.0) < 4
    if shape.plain_head:
        logits = min(logits, (3 if half else 2) * PIECE)
    if place == "cpu":
        logits += TRIED_BYTES * shape.vocabulary + (HEAD_COPIES * 2 * shape.head if half else 0)
    return Memory(
        idle=IDLE_BYTES[place],
        weights=weight_bytes(shape, config, dtype),
        adapters=adapters,
        activations=activations,
        logits=logits,
        slack=activations * (SLACK[place] - 1),
    )


def needs_checkpointing(
    shape: Shape, config: RunConfig, micro_batch_tokens: int, available_bytes: int, *, kind: str = "cuda"
) -> bool:
    """Whether a pass of so many tokens, all of them trained, would not fit without gradient checkpointing."""
    found = memory(
        shape,
        config,
        kind=kind,
        dtype=compute_dtype(shape, config, kind),
        checkpointing=False,
        tokens=micro_batch_tokens,
        supervised=micro_batch_tokens,
    )
    return found.total > available_bytes


def compute_dtype(shape: Shape, config: RunConfig, kind: str) -> str:
    """The number format of the base's weights in training: with auto, that in which the checkpoint is stored.

    On a CPU this is bfloat16 only, where the CPU multiplies it fast. Weights that are trained or quantized stay with
    what loading them makes of auto.
    """
    plain = config.model.quantization == "none" and config.lora.method != "full"
    if config.model.dtype != "auto":
        return config.model.dtype
    if kind == "cpu":
        return "bfloat16" if plain and shape.dtype == "bfloat16" and fast_bfloat16() else "float32"
    return shape.dtype


def evaluation_bytes(shape: Shape, config: RunConfig, kind: str, dtype: str, *, longest: int, questions: int) -> int:
    """Peak memory of asking base and tuned: weights, adapter, the cache of a whole batch, and its widest layer."""
    each = BYTES.get(dtype, 2.0)
    width = longest + config.eval.max_new_tokens
    batch = max(1, min(questions, config.eval.batch_tokens // width))
    cache = 2 * each * shape.layers * shape.kv_heads * shape.head_width * batch * width
    widest = batch * longest * (3 * shape.inner + 4 * shape.hidden) * each + batch * shape.vocabulary * (each + 4)
    idle = ASKING_BYTES if kind == "cpu" else IDLE_BYTES["cuda"]
    adapter = 4 * trainable(shape, config) if config.lora.method != "full" else 0
    return round(idle + weight_bytes(shape, config, dtype) + adapter + cache + widest)


def step_work(shape: Shape, config: RunConfig, dtype: str, recipe: Recipe, tokens: Tokens, rows: int = 0) -> Work:
    """What a step of the recipe's batch does, on average.

    A matrix costs 2 operations a parameter and token forward, as many backward for the gradient of its input, and as
    many again only where its own gradient is wanted: adapters, full fine-tuning. Causal attention costs half a square.
    """
    seen = recipe.batch_size * tokens.mean
    full = config.lora.method == "full"
    forward = 2 * shape.active * seen
    pairs = recipe.batch_size * tokens.square / 2
    attention = 4 * shape.layers * shape.heads * shape.head_width * pairs
    head = 2 * shape.head * seen * tokens.supervised
    adapters = 0 if full else 2 * seen * trainable(shape, config)
    flops = forward * (3 if full else 2) + attention * 3.5 + head * (3 if full or rows else 2) + adapters * 3
    if recipe.gradient_checkpointing:
        flops += forward + attention + adapters
    kept = activation_bytes(shape, dtype, round(seen), checkpointing=False)
    again = 1.5 if recipe.gradient_checkpointing else 1.0
    traffic = TRAFFIC * kept * again + 2 * LOGIT_BYTES * shape.vocabulary * seen * tokens.supervised
    traffic += weight_bytes(shape, config, dtype) * 2 * tokens.parts
    layer = seen * (4 * shape.hidden + shape.head_width * (3 * shape.heads + 2 * shape.kv_heads) + 4 * shape.inner)
    layer += shape.heads * recipe.batch_size * tokens.square
    numbers = again * shape.layers * layer + shape.vocabulary * seen * tokens.supervised
    matrices = sum(one.count for one in shape.adapted(config.lora.target_modules))
    operations = STEP_OPS + ADAPTER_OPS * matrices
    operations += shape.layers * again * (PASS_OPS * tokens.parts + GROUP_OPS * tokens.groups)
    return Work(flops, traffic, operations, numbers)


def seconds_of(work: Work, device: Device, dtype: str) -> float:
    """How long a person waits for it.

    A GPU makes products and moves the rest, or launches all that if this takes longer. A processor spreads the products
    over its cores and does the rest in one thread: what comes between the products is too small to be spread.
    """
    products = work.flops / device.flops(dtype)
    launched = work.operations * device.launch_seconds
    if device.kind == "cpu":
        return products + work.numbers * NUMBER_BYTES / (device.bandwidth / device.cores) + RECORDED * launched
    return max(products + work.traffic / device.bandwidth, launched)
