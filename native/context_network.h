// context_network.h - what a small network makes of all that surrounds a coefficient: logarithmic odds of the decisions "it
// is 0, 1, 2", as one more opinion for the mixing (spec/contexts.md).
//
// All inputs but the two in the coefficient's own row read finished rows. So the sums of the hidden units are formed for a
// whole group at once, 16 positions; symbol by symbol only two products are added, and the second layer and the outputs
// follow. Sums fit 32 bits (ContextNetwork checks), so the order of additions is free.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "causal.h"
#include "context_weights.h"
#include "mixing.h"
#include "network_layers.h"
#include "sign_network.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kWide = 5;  // how far the wider squares around a place reach

class ContextNetwork {
 public:
  static constexpr bool kSpeaks = true;
  explicit ContextNetwork(const ContextWeights* weights)
      : signs(weights->tells_signs ? &weights->signs : nullptr), weights_(weights) {}

  SignNetwork signs;
  LACONIC_INLINE bool tells_signs() const { return weights_->tells_signs; }

  // Before the symbols of a row; a search looks at it before the coder does, and what was summed up stays.
  LACONIC_INLINE void start_row(const Context& own, const Sources& src, int y) {
    if (y == y_) return;
    own_ = own.mag + ptrdiff_t(y) * own.stride;
    for (int i = 0; i < 2 * weights_->pairs; ++i) from_[i] = row_of(own, src, y, weights_->input[i]);
    band_ = &own, src_ = &src, y_ = y, far_ready_ = !weights_->looks_far;
    signs.start_row(own, src, y);
  }

