// trellis_search.h - the encoder's half of trellis-coded quantization: the path through the trellis with the least
// distortion + lambda * rate (Viterbi; entropy-constrained as in Fischer & Wang, IEEE Trans. Inf. Theory 38(2), 1992).
//
// Floats are fine here: whatever levels it chooses, the decoder reads those. It runs over blocks: the survivors of all
// states have merged long before `kLookAhead` values, so deciding a block after looking that far ahead loses nothing
// that can be measured, and memory stays small.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "level_layout.h"
#include "trellis.h"

namespace laconic {

constexpr int kPricedMagnitudes = 48;  // |k| up to 47 is priced one by one, what is above by the last slope
constexpr size_t kSearchBlock = 4096, kLookAhead = 256;

// What a search goes by: the price of |k| with its sign in squared steps, and the points, by quantizer. (A zero in
// quantizer 1 is asked for only where it exists.)
struct SearchModel {
  float price[kEnergyBuckets][2][kPricedMagnitudes];
  float slope[kEnergyBuckets][2];
  float point[2][kPricedMagnitudes];
  bool shared_zero;

  void place(const PointOffsets& offsets) {
    for (uint32_t q = 0; q < 2; ++q)
      for (int32_t k = 0; k < kPricedMagnitudes; ++k) point[q][k] = float(trellis_point(q, k, offsets)) / kPointUnit;
  }
};

// The cheapest level of each quantizer and subset.
struct Candidates {
  int32_t level[4];  // by 2 * quantizer + subset
  float cost[4];
};

class CandidateFinder {
 public:
  // `markup` is what the prices are multiplied with.
  LACONIC_INLINE CandidateFinder(const SearchModel& model, uint32_t bucket, float markup = 1.0f)
      : model_(model), bucket_(bucket), markup_(markup) {}

  LACONIC_INLINE void find(float x, Candidates& out) const {
    for (uint32_t q = 0; q < 2; ++q) find(q, x, out.level + 2 * q, out.cost + 2 * q);
  }

  // The same of one quantizer: two levels and costs, by subset.
  LACONIC_INLINE void find(uint32_t quantizer, float x, int32_t* out_level, float* out_cost) const {
    const float a = std::fabs(x);
    const int negative = x < 0, q = int(quantizer);
    // |k| = m and m + 1 lie around a, in different subsets; of each subset the next one below may be cheaper.
    const float position = 0.5f * (a + float(q));
    int32_t m = position < float(kMaxLevel - 2) ? int32_t(position) : kMaxLevel - 2;
    const int32_t least = model_.shared_zero ? 0 : q;
    if (m < least) m = least;
    float best[2] = {cost(q, m, a), cost(q, m + 1, a)};  // by whether k has the parity of m
    int32_t level[2] = {m, m + 1};
    for (int32_t k = m - 1; k >= least && k >= m - 2; --k) {
      const int slot = (k ^ m) & 1;
      const float c = cost(q, k, a);
      if (c < best[slot]) best[slot] = c, level[slot] = k;
    }
    if (least == 1 && m <= 2) {
      // Across zero: -1 shares its subset with 2, not with 1.
      const int slot = m & 1;
      const float d = a + model_.point[1][1], c = d * d + markup_ * model_.price[bucket_][1][1];
      if (c < best[slot]) best[slot] = c, level[slot] = -1;
    }
    for (int slot = 0; slot < 2; ++slot) {
      const int32_t k = negative ? -level[slot] : level[slot];
      const uint32_t at = trellis_subset(quantizer, k, model_.shared_zero);
      out_level[at] = k, out_cost[at] = best[slot];
    }
  }

 private:
  LACONIC_INLINE float cost(int q, int32_t k, float a) const {
    if (k < kPricedMagnitudes) {
      const float d = a - model_.point[q][k];
      return d * d + markup_ * model_.price[bucket_][q][k];
    }
    const float over = float(k - (kPricedMagnitudes - 1)), d = a - (model_.point[q][kPricedMagnitudes - 1] + 2.0f * over);
    return d * d + markup_ * (model_.price[bucket_][q][kPricedMagnitudes - 1] + model_.slope[bucket_][q] * over);
  }

