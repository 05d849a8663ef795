"""Weights in 4 or 8 bits on disk: blocks of 32 numbers with one scale, as llama.cpp's Q4_0 has them.

A matrix becomes two tensors of a safetensors file, NAME.q4 or NAME.q8 (uint8) and NAME.scale (float16): 4 bits where nothing is
lost by it, since it came in such blocks, else 8. What is no matrix, or not wide enough, is kept in bfloat16. In memory everything
is unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

BLOCK = 32


def pack(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name -> tensor, smaller; the number of a block that is furthest from 0 is kept to float16."""
    packed: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.dim() != 2 or value.shape[1] % BLOCK:
            packed[name] = value.detach().to(torch.bfloat16).contiguous()
            continue
        small = _packed(name, value.detach().float(), 4)
        is_exact = torch.equal(unpack(small)[name], value.float())
        packed |= small if is_exact else _packed(name, value.detach().float(), 8)
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name -> tensor, float32, what pack() made back to its shape. Raises KeyError for a matrix without its scale."""
    weights: dict[str, Tensor] = {}
    for name, value in packed.items():
        plain, _, kind = name.rpartition(".")
        if kind == "scale":
            continue
        if kind not in ("q4", "q8"):
            weights[name] = value.float()
            continue
        scale = packed[f"{plain}.scale"].float()[..., None]
        numbers = value.reshape(*scale.shape[:2], -1)
        if kind == "q4":
            numbers = torch.cat([numbers & 15, numbers >> 4], 2)
        weights[plain] = ((numbers.float() - (8 if kind == "q4" else 128)) * scale).reshape(len(value), -1)
    return weights


def _packed(name: str, matrix: Tensor, bits: int) -> dict[str, Tensor]:
    middle = 2 ** (bits - 1)
    blocks = matrix.reshape(len(matrix), -1, BLOCK)
    furthest = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    scale = (furthest / -middle).half()
    whole = torch.where(scale == 0, torch.zeros_like(blocks), blocks / scale.float()).round() + middle
    numbers = whole.clamp(0, 2 * middle - 1).to(torch.uint8)
    if bits == 4:
        numbers = numbers[..., : BLOCK // 2] | numbers[..., BLOCK // 2 :] << 4
    return {f"{name}.q{bits}": numbers.reshape(len(matrix), -1).contiguous(), f"{name}.scale": scale[..., 0].contiguous()}
