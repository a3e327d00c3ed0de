// sign_network.h - the logarithmic odds that a coefficient of luma is negative, by the signs around it and what is foretold
// there (spec/contexts.md): where what was foretold of the neighbors came true, it will here.
//
// The network is odd: turn all signs around and its answer turns. A unit is the difference of what t and -t have above a
// threshold. All inputs but the two in the coefficient's own row are summed once for a position, and only where there is a
// sign to tell; the two are added for each past that may come true.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "causal.h"
#include "context_weights.h"
#include "network_layers.h"

namespace laconic {
namespace LACONIC_ISA {

// A magnitude and how it is signed, as an input.
LACONIC_INLINE int32_t signed_input(uint8_t mag, uint8_t sign) {
  const int32_t m = mag < kMaxSignInput ? mag : kMaxSignInput;
  return sign == 2 ? -m : m;
}

// sums + pair[0] * weight[h][0] + pair[1] * weight[h][1].
template <int kUnits>
LACONIC_INLINE void add_pair(int32_t* to, const int32_t* sums, const int16_t* pair, const int16_t (*weight)[2]) {
#if defined(__SSE2__)
  constexpr int kLanes = int(sizeof(Samples) / sizeof(int32_t));
  int32_t both;
  memcpy(&both, pair, sizeof both);
  const Samples two = repeated(both);
  for (int h = 0; h < kUnits; h += kLanes) store(to + h, multiply_add(load(sums + h), two, load(weight[h])));
#else
  for (int h = 0; h < kUnits; ++h) to[h] = sums[h] + pair[0] * weight[h][0] + pair[1] * weight[h][1];
#endif
}

class SignNetwork {
 public:
  // `weights` may be null where no network tells signs.
  explicit SignNetwork(const SignWeights* weights) : weights_(weights) {}

  LACONIC_INLINE void start_row(const Context& own, const Sources& src, int y) {
    band_ = &own, src_ = &src, y_ = y, ready_ = false;
  }

  // Before a sign at a position: the sums of all inputs but the two to the left.
  inline void look(int x) {
    if (!ready_) sign_rows();
    alignas(64) int16_t in[kSignInputs];
    const int8_t* row = rows_ + x;
    const ptrdiff_t stride = src_->far.stride;
    int16_t* to = in;
    for (int i = -1; i <= 1; ++i) *to++ = row[i];
    row += stride;
    for (int i = -2; i <= 2; ++i) *to++ = row[i];
    *to++ = 0, *to++ = 0;
    for (int k = 0; k < kSquares * 3; ++k) {
      row += stride;
      for (int i = -1; i <= 1; ++i) *to++ = row[i];
    }
    uint8_t used[kSignInputs / 2 + 1];  // pairs that are not zero; many are
    int pairs = 0;
    for (int k = 0; k < kSignInputs / 2; ++k) {
      int32_t both;
      memcpy(&both, in + 2 * k, sizeof both);
      used[pairs] = uint8_t(k);
      pairs += both != 0;
    }
#if defined(__SSE2__)
    constexpr int kLanes = int(sizeof(Samples) / sizeof(int32_t)), kTogether = kSignUnits / kLanes < 8 ? kSignUnits / kLanes : 8;
    for (int h = 0; h < kSignUnits; h += kTogether * kLanes) {
      Samples acc[2][kTogether];  // two chains of additions: one would wait for itself
      for (int c = 0; c < 2; ++c)
        for (int j = 0; j < kTogether; ++j) acc[c][j] = no_samples();
      const auto add = [&](int c, int k) {
        int32_t both;
        memcpy(&both, in + 2 * k, sizeof both);
        const Samples pair = repeated(both);
        for (int j = 0; j < kTogether; ++j)
          acc[c][j] = multiply_add(acc[c][j], pair, load(weights_->weight[k][h + j * kLanes]));
      };
      int i = 0;
      for (; i + 2 <= pairs; i += 2) add(0, used[i]), add(1, used[i + 1]);
      if (i < pairs) add(0, used[i]);
      for (int j = 0; j < kTogether; ++j) store(sums_ + h + j * kLanes, added(acc[0][j], acc[1][j]));
    }
#else
    for (int h = 0; h < kSignUnits; ++h) sums_[h] = 0;
    for (int i = 0; i < pairs; ++i) {
      const int k = used[i];
      for (int h = 0; h < kSignUnits; ++h)
        sums_[h] += in[2 * k] * weights_->weight[k][h][0] + in[2 * k + 1] * weights_->weight[k][h][1];
    }
#endif
  }

