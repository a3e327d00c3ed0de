// trellis_feedback.h - the search through the trellis where an error is not forgotten: what quantizing one weight did to
// the output of its layer is made up for by the weights that come after it (Frantar et al., "OPTQ", ICLR 2023; the
// triangular form is that of Chee et al., "QuIP", NeurIPS 2023).
//
// The loss of a layer is the trace of G E A E^T, E being the error of its matrix, A = C D C^T the second moments of its
// inputs and G = B F B^T those of the gradients at its outputs, with C and B upper triangular, ones on the diagonals. That is
// the sum of the squares of B^T E C, weighted by F and D: so with errors E so far, the target of a weight is its value
// plus what the earlier columns of its row (C) and the earlier rows (B) hand on to it.
//
// In a trellis the errors depend on the path, so each state keeps those of its own survivor: per-survivor processing
// (Raheli, Polydoros & Tzou, IEEE Trans. Commun. 43(2-4), 1995), of the last `kWindow` weights. What lies further back
// is that of the best path, and survivors that went another way there end: else the errors that later targets make up
// for would not be those that were made, which matters where all inputs of a layer have a direction in common. A path
// ends with its row.
#pragma once
#include <cstring>
#include <vector>

#include "trellis_search.h"

namespace laconic {

struct FeedbackJob {
  const float* x;          // (rows, columns) in steps
  const uint8_t* buckets;  // (rows, columns), null: all 0
  size_t rows, columns;
  const float* along;         // (columns, columns): [k][j] for j > k, what an error in column k adds to the target of j
  const float* across;        // (rows, rows): [i][k] for k < i, what a residual of row k adds to the target of i; may be null
  const float* column_weight;  // (columns), what a squared step is worth, 1 on average; above 0
  const float* row_weight;     // (rows)
};

constexpr size_t kWindow = 32;

namespace feedback {

// Sums in a fixed order, so that every instruction set finds the same path.
LACONIC_INLINE float window_product(const float* a, const float* b) {
  float lanes[8] = {};
  for (size_t i = 0; i < kWindow; i += 8)
    for (size_t l = 0; l < 8; ++l) lanes[l] += a[i + l] * b[i + l];
  for (size_t step = 4; step; step /= 2)
    for (size_t l = 0; l < step; ++l) lanes[l] += lanes[l + step];
  return lanes[0];
}

LACONIC_INLINE float point_of(const SearchModel& model, uint32_t q, int32_t level) {
  const int32_t k = level < 0 ? -level : level;
  const float over = float(k - (kPricedMagnitudes - 1));
  const float point = k < kPricedMagnitudes ? model.point[q][k] : model.point[q][kPricedMagnitudes - 1] + 2.0f * over;
  return level < 0 ? -point : point;
}

}  // namespace feedback

// Chooses levels, and tells the targets (rows, columns) that they were chosen for. False: out of memory.
template <unsigned Bits>
LACONIC_INLINE bool search_feedback(const FeedbackJob& job, const SearchModel& model, int32_t* levels, float* targets) {
  constexpr uint32_t states = 1u << Bits, half = states / 2;
  struct Survivor {
    float error[kWindow];  // the oldest first
  };
  struct Choice {
    int32_t level[2];
    float cost[2], point[2];
  };
  const size_t n = job.columns;
  auto* survivors = static_cast<Survivor*>(std::malloc(2 * states * sizeof(Survivor)));
  auto* chosen = static_cast<int32_t*>(std::malloc(n * states * sizeof(int32_t)));  // the level that led to a state
  auto* from = static_cast<uint8_t*>(std::malloc(n * states));                      // and the state before
  auto* band = static_cast<float*>(std::malloc(n * kWindow * sizeof(float)));       // of `along`, as targets look back
  auto* offset = static_cast<float*>(std::malloc(2 * n * sizeof(float)));
  auto* residual = static_cast<float*>(std::malloc((job.across ? job.rows : 1) * n * sizeof(float)));
  auto* error = static_cast<float*>(std::malloc(n * sizeof(float)));
  const bool ok = survivors && chosen && from && band && offset && residual && error;
  for (size_t j = 0; ok && j < n; ++j)
    for (size_t w = 0; w < kWindow; ++w) band[j * kWindow + w] = j + w >= kWindow ? job.along[(j + w - kWindow) * n + j] : 0;
  uint32_t start = 0;
  for (size_t i = 0; ok && i < job.rows; ++i) {
    const float* x = job.x + i * n;
    float* base = offset + n;  // targets but for what lies in the window
    std::memset(offset, 0, n * sizeof(float));
    if (job.across)
      for (size_t k = 0; k < i; ++k) {
        const float share = job.across[i * job.rows + k];
        for (size_t j = 0; j < n; ++j) offset[j] += share * residual[k * n + j];
      }
    for (size_t j = 0; j < n; ++j) base[j] = x[j] + offset[j];
    float sums[2][states];
    for (float& s : sums[0]) s = 1e30f;
    sums[0][start] = 0;
    std::memset(survivors, 0, states * sizeof(Survivor));
    for (size_t j = 0; j < n; ++j) {
      const Survivor* before = survivors + (j & 1) * states;
      Survivor* after = survivors + (~j & 1) * states;
      const float weight = job.column_weight[j] * job.row_weight[i];
      const CandidateFinder finder(model, job.buckets ? job.buckets[i * n + j] : 0, 1.0f / weight);
      Choice choices[states];
      for (uint32_t s = 0; s < states; ++s) {
        const float target = base[j] + feedback::window_product(before[s].error, band + j * kWindow);
        Choice& c = choices[s];
        finder.find(s & 1, target, c.level, c.cost);
        for (int subset = 0; subset < 2; ++subset) {
          c.point[subset] = feedback::point_of(model, s & 1, c.level[subset]);
          c.cost[subset] = sums[j & 1][s] + weight * c.cost[subset];
        }
      }
      float* sum = sums[~j & 1];
      uint32_t best = 0;
      for (uint32_t t = 0; t < states; ++t) {
        // `Trellis::advance` solved for the state, as in trellis_search.h.
        const uint32_t q = t / half, u = t ^ ((0u - q) & kQuantizerTaps[Bits]);
        const uint32_t source[2] = {2 * (u & (half - 1)) + q, 2 * ((u ^ kSubsetTaps[Bits]) & (half - 1)) + q};
        const uint32_t subset = choices[source[1]].cost[1] < choices[source[0]].cost[0];
        const Choice& c = choices[source[subset]];
        sum[t] = c.cost[subset];
        chosen[j * states + t] = c.level[subset];
        from[j * states + t] = uint8_t(source[subset]);
        std::memcpy(after[t].error, before[source[subset]].error + 1, (kWindow - 1) * sizeof(float));
        after[t].error[kWindow - 1] = x[j] - c.point[subset];
        if (sum[t] < sum[best]) best = t;
      }
      if (j >= kWindow) {
        const size_t k = j - kWindow;
        const float leaving = before[from[j * states + best]].error[0];
        for (uint32_t t = 0; t < states; ++t)
          if (before[from[j * states + t]].error[0] != leaving) sum[t] = 1e30f;
        const float* along = job.along + k * n;
        for (size_t later = j + 1; later < n; ++later) base[later] += leaving * along[later];
      }
      if (j % 64 == 63) {  // keep the sums small, and so their precision
        const float least = sum[best];
        for (uint32_t t = 0; t < states; ++t) sum[t] -= least;
      }
    }
    const float* last = sums[n & 1];
    uint32_t t = 0;
    for (uint32_t s = 1; s < states; ++s)
      if (last[s] < last[t]) t = s;
    start = t;
    float* r = residual + (job.across ? i * n : 0);
    for (size_t j = n; j-- > 0;) {
      const int32_t level = chosen[j * states + t];
      t = from[j * states + t];
      levels[i * n + j] = level;
      const float point = feedback::point_of(model, t & 1, level);
      error[j] = x[j] - point;
      targets[i * n + j] = point + offset[j];
    }
    std::memcpy(r, error, n * sizeof(float));
    for (size_t k = 0; k < n; ++k) {
      const float* along = job.along + k * n;
      for (size_t j = k + 1; j < n; ++j) r[j] += error[k] * along[j];
    }
    for (size_t j = 0; j < n; ++j) targets[i * n + j] += r[j];
  }
  std::free(survivors);
  std::free(chosen);
  std::free(from);
  std::free(band);
  std::free(offset);
  std::free(residual);
  std::free(error);
  return ok;
}

// The same for a number of state bits known at run time: 2 to 8.
LACONIC_INLINE bool search_feedback(unsigned bits, const FeedbackJob& job, const SearchModel& model, int32_t* levels, float* targets) {
  switch (bits) {
    case 2: return search_feedback<2>(job, model, levels, targets);
    case 3: return search_feedback<3>(job, model, levels, targets);
    case 4: return search_feedback<4>(job, model, levels, targets);
    case 5: return search_feedback<5>(job, model, levels, targets);
    case 6: return search_feedback<6>(job, model, levels, targets);
    case 7: return search_feedback<7>(job, model, levels, targets);
    default: return search_feedback<8>(job, model, levels, targets);
  }
}

}  // namespace laconic
