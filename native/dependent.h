// dependent.h - dependent quantization of coefficients (Schwarz et al., DCC 2019; trellis-coded quantization): which of
// two quantizers a symbol belongs to follows from the parities of the symbols before it.
//
// Quantizer 0 has its points at whole steps. Those of quantizer 1 lie half a step nearer to zero, and zero is a point of
// both. So the points the encoder may choose among are packed as tightly as with half the step, while each symbol costs
// what it costs with the whole one. The states are those of an eight-state code, see trellis.h.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "model.h"
#include "trellis.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr unsigned kStateBits = 3, kStates = 1u << kStateBits;

// The first of the tables that serve a symbol in this state.
LACONIC_INLINE unsigned first_row(unsigned state) { return trellis_quantizer(state) * kRowsEach; }

LACONIC_INLINE unsigned next_state(unsigned state, uint32_t magnitude) {
  return state >> 1 ^ ((0u - (state & 1)) & kQuantizerTaps[kStateBits]) ^ ((0u - (magnitude & 1)) & kSubsetTaps[kStateBits]);
}

}  // namespace LACONIC_ISA
}  // namespace laconic
