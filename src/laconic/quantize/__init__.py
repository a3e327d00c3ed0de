"""Coefficients <-> integers (`quantize` / `dequantize`), and how fine: steps and the rate-distortion weight."""

from __future__ import annotations
