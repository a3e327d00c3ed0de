// trellis.h - the trellis of trellis-coded quantization (Marcellin & Fischer, IEEE Trans. Commun. 38(1), 1990): which of
// two quantizers a level belongs to, how levels drive the state, and where their reconstruction points lie.
//
// A level k is an integer. In quantizer 0 it stands for 2k steps, in quantizer 1 for 2k - sign(k) steps: together all
// whole multiples of the step. Counted modulo 4, the points form four subsets, two in each quantizer. Quantizer 1 has
// no zero, unless the tensor says that zero is shared: that costs distance between the subsets and saves rate where
// most levels are zero (the dependent quantization of H.266), which pays below about one bit per value. The state says which quantizer the next level belongs to, and the subset of a level drives the state, so
// the decoder follows. The states are those of Ungerboeck's rate-1/2 codes for amplitude modulation (IEEE Trans. Inf.
// Theory 28(1), 1982, table I) in observer form: a shift register to which quantizer bit and subset bit are added.
#pragma once
#include <cstdint>

#include "rans.h"

namespace laconic {

constexpr unsigned kMinTrellisBits = 2, kMaxTrellisBits = 8;

// Parity-check polynomials h0 and h1 without their lowest bit, by the number of state bits. h0 begins and ends with a
// one and h1 with a zero: so the top bit of a state is the quantizer that led to it.
constexpr uint32_t kQuantizerTaps[] = {0, 0, 05 >> 1, 013 >> 1, 023 >> 1, 045 >> 1, 0103 >> 1, 0235 >> 1, 0515 >> 1};
constexpr uint32_t kSubsetTaps[] = {0, 0, 02 >> 1, 04 >> 1, 04 >> 1, 010 >> 1, 024 >> 1, 0126 >> 1, 0362 >> 1};

// The quantizer (0 or 1) of the level that comes next.
LACONIC_INLINE uint32_t trellis_quantizer(uint32_t state) { return state & 1; }

// Which half of its quantizer a level is in. Quantizer 0: multiples of 4 steps, or the points between. Quantizer 1:
// points 3 or 1 above a multiple of 4, on both sides of zero, so the parity of k turns around below zero; with a shared
// zero it does not, and both signs of a level are of one subset.
LACONIC_INLINE uint32_t trellis_subset(uint32_t quantizer, int32_t level, bool shared_zero) {
  return (uint32_t(level) ^ (shared_zero ? 0 : quantizer & uint32_t(level) >> 31)) & 1;
}

class Trellis {
 public:
  LACONIC_INLINE Trellis(unsigned bits, bool shared_zero)
      : taps_{kQuantizerTaps[bits], kSubsetTaps[bits]}, shared_zero_(shared_zero) {}
  LACONIC_INLINE uint32_t state() const { return state_; }
  LACONIC_INLINE uint32_t quantizer() const { return trellis_quantizer(state_); }
  // The smallest |k| that comes next.
  LACONIC_INLINE uint32_t least() const { return shared_zero_ ? 0 : quantizer(); }
  LACONIC_INLINE void advance(int32_t level) {
    const uint32_t q = quantizer(), s = trellis_subset(q, level, shared_zero_);
    state_ = state_ >> 1 ^ ((0u - q) & taps_[0]) ^ ((0u - s) & taps_[1]);
  }

 private:
  uint32_t state_ = 0;
  uint32_t taps_[2];
  bool shared_zero_;
};

// A magnitude in steps.
LACONIC_INLINE uint32_t trellis_magnitude(uint32_t quantizer, uint32_t size) { return size ? 2 * size - quantizer : 0; }

constexpr int32_t kMaxLevel = 32767;  // of |k|

// Reconstruction points are whole multiples of 1/64 step. A point lies at its magnitude less an offset that the tensor
// signals: small values are more frequent than large ones, and the encoder's rate term moves the cells outward.
constexpr int kPointUnit = 64;
constexpr int kOffsetMagnitudes = 3;  // |k| = 1, 2, and 3 with all above

constexpr int kMostOffset = 48;  // 3/4 step: points keep their order

struct PointOffsets {
  int8_t offset[2][kOffsetMagnitudes];  // by quantizer
};

LACONIC_INLINE int32_t trellis_point(uint32_t quantizer, int32_t level, const PointOffsets& offsets) {
  if (level == 0) return 0;
  const int32_t k = level < 0 ? -level : level;
  const int32_t row = k < kOffsetMagnitudes ? k - 1 : kOffsetMagnitudes - 1;
  const int32_t point = (2 * k - int32_t(quantizer)) * kPointUnit - offsets.offset[quantizer][row];
  return level < 0 ? -point : point;
}

}  // namespace laconic