  // The logarithmic odds of "minus", in 1/256, given the symbols to the left as inputs.
  LACONIC_INLINE int32_t odds(int32_t west, int32_t west2) const {
    const int16_t own[2] = {int16_t(west2), int16_t(west)};
    alignas(64) int32_t all[kSignUnits];
    add_pair<kSignUnits>(all, sums_, own, weights_->own_row);
    int32_t sum = 0;
    for (int h = 0; h < kSignUnits; ++h) {
      const int32_t t = all[h];
      const int32_t up = weights_->bias[h] + t, down = weights_->bias[h] - t;
      const int32_t v = ((up > 0 ? up : 0) - (down > 0 ? down : 0)) >> weights_->shift;
      sum += (v < -kMaxUnit ? -kMaxUnit : v > kMaxUnit ? kMaxUnit : v) * weights_->output[h];
    }
    sum >>= weights_->output_shift;
    return sum > kMaxStretched ? kMaxStretched : sum < -kMaxStretched ? -kMaxStretched : sum;
  }

 private:
  static constexpr int kSquares = 6;  // parent, two siblings, three foretold

  // The rows that inputs come from, signed, for the whole row.
  inline void sign_rows() {
    ready_ = true;
    const Context& own = *band_;
    const Sources& src = *src_;
    rows_ = src.far.signed_row;
    int8_t* to = rows_;
    const auto symbols = [&](const Context* of, int y) {
      if (of)
        sign_row(to, of->mag + ptrdiff_t(y) * of->stride, of->sign + ptrdiff_t(y) * of->stride, own.w);
      else
        memset(to - 2, 0, size_t(own.w + 4));
      to += src.far.stride;
    };
    symbols(&own, y_ - 2), symbols(&own, y_ - 1);
    const Context* squares[] = {src.parent, src.sibling[0], src.sibling[1]};
    for (const Context* of : squares)
      for (int dy = -1; dy <= 1; ++dy) symbols(of, y_ + dy);
    for (int o = 0; o < 3; ++o)
      for (int dy = -1; dy <= 1; ++dy, to += src.far.stride) {
        if (!src.told[o]) {
          memset(to - 2, 0, size_t(own.w + 4));
          continue;
        }
        const ptrdiff_t at = ptrdiff_t(y_ + dy) * src.told_stride;
        side_row(to, src.told[o] + at, src.told_side[o] + at, own.w);
      }
  }
  static inline void sign_row(int8_t* __restrict to, const uint8_t* mag, const uint8_t* sign, int w) {
    for (int x = -2; x < w + 2; ++x) {
      const uint8_t m = mag[x] < kMaxSignInput ? mag[x] : uint8_t(kMaxSignInput);
      to[x] = int8_t(sign[x] == 2 ? -m : m);
    }
  }
  static inline void side_row(int8_t* __restrict to, const uint8_t* mag, const int8_t* side, int w) {
    for (int x = -2; x < w + 2; ++x) to[x] = int8_t(side[x] < 0 ? -mag[x] : mag[x]);
  }

  const SignWeights* weights_;
  const Context* band_ = nullptr;
  const Sources* src_ = nullptr;
  int8_t* rows_ = nullptr;
  int y_ = 0;
  bool ready_ = false;
  alignas(64) int32_t sums_[kSignUnits];
};

}  // namespace LACONIC_ISA
}  // namespace laconic
