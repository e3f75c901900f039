"""A small vision transformer that gives its patch tokens, and its attention where asked."""

from typing import Any

import torch
from torch import Tensor, nn

import detect_plugins.torchvision_guard  # noqa: F401  (timm imports torchvision)

# isort: split
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block

from detect_plugins.focus.config import FocusConfig
from detect_plugins.layers.timm_model import Pretrained, timm_model


class PatchTokens(nn.Module):
    """Normalised image (B, 3, S, S) -> patch tokens (B, N, D), the class token dropped."""

    def __init__(self, config: FocusConfig, *, pretrained: Pretrained) -> None:
        super().__init__()
        self.vit: Any = timm_model(config.trunk, pretrained, img_size=config.input_px)
        self.dim = int(self.vit.embed_dim)
        self.heads = int(self.vit.blocks[0].attn.num_heads)
        if config.pos_embed == "sincos":
            self._set_sincos(config.map_px)
        if config.freeze_pos_embed:
            self.vit.pos_embed.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.vit.forward_features(x)
        return tokens[:, 1:]

    def with_attention(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Patch tokens, and the class token's attention to each patch in the last block (B, N)."""
        vit = self.vit
        x = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(x))))
        for block in vit.blocks[:-1]:
            x = block(x)
        last = vit.blocks[-1]
        attention = _class_attention(last.attn, last.norm1(x))
        tokens: Tensor = vit.norm(last(x))
        return tokens[:, 1:], attention

    def share_positions(self, other: "PatchTokens") -> None:
        """Take the other trunk's positional encoding, so that fixed ones are the same in both."""
        self.vit.pos_embed.data.copy_(other.vit.pos_embed.data)

    def _set_sincos(self, side: int) -> None:
        embed = build_sincos2d_pos_embed([side, side], dim=self.dim)
        with torch.no_grad():
            self.vit.pos_embed.zero_()
            self.vit.pos_embed[0, 1:].copy_(embed)


def transformer_block(dim: int, heads: int) -> nn.Module:
    """One pre-norm transformer block, (B, N, D) -> (B, N, D)."""
    block: nn.Module = Block(dim, heads, qkv_bias=True)
    return block


def _class_attention(attention: Any, x: Tensor) -> Tensor:
    """Softmax attention of the first token to the others, mean over heads: (B, N)."""
    b, n, dim = x.shape
    heads = int(attention.num_heads)
    qkv = attention.qkv(x).reshape(b, n, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
    query, key = qkv[0][:, :, :1], qkv[1]
    weights: Tensor = (query @ key.transpose(-2, -1) * attention.scale).softmax(dim=-1)
    return weights.mean(dim=1)[:, 0, 1:]
