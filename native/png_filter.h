// png_filter.h - the filters of PNG rows (PNG specification, third edition, section 9), both ways.
//
// A filter predicts each byte from the same byte of the pixel to the left, of the row above, and above left. The writer
// takes for each row the filter with the smallest sum of absolute differences (section 12.7).
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace laconic {

constexpr int kPngFilters = 5;

inline uint8_t paeth(int a, int b, int c) {
  const int pa = std::abs(b - c), pb = std::abs(a - c), pc = std::abs(a + b - 2 * c);
  return uint8_t(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

// One row of n bytes, `step` bytes a pixel, 1 <= step <= n; `above` has n bytes. False: no such filter.
inline bool png_unfilter_row(unsigned filter, const uint8_t* in, const uint8_t* above, uint8_t* out, size_t n,
                             size_t step) {
  switch (filter) {
    case 0:
      memcpy(out, in, n);
      return true;
    case 1:
      memcpy(out, in, step);
      for (size_t i = step; i < n; ++i) out[i] = uint8_t(in[i] + out[i - step]);
      return true;
    case 2:
      for (size_t i = 0; i < n; ++i) out[i] = uint8_t(in[i] + above[i]);
      return true;
    case 3:
      for (size_t i = 0; i < step; ++i) out[i] = uint8_t(in[i] + above[i] / 2);
      for (size_t i = step; i < n; ++i) out[i] = uint8_t(in[i] + (out[i - step] + above[i]) / 2);
      return true;
    case 4:
      for (size_t i = 0; i < step; ++i) out[i] = uint8_t(in[i] + above[i]);
      for (size_t i = step; i < n; ++i) out[i] = uint8_t(in[i] + paeth(out[i - step], above[i], above[i - step]));
      return true;
    default:
      return false;
  }
}

inline void png_filter_row(unsigned filter, const uint8_t* in, const uint8_t* above, uint8_t* out, size_t n,
                           size_t step) {
  switch (filter) {
    case 1:
      memcpy(out, in, step);
      for (size_t i = step; i < n; ++i) out[i] = uint8_t(in[i] - in[i - step]);
      break;
    case 2:
      for (size_t i = 0; i < n; ++i) out[i] = uint8_t(in[i] - above[i]);
      break;
    case 3:
      for (size_t i = 0; i < step; ++i) out[i] = uint8_t(in[i] - above[i] / 2);
      for (size_t i = step; i < n; ++i) out[i] = uint8_t(in[i] - (in[i - step] + above[i]) / 2);
      break;
    case 4:
      for (size_t i = 0; i < step; ++i) out[i] = uint8_t(in[i] - above[i]);
      for (size_t i = step; i < n; ++i) out[i] = uint8_t(in[i] - paeth(in[i - step], above[i], above[i - step]));
      break;
    default:
      memcpy(out, in, n);
  }
}

inline uint64_t png_row_cost(const uint8_t* row, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i += 1 << 16) {  // 2^16 absolute values of 7 bits fit 32 bits, which adds faster
    const size_t end = n - i < 1 << 16 ? n : i + (1 << 16);
    uint32_t part = 0;
    for (size_t k = i; k < end; ++k) part += uint32_t(std::abs(int(int8_t(row[k]))));
    sum += part;
  }
  return sum;
}

// Writes the number of the best filter and the n filtered bytes to `out`; `spare` has n bytes.
inline void png_filter_best(const uint8_t* in, const uint8_t* above, uint8_t* out, uint8_t* spare, size_t n, size_t step) {
  uint64_t least = UINT64_MAX;
  for (unsigned filter = 0; filter < kPngFilters; ++filter) {
    png_filter_row(filter, in, above, spare, n, step);
    const uint64_t cost = png_row_cost(spare, n);
    if (cost >= least) continue;
    least = cost;
    out[0] = uint8_t(filter);
    memcpy(out + 1, spare, n);
  }
}

}  // namespace laconic
