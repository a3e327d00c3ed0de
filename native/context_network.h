// context_network.h - what a small network makes of all that surrounds a coefficient: logarithmic odds of the decisions "it
// is 0, 1, 2", as one more opinion for the mixing (spec/contexts.md).
//
// All inputs but the two in the coefficient's own row read finished rows. So the sums of the hidden units are formed for a
// whole group at once, 16 positions; symbol by symbol only two products are added, and the outputs follow. Sums fit 32
// bits (ContextNetwork checks), so the order of additions is free.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "causal.h"
#include "context_weights.h"
#include "mixing.h"
#include "network_layers.h"

namespace laconic {
namespace LACONIC_ISA {

class ContextNetwork {
 public:
  static constexpr bool kSpeaks = true;
  explicit ContextNetwork(const ContextWeights* weights) : weights_(weights) {}

  // Before the symbols of a row.
  LACONIC_INLINE void start_row(const Context& own, const Sources& src, int y) {
    own_ = own.mag + ptrdiff_t(y) * own.stride;
    for (int i = 0; i < 2 * weights_->pairs; ++i) from_[i] = row_of(own, src, y, weights_->input[i]);
  }

  // Before the symbols of a group that is not all zero.
  inline void start_group(int x0) {
    first_ = x0;
    alignas(64) int16_t pair[kInputs / 2][kGroup][2];
    for (int k = 0; k < weights_->pairs; ++k) interleave(from_[2 * k] + x0, from_[2 * k + 1] + x0, pair[k]);
#if defined(__SSE2__)
    constexpr int kLanes = int(sizeof(Samples) / sizeof(int32_t)), kTogether = 4, kVectors = 2;
    static_assert(kHidden % (kVectors * kLanes) == 0 && kGroup % kTogether == 0);
    for (int h = 0; h < kHidden; h += kVectors * kLanes)
      for (int x = 0; x < kGroup; x += kTogether) {
        Samples acc[kTogether][kVectors];
        for (int i = 0; i < kTogether; ++i)
          for (int j = 0; j < kVectors; ++j) acc[i][j] = load(weights_->bias + h + j * kLanes);
        for (int k = 0; k < weights_->pairs; ++k) {
          Samples w[kVectors];
          for (int j = 0; j < kVectors; ++j) w[j] = load(weights_->weight[k][h + j * kLanes]);
          for (int i = 0; i < kTogether; ++i) {
            int32_t both;
            memcpy(&both, pair[k][x + i], sizeof both);
            const Samples two = repeated(both);
            for (int j = 0; j < kVectors; ++j) acc[i][j] = multiply_add(acc[i][j], two, w[j]);
          }
        }
        for (int i = 0; i < kTogether; ++i)
          for (int j = 0; j < kVectors; ++j) store(sums_[x + i] + h + j * kLanes, acc[i][j]);
      }
#else
    for (int x = 0; x < kGroup; ++x) {
      for (int h = 0; h < kHidden; ++h) sums_[x][h] = weights_->bias[h];
      for (int k = 0; k < weights_->pairs; ++k)
        for (int h = 0; h < kHidden; ++h)
          sums_[x][h] += pair[k][x][0] * weights_->weight[k][h][0] + pair[k][x][1] * weights_->weight[k][h][1];
    }
#endif
  }

  // Before the decisions of a symbol of the group.
  LACONIC_INLINE void look(int x, unsigned quantizer) { look_from(x, quantizer, own_[x - 1], own_[x - 2]); }

  // The same for two symbols to the left that only may come true.
  LACONIC_INLINE void look_from(int x, unsigned quantizer, uint8_t west, uint8_t west2) {
    const int32_t one = limited(west), two = limited(west2);
    const int32_t* sums = sums_[x - first_];
    for (int h = 0; h < kHidden; ++h) {
      const int32_t v = (sums[h] + two * weights_->own_row[0][h] + one * weights_->own_row[1][h]) >> weights_->shift;
      unit_[h] = int16_t(v < 0 ? 0 : v > kMaxUnit ? kMaxUnit : v);
    }
    outputs_ = int(quantizer) * kDecisions;
  }

  // The logarithmic odds of a decision, in 1/256.
  LACONIC_INLINE int32_t odds(unsigned decision) const {
    const int16_t* w = weights_->output[outputs_ + int(decision)];
    int32_t sum = weights_->output_bias[outputs_ + int(decision)];
    for (int h = 0; h < kHidden; ++h) sum += int32_t(unit_[h]) * w[h];
    sum >>= weights_->output_shift;
    return sum > kMaxStretched ? kMaxStretched : sum < -kMaxStretched ? -kMaxStretched : sum;
  }

 private:
  static LACONIC_INLINE int32_t limited(uint8_t mag) { return mag < kMaxInput ? mag : kMaxInput; }

  // Where the magnitudes of an input lie, at column 0; what is not there is zero.
  static LACONIC_INLINE const uint8_t* row_of(const Context& own, const Sources& src, int y, unsigned input) {
    const uint8_t* nothing = own.mag - 2 * ptrdiff_t(own.stride);  // two rows above the band all is zero
    const auto square = [&](const Context* of, unsigned k) {
      return of ? of->mag + ptrdiff_t(y + int(k) / 3 - 1) * of->stride + int(k) % 3 - 1 : nothing;
    };
    if (input < kTapParent) return own.mag + ptrdiff_t(y + int(input) / 5 - 2) * own.stride + int(input) % 5 - 2;
    if (input < kTapSibling) return square(src.parent, input - kTapParent);
    if (input < kTapSibling + 9) return square(src.sibling[0], input - kTapSibling);
    if (input < kTold) return square(src.sibling[1], input - kTapSibling - 9);
    const unsigned k = (input - kTold) % 9;
    const uint8_t* told = src.told[(input - kTold) / 9];
    return told ? told + ptrdiff_t(y + int(k) / 3 - 1) * src.foretold.stride + int(k) % 3 - 1 : nothing;
  }

  // 16 magnitudes of each of two inputs, limited, next to each other.
  static LACONIC_INLINE void interleave(const uint8_t* a, const uint8_t* b, int16_t (*to)[2]) {
#if defined(__SSE2__)
    const __m128i most = _mm_set1_epi8(kMaxInput), zero = _mm_setzero_si128();
    const __m128i one = _mm_min_epu8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)), most);
    const __m128i two = _mm_min_epu8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), most);
    auto* out = reinterpret_cast<__m128i*>(to);
    const __m128i low = _mm_unpacklo_epi8(one, two), high = _mm_unpackhi_epi8(one, two);
    _mm_store_si128(out, _mm_unpacklo_epi8(low, zero));
    _mm_store_si128(out + 1, _mm_unpackhi_epi8(low, zero));
    _mm_store_si128(out + 2, _mm_unpacklo_epi8(high, zero));
    _mm_store_si128(out + 3, _mm_unpackhi_epi8(high, zero));
#else
    for (int i = 0; i < kGroup; ++i) to[i][0] = int16_t(limited(a[i])), to[i][1] = int16_t(limited(b[i]));
#endif
  }

  const ContextWeights* weights_;
  const uint8_t* own_ = nullptr;
  const uint8_t* from_[kInputs];
  int first_ = 0, outputs_ = 0;
  alignas(64) int32_t sums_[kGroup][kHidden];
  alignas(64) int16_t unit_[kHidden];
};

}  // namespace LACONIC_ISA
}  // namespace laconic
