// kernels.h - the functions that are compiled once per instruction set, as one table of pointers.
//
// All tables compute the same integers; `native_test` and tests/native compare them. The fastest that the processor
// supports is chosen when the module is loaded.
#pragma once
#include <cstddef>
#include <cstdint>

#include "color_ways.h"
#include "network_job.h"
#include "tile.h"
#include "trellis_feedback.h"
#include "trellis_search.h"

namespace laconic {

struct ColorJob {
  int channels;
  bool lossless;
  ptrdiff_t pixel_row, plane_row, plane_stride;  // in samples
  int width, from, to;                           // rows from .. to
  int colors;                                    // color_ways.h, below kReversibleColors
};

struct LiftJob {
  ptrdiff_t stride;
  int extent;    // samples along the lifted direction
  int from, to;  // lines across it
  int wavelet;   // lifting.h
  bool inverse;
};

template <class S, class T>
struct SampleKernels {
  void (*analyze_color)(const S*, T*, const ColorJob&);
  void (*synthesize_color)(const T*, S*, const ColorJob&);
  bool (*lift_rows)(T*, const LiftJob&);  // false: out of memory
  bool (*lift_columns)(T*, const LiftJob&);
  // Fills groups[0 .. kMaxGroups); the caller frees their data. An all-zero group stays empty. `symbols` may be null,
  // otherwise it has the layout of the coefficients and is zero. So may `targets`, which gets what was quantized, lowest
  // band aside. False: out of memory.
  bool (*encode_tile)(const TileJob&, const T*, const EncoderNotes<T>&, OpList* groups);
  // One stream per group. The coefficients of the tile must be zero. `failed` tells the group that an error lies in.
  DecodeStatus (*decode_tile)(const TileJob&, const StreamView*, T*, int* failed);
  // Planes -> pixels of one tile through the decoder-side network. False: out of memory.
  bool (*enhance_tile)(const T*, S*, const NetworkJob&, const NetworkWeights&, const PictureFilter&);
  // Takes sixteenths of the network's correction of the planes away from an encoder's targets, and tells by how much the
  // squared error of the planes would grow if they were moved by that share. False: out of memory.
  bool (*precompensate_tile)(const T*, T*, const NetworkJob&, const NetworkWeights&, int share, int64_t* growth);
  // A tile sample by sample, see predicted_tile.h. The caller frees the operations. False: out of memory.
  bool (*encode_predicted)(const PredictedJob&, const S* pixels, OpList* ops);
  DecodeStatus (*decode_predicted)(const PredictedJob&, const StreamView&, S* pixels);
};

struct Kernels {
  const char* name;
  SampleKernels<uint8_t, int16_t> narrow;
  SampleKernels<uint16_t, int32_t> wide;
  // Sums of products, see filter_sums.h.
  void (*sum_filter)(const int32_t* parts, const FilterSumsJob&, int64_t* sums);
  // The best path through the trellis, see trellis_search.h. False: out of memory.
  bool (*search_trellis)(unsigned bits, const float* x, const uint8_t* buckets, size_t count, const SearchModel&,
                         int32_t* levels);
  // The same with feedback of errors, see trellis_feedback.h.
  bool (*search_feedback)(unsigned bits, const FeedbackJob&, const SearchModel&, int32_t* levels, float* targets);
};

extern const Kernels kernels_baseline;
#if defined(LACONIC_X86)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const Kernels kernels_avx512vnni;
#endif

constexpr int kKernelTables = 4;

// Table i of 0 .. kKernelTables - 1, slowest first; null where this processor or build lacks it.
inline const Kernels* supported_kernels(int i) {
#if defined(LACONIC_X86)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (i == 1 && avx2) return &kernels_avx2;
  if (i == 2 && avx512) return &kernels_avx512;
  if (i == 3 && avx512 && __builtin_cpu_supports("avx512vnni")) return &kernels_avx512vnni;
#endif
  return i == 0 ? &kernels_baseline : nullptr;
}

}  // namespace laconic
