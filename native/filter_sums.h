// filter_sums.h - what an encoder must know of a picture to find its filter (picture_filter.h): sums of products of all
// features with one another and with what is missing, exact and so the same in any order.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "picture_filter.h"

namespace laconic {
namespace LACONIC_ISA {

// Columns that are taken together, and the limit of what is multiplied: kSumColumns products stay below 2^31.
constexpr int kSumColumns = 128;
constexpr int kSumLimit = 4095;

inline int16_t sum_limited(int32_t v) { return int16_t(v > kSumLimit ? kSumLimit : v < -kSumLimit ? -kSumLimit : v); }

// Adds the sums of rows job.from .. job.to, columns kFilterReach from the edges, to `sums`: for each plane a lower triangle
// (kFilterSums, kFilterSums), what is missing standing last.
inline void sum_filter(const int32_t* parts, const FilterSumsJob& job, int64_t* sums) {
  const ptrdiff_t plane_size = ptrdiff_t(job.height) * job.width, part_size = job.planes * plane_size;
  alignas(64) int16_t features[kFilterSums][kSumColumns];
  for (int p = 0; p < job.planes; ++p)
    for (int y = job.from; y < job.to; ++y)
      for (int left = kFilterReach; left < job.width - kFilterReach; left += kSumColumns) {
        const int rest = job.width - kFilterReach - left, n = rest < kSumColumns ? rest : kSumColumns;
        const auto at = [&](int part, int plane) {
          return parts + part * part_size + plane * plane_size + ptrdiff_t(y) * job.width + left;
        };
        int count = 0;
        const auto see = [&](const int32_t* here) {
          for (int x = 0; x < n; ++x) features[count][x] = sum_limited(here[x]);
          ++count;
        };
        const auto see_pairs = [&](const int32_t* here, int places) {
          for (int k = 0; k < places; ++k, ++count) {
            const ptrdiff_t off = kFilterPlace[k][0] * ptrdiff_t(job.width) + kFilterPlace[k][1];
            for (int x = 0; x < n; ++x) features[count][x] = sum_limited(here[x + off] + here[x - off] - 2 * here[x]);
          }
        };
        see(at(1, p));
        see_pairs(at(1, p), kNearPlaces);
        see_pairs(at(0, p), kFilterPlaces);
        if (p) {
          see(at(1, 0));
          see_pairs(at(0, 0), kNearPlaces);
        }
        see(at(2, p));
        for (int i = 0; i < count; ++i) {
          // What is missing stands last, whatever comes before it.
          int64_t* row = sums + (p * kFilterSums + (i == count - 1 ? kFilterSums - 1 : i)) * kFilterSums;
          for (int j = 0; j <= i; ++j) {
            int32_t sum = 0;
            for (int x = 0; x < n; ++x) sum += int32_t(features[i][x]) * features[j][x];
            row[j == count - 1 ? kFilterSums - 1 : j] += sum;
          }
        }
      }
}

}  // namespace LACONIC_ISA
}  // namespace laconic
