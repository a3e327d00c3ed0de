// kernels.h - the functions that are compiled once per instruction set, as tables of pointers.
//
// All tables compute the same integers; `native_test` and tests/native compare them. The fastest that the processor
// supports is chosen when the module is loaded. AVX-512 without VNNI has a network and records of its own, which gain from
// it by far the most, and codes with AVX2: each copy of the coder takes half a megabyte.
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
  // A tile sample by sample, see predicted_tile.h. The caller frees the operations. False: out of memory.
  bool (*encode_predicted)(const PredictedJob&, const S* pixels, OpList* ops);
  DecodeStatus (*decode_predicted)(const PredictedJob&, const StreamView&, S* pixels);
};

template <class S, class T>
struct EnhanceKernels {
  // Planes -> pixels of one tile through the decoder-side network. False: out of memory.
  bool (*enhance_tile)(const T*, S*, const NetworkJob&, const NetworkWeights&, const PictureFilter&);
  // Takes sixteenths of the network's correction of the planes away from an encoder's targets, and tells by how much the
  // squared error of the planes would grow if they were moved by that share. False: out of memory.
  bool (*precompensate_tile)(const T*, T*, const NetworkJob&, const NetworkWeights&, int share, int64_t* growth);
};

struct CodingKernels {
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

struct NetworkKernels {
  EnhanceKernels<uint8_t, int16_t> narrow;
  EnhanceKernels<uint16_t, int32_t> wide;
};

struct GridKernels;  // grid_records.h

struct Kernels {
  const char* name;
  const CodingKernels* coding;
  const NetworkKernels* network;
  const GridKernels* grid;
};

extern const CodingKernels coding_kernels_baseline;
extern const NetworkKernels network_kernels_baseline;
extern const GridKernels grid_kernels_baseline;
#if defined(LACONIC_X86)
extern const CodingKernels coding_kernels_avx2, coding_kernels_avx512vnni;
extern const NetworkKernels network_kernels_avx2, network_kernels_avx512, network_kernels_avx512vnni;
extern const GridKernels grid_kernels_avx2, grid_kernels_avx512, grid_kernels_avx512vnni;
#endif

inline constexpr Kernels kKernels[] = {
    {"baseline", &coding_kernels_baseline, &network_kernels_baseline, &grid_kernels_baseline},
#if defined(LACONIC_X86)
    {"avx2", &coding_kernels_avx2, &network_kernels_avx2, &grid_kernels_avx2},
    {"avx512", &coding_kernels_avx2, &network_kernels_avx512, &grid_kernels_avx512},
    {"avx512vnni", &coding_kernels_avx512vnni, &network_kernels_avx512vnni, &grid_kernels_avx512vnni},
#endif
};
constexpr int kKernelTables = sizeof(kKernels) / sizeof(Kernels);

// Table i, slowest first; null where this processor lacks it, and from kKernelTables on.
inline const Kernels* supported_kernels(int i) {
  if (i >= kKernelTables) return nullptr;
#if defined(LACONIC_X86)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  const bool supported[] = {true, avx2, avx512, avx512 && __builtin_cpu_supports("avx512vnni")};
  return supported[i] ? &kKernels[i] : nullptr;
#else
  return &kKernels[i];
#endif
}

}  // namespace laconic