  // Before the symbols of a group that is not all zero.
  inline void start_group(int x0) {
    first_ = x0;
    if (!far_ready_) look_far();
    constexpr int kTogether = 4, kParts = kGroup / kTogether;
    alignas(64) int16_t pair[kInputs / 2][kGroup][2];
    uint8_t used[kParts][kInputs / 2];  // the pairs that are not zero at every one of a few places; most are
    int count[kParts] = {};
    for (int k = 0; k < weights_->pairs; ++k) {
      const unsigned there = interleave(from_[2 * k] + x0, from_[2 * k + 1] + x0, pair[k]);
      for (int i = 0; i < kParts; ++i) {
        used[i][count[i]] = uint8_t(k);
        count[i] += (there >> (kTogether * i) & ((1u << kTogether) - 1)) != 0;
      }
    }
#if defined(__SSE2__)
    constexpr int kLanes = int(sizeof(Samples) / sizeof(int32_t)), kVectors = 2;
    static_assert(kHidden % (kVectors * kLanes) == 0 && kGroup % kTogether == 0);
    for (int h = 0; h < kHidden; h += kVectors * kLanes)
      for (int x = 0; x < kGroup; x += kTogether) {
        const uint8_t* of = used[x / kTogether];
        Samples acc[kTogether][kVectors];
        for (int i = 0; i < kTogether; ++i)
          for (int j = 0; j < kVectors; ++j) acc[i][j] = load(weights_->bias + h + j * kLanes);
        for (int k = 0; k < count[x / kTogether]; ++k) {
          Samples w[kVectors];
          for (int j = 0; j < kVectors; ++j) w[j] = load(weights_->weight[of[k]][h + j * kLanes]);
          for (int i = 0; i < kTogether; ++i) {
            int32_t both;
            memcpy(&both, pair[of[k]][x + i], sizeof both);
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
      for (int i = 0; i < count[x / kTogether]; ++i) {
        const int k = used[x / kTogether][i];
        for (int h = 0; h < kHidden; ++h)
          sums_[x][h] += pair[k][x][0] * weights_->weight[k][h][0] + pair[k][x][1] * weights_->weight[k][h][1];
      }
    }
#endif
  }

  // Before the decisions of a symbol of the group.
  LACONIC_INLINE void look(int x, unsigned quantizer) {
    see(x, own_[x - 1], own_[x - 2], seen_);
    quantizer_ = quantizer;
  }

  // The logarithmic odds of a decision, in 1/256.
  LACONIC_INLINE int32_t odds(unsigned decision) const { return odds(seen_, quantizer_, decision); }

  // The logarithmic odds of "minus" at a place, given the symbols to the left as inputs (signed_input).
  LACONIC_INLINE int32_t sign_odds(int x, int32_t west, int32_t west2) {
    signs.look(x);
    return signs.odds(west, west2);
  }

  // What is seen from a place: the units of the second layer.
  struct Seen {
    alignas(64) int16_t unit[kMiddle];
  };

  // The same for two symbols to the left that only may come true.
  LACONIC_INLINE void see(int x, uint8_t west, uint8_t west2, Seen& seen) const {
    const int16_t own[2] = {int16_t(limited(west2)), int16_t(limited(west))};
    alignas(64) int32_t first[kHidden];
    add_pair<kHidden>(first, sums_[x - first_], own, weights_->own_row);
    alignas(64) int16_t unit[kHidden];
    units_of<kHidden>(first, weights_->shift, unit);
    alignas(64) int32_t middle[kMiddle];
#if defined(__SSE2__)
    // Several chains of additions at once: one would wait for itself.
    constexpr int kLanes = int(sizeof(Samples) / sizeof(int32_t)), kVectors = kMiddle / kLanes, kChains = kVectors < 8 ? 8 / kVectors : 1;
    Samples acc[kChains][kVectors];
    for (int c = 0; c < kChains; ++c)
      for (int j = 0; j < kVectors; ++j) acc[c][j] = c ? no_samples() : load(weights_->middle_bias + j * kLanes);
    for (int k = 0; k < kHidden / 2; k += kChains)
      for (int c = 0; c < kChains; ++c) {
        int32_t both;
        memcpy(&both, unit + 2 * (k + c), sizeof both);
        const Samples pair = repeated(both);
        for (int j = 0; j < kVectors; ++j) acc[c][j] = multiply_add(acc[c][j], pair, load(weights_->middle[k + c][j * kLanes]));
      }
    for (int j = 0; j < kVectors; ++j) {
      for (int c = 1; c < kChains; ++c) acc[0][j] = added(acc[0][j], acc[c][j]);
      store(middle + j * kLanes, acc[0][j]);
    }
#else
    for (int i = 0; i < kMiddle; ++i) middle[i] = weights_->middle_bias[i];
    for (int k = 0; k < kHidden / 2; ++k)
      for (int i = 0; i < kMiddle; ++i)
        middle[i] += unit[2 * k] * weights_->middle[k][i][0] + unit[2 * k + 1] * weights_->middle[k][i][1];
#endif
    units_of<kMiddle>(middle, weights_->middle_shift, seen.unit);
  }
  LACONIC_INLINE int32_t odds(const Seen& seen, unsigned quantizer, unsigned decision) const {
    const unsigned of = quantizer * kDecisions + decision;
    const int16_t* w = weights_->output[of];
    int32_t sum = weights_->output_bias[of];
    for (int i = 0; i < kMiddle; ++i) sum += int32_t(seen.unit[i]) * w[i];
    sum >>= weights_->output_shift;
    return sum > kMaxStretched ? kMaxStretched : sum < -kMaxStretched ? -kMaxStretched : sum;
  }

 private:
  static LACONIC_INLINE int32_t limited(uint8_t mag) { return mag < kMaxInput ? mag : kMaxInput; }
  // Units: sums shifted, 0 .. kMaxUnit.
  template <int kUnits>
  static LACONIC_INLINE void units_of(const int32_t* sums, int shift, int16_t* unit) {
    static_assert(kMaxUnit == INT16_MAX);  // what packing saturates to
#if defined(__SSE2__)
    constexpr int kLanes = int(sizeof(Samples) / sizeof(int32_t));
    static_assert(kUnits % (2 * kLanes) == 0);
    const __m128i places = _mm_cvtsi32_si128(shift);
    for (int i = 0; i < kUnits; i += 2 * kLanes)
      store(unit + i, not_negative(in_order(packed(load(sums + i), load(sums + i + kLanes), places))));
#else
    for (int i = 0; i < kUnits; ++i) {
      const int32_t v = sums[i] >> shift;
      unit[i] = int16_t(v < 0 ? 0 : v > kMaxUnit ? kMaxUnit : v);
    }
#endif
  }

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
    if (input >= kFar) return src.far.row + ptrdiff_t(input - kFar) * src.far.stride;
    const unsigned k = (input - kTold) % 9;
    const uint8_t* told = src.told[(input - kTold) / 9];
    return told ? told + ptrdiff_t(y + int(k) / 3 - 1) * src.told_stride + int(k) % 3 - 1 : nothing;
  }

  // Fills the rows of the inputs from kFar on.
  inline void look_far() {
    far_ready_ = true;
    const Context& own = *band_;
    const Sources& src = *src_;
    int input = 0;
    const auto rows = [&]<int kAside>(const uint8_t* of, ptrdiff_t stride, int above, int below) {
      sum_far<kAside>(input++, of, stride, above, below);
    };
    const auto square = [&]<int kSide>(const Context* of) {
      rows.template operator()<kSide>(of ? of->mag : nullptr, of ? of->stride : 0, kSide, kSide);
    };
    bool skips = true;  // the parent of the band itself, whose 3 x 3 are inputs one by one
    for (const Context* parent : src.parents) {
      if (parent == src.parent && skips)
        skips = false;
      else
        square.template operator()<1>(parent);
    }
    rows.template operator()<kWide>(own.mag, own.stride, 2, -1);
    for (const uint8_t* told : src.told) rows.template operator()<kWide>(told, src.told_stride, kWide, kWide);
    for (const Context* parent : src.parents) square.template operator()<kWide>(parent);
    for (const Context* sibling : src.sibling) square.template operator()<kWide>(sibling);
    far_row_ = y_;
  }

  // Logarithms of twice the sums over rows y - above .. y + below and columns x - kAside .. x + kAside inside the band. Sums
  // of columns go on from those of the row before.
  template <int kAside>
  inline void sum_far(int input, const uint8_t* of, ptrdiff_t stride, int above, int below) {
    const int w = band_->w, h = band_->h;
    uint8_t* to = src_->far.row + input * src_->far.stride;
    uint16_t* column = src_->far.columns + input * src_->far.stride;
    if (of && far_row_ >= 0 && far_row_ == y_ - 1) {
      if (y_ + below < h) add_limited(column, of + (y_ + below) * stride, w);
      if (far_row_ >= above) take_limited(column, of + (far_row_ - above) * stride, w);
    } else if (of) {
      memset(column - kPad, 0, size_t(padded(w) + 2 * kPad) * sizeof(uint16_t));
      for (int y = y_ > above ? y_ - above : 0; y <= y_ + below && y < h; ++y) add_limited(column, of + y * stride, w);
    }
    uint16_t any = 0;
    for (int x = 0; x < w && of; ++x) any |= column[x];
    if (any)
      add_aside<kAside>(to, column, w);
    else
      memset(to, 0, size_t(padded(w)));
  }

  static inline void add_limited(uint16_t* __restrict column, const uint8_t* row, int w) {
    for (int x = 0; x < w; ++x) column[x] = uint16_t(column[x] + (row[x] < kMaxInput ? row[x] : kMaxInput));
  }
  static inline void take_limited(uint16_t* __restrict column, const uint8_t* row, int w) {
    for (int x = 0; x < w; ++x) column[x] = uint16_t(column[x] - (row[x] < kMaxInput ? row[x] : kMaxInput));
  }
  // The bits of a floating-point number hold its logarithm, in quarters of an octave as bucket_of() does.
  static constexpr int kNoBits = (127 + 4) << 2;  // those of 16, shifted
  template <int kAside>
  static inline void add_aside(uint8_t* __restrict to, const uint16_t* column, int w) {
    static_assert(kAside < kPad);
#if defined(__SSE2__)
    const auto logarithms = [](__m128i wide) { return _mm_srai_epi32(_mm_castps_si128(_mm_cvtepi32_ps(wide)), 21); };
    for (int x = 0; x < w; x += 8) {
      const auto at = [&](int k) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(column + x + k)); };
      __m128i sum = at(0);
      for (int k = 1; k <= kAside; ++k) sum = _mm_add_epi16(sum, _mm_add_epi16(at(-k), at(k)));
      sum = _mm_add_epi16(_mm_add_epi16(sum, sum), _mm_set1_epi16(16));
      const __m128i zero = _mm_setzero_si128();
      const __m128i both = _mm_packs_epi32(logarithms(_mm_unpacklo_epi16(sum, zero)), logarithms(_mm_unpackhi_epi16(sum, zero)));
      const __m128i octaves = _mm_sub_epi16(both, _mm_set1_epi16(kNoBits));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + x), _mm_min_epu8(_mm_packus_epi16(octaves, octaves), _mm_set1_epi8(kMaxInput)));
    }