  const SearchModel& model_;
  const uint32_t bucket_;
  const float markup_;
};

// One step of the Viterbi algorithm: the sums of all states before -> after, and for each state the subset that won.
// State t was reached from quantizer q = its top bit and by subset s from state 2 (v ^ q quantizer_taps ^ s subset_taps)
// + q, where v are its lower bits: that is `Trellis::advance` solved for the state.
template <unsigned Bits>
LACONIC_INLINE void viterbi_step(const float* before, const float* cost, float* after, uint8_t* subset) {
  constexpr uint32_t half = 1u << (Bits - 1), mask = half - 1;
  constexpr uint32_t h0 = kQuantizerTaps[Bits] & mask, h1 = kSubsetTaps[Bits] & mask;
  float even[half], odd[half];
  for (uint32_t u = 0; u < half; ++u) even[u] = before[2 * u], odd[u] = before[2 * u + 1];
  for (uint32_t v = 0; v < half; ++v) {
    const float a = even[v] + cost[0], b = even[v ^ h1] + cost[1];
    after[v] = b < a ? b : a;
    subset[v] = b < a;
  }
  for (uint32_t v = 0; v < half; ++v) {
    const float a = odd[v ^ h0] + cost[2], b = odd[v ^ h0 ^ h1] + cost[3];
    after[half + v] = b < a ? b : a;
    subset[half + v] = b < a;
  }
}

// x[0 .. count) in steps and the bucket of each (null: all 0) -> levels, from state 0 on. False: out of memory.
template <unsigned Bits>
LACONIC_INLINE bool search_trellis(const float* x, const uint8_t* buckets, size_t count, const SearchModel& model, int32_t* levels) {
  constexpr uint32_t states = 1u << Bits, half = states / 2;
  constexpr size_t most = kSearchBlock + kLookAhead;
  const size_t rows = count < most ? count + 1 : most;
  auto* candidates = static_cast<Candidates*>(std::malloc(rows * sizeof(Candidates)));
  auto* subset = static_cast<uint8_t*>(std::malloc(rows * states));
  const bool ok = candidates && subset;
  uint32_t start = 0;
  for (size_t at = 0; ok && at < count; at += kSearchBlock) {
    const size_t length = count - at < most ? count - at : most;
    float sums[2][states];
    for (float& s : sums[0]) s = 1e30f;
    sums[0][start] = 0;
    for (size_t i = 0; i < length; ++i) {
      CandidateFinder(model, buckets ? buckets[at + i] : 0).find(x[at + i], candidates[i]);
      viterbi_step<Bits>(sums[i & 1], candidates[i].cost, sums[~i & 1], subset + i * states);
      if (i % 64 == 63) {  // keep the sums small, and so their precision
        float* s = sums[~i & 1];
        float least = s[0];
        for (uint32_t t = 1; t < states; ++t) least = s[t] < least ? s[t] : least;
        for (uint32_t t = 0; t < states; ++t) s[t] -= least;
      }
    }
    const float* last = sums[length & 1];
    uint32_t t = 0;
    for (uint32_t s = 1; s < states; ++s)
      if (last[s] < last[t]) t = s;
    const size_t decided = count - at < kSearchBlock ? count - at : kSearchBlock;
    for (size_t i = length; i-- > 0;) {
      if (i + 1 == decided) start = t;
      const uint32_t s = subset[i * states + t], q = t / half;
      if (i < decided) levels[at + i] = candidates[i].level[2 * q + s];
      const uint32_t u = t ^ ((0u - q) & kQuantizerTaps[Bits]) ^ ((0u - s) & kSubsetTaps[Bits]);
      t = 2 * (u & (half - 1)) + q;
    }
  }
  std::free(candidates);
  std::free(subset);
  return ok;
}

// The same for a number of state bits known at run time: 2 to 8.
LACONIC_INLINE bool search_trellis(unsigned bits, const float* x, const uint8_t* buckets, size_t count, const SearchModel& model,
                           int32_t* levels) {
  switch (bits) {
    case 2: return search_trellis<2>(x, buckets, count, model, levels);
    case 3: return search_trellis<3>(x, buckets, count, model, levels);
    case 4: return search_trellis<4>(x, buckets, count, model, levels);
    case 5: return search_trellis<5>(x, buckets, count, model, levels);
    case 6: return search_trellis<6>(x, buckets, count, model, levels);
    case 7: return search_trellis<7>(x, buckets, count, model, levels);
    default: return search_trellis<8>(x, buckets, count, model, levels);
  }
}

}  // namespace laconic