#else
    for (int x = 0; x < w; ++x) {
      uint16_t sum = 0;
      for (int k = -kAside; k <= kAside; ++k) sum = uint16_t(sum + column[x + k]);
      const float exact = float(16 + 2 * sum);
      int32_t bits;
      memcpy(&bits, &exact, sizeof bits);
      bits = (bits >> 21) - kNoBits;
      to[x] = uint8_t(bits < kMaxInput ? bits : kMaxInput);
    }
#endif
  }

  // 16 magnitudes of each of two inputs, limited, next to each other. Returns a bit for each place that is not zero.
  static LACONIC_INLINE unsigned interleave(const uint8_t* a, const uint8_t* b, int16_t (*to)[2]) {
#if defined(__SSE2__)
    const __m128i most = _mm_set1_epi8(kMaxInput), zero = _mm_setzero_si128();
    const __m128i one = _mm_min_epu8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)), most);
    const __m128i two = _mm_min_epu8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), most);
    const unsigned there = unsigned(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(one, two), zero))) ^ 0xffff;
    if (!there) return 0;
    auto* out = reinterpret_cast<__m128i*>(to);
    const __m128i low = _mm_unpacklo_epi8(one, two), high = _mm_unpackhi_epi8(one, two);
    _mm_store_si128(out, _mm_unpacklo_epi8(low, zero));
    _mm_store_si128(out + 1, _mm_unpackhi_epi8(low, zero));
    _mm_store_si128(out + 2, _mm_unpacklo_epi8(high, zero));
    _mm_store_si128(out + 3, _mm_unpackhi_epi8(high, zero));
    return there;
#else
    unsigned there = 0;
    for (int i = 0; i < kGroup; ++i) {
      to[i][0] = int16_t(limited(a[i])), to[i][1] = int16_t(limited(b[i]));
      there |= unsigned((to[i][0] | to[i][1]) != 0) << i;
    }
    return there;
#endif
  }

  const ContextWeights* weights_;
  const uint8_t* own_ = nullptr;
  const uint8_t* from_[kInputs];
  const Context* band_ = nullptr;
  const Sources* src_ = nullptr;
  int y_ = -1, first_ = 0, far_row_ = -1;  // the last row that was looked at from far
  unsigned quantizer_ = 0;
  bool far_ready_ = false;
  alignas(64) int32_t sums_[kGroup][kHidden];
  Seen seen_;
};

// The tables of a band as it begins, with what its network of signs counts at first.
LACONIC_INLINE MixedTables first_tables(const BandModel& m, const Sources& src) {
  MixedTables tables = m.mixed;
  for (int i = 0; i < 2; ++i) tables.sign_weight[i] = src.network ? src.network->signs.mix[i] : 0;
  return tables;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
