// sample_prediction.h - what a sample of a plane should be, foretold five ways from the samples before it and from the
// planes that are known already, and the five made one by how far each was off nearby.
//
//   0, 1, 2  least squares over 31, 23 and 8 to 12 taps, fitted far and wide, nearer, and very near (least_squares.h)
//   3        the taps of the first with weights that follow the gradient (normalized least mean squares)
//   4        the median of the neighbors and their plane (Weinberger, Seroussi & Sapiro, "The LOCO-I lossless image
//            compression algorithm", 2000), of what is left of them beside the plane before
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "carving.h"
#include "least_squares.h"
#include "model.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kPredictions = 5, kFits = 3;
constexpr int kMargin = 8;          // samples around a plane
constexpr int kUnitBits = 6;        // predictions are in 1/64 of a sample's unit
constexpr int kErrorShift = 3;      // errors in 1/8

// A plane with a margin, so that taps need not ask where they are.
template <class T>
struct Framed {
  T* at = nullptr;  // the first sample
  ptrdiff_t stride = 0;
  int height = 0, width = 0;

  LACONIC_INLINE static size_t bytes(int height, int width) {
    return size_t(height + 2 * kMargin) * size_t(width + 2 * kMargin) * sizeof(T);
  }
  LACONIC_INLINE void place(void* memory, int h, int w) {
    height = h, width = w, stride = w + 2 * kMargin;
    at = static_cast<T*>(memory) + kMargin * stride + kMargin;
  }
  LACONIC_INLINE T* row(int y) const { return at + y * stride; }

  // While the plane comes in: left of a row stands what is above its first sample, right of it what it ends with. Above
  // the first row stands, from each column on, what came before in the first row.
  LACONIC_INLINE void start(T first) {
    for (int y = -kMargin; y < 0; ++y)
      for (int x = -kMargin; x < width + kMargin; ++x) row(y)[x] = first;
  }
  LACONIC_INLINE void start_row(int y) {
    for (int x = 1; x <= kMargin; ++x) row(y)[-x] = row(y - 1)[0];
  }
  LACONIC_INLINE void extend_above(int x) {
    for (int y = -4; y < 0; ++y)
      for (int k = 1; k <= 5; ++k) row(y)[x + k] = at[x];
  }
  LACONIC_INLINE void finish_row(int y) {
    for (int x = 0; x < kMargin; ++x) row(y)[width + x] = row(y)[width - 1];
  }
  // When it is complete: all around stands the nearest sample.
  LACONIC_INLINE void finish() {
    for (int y = 0; y < height; ++y)
      for (int x = 1; x <= kMargin; ++x) row(y)[-x] = row(y)[0];
    const size_t size = size_t(stride) * sizeof(T);
    for (int y = 1; y <= kMargin; ++y) {
      memcpy(row(-y) - kMargin, row(0) - kMargin, size);
      memcpy(row(height - 1 + y) - kMargin, row(height - 1) - kMargin, size);
    }
  }
};

using FramedSamples = Framed<uint16_t>;
using FramedErrors = Framed<int32_t>;

// Where taps lie (dy, dx): of the plane itself, nearest first, and of planes that are known.
constexpr int8_t kOwnTaps[31][2] = {{0, -1},  {-1, -1}, {-1, 1},  {0, -2},  {-2, 0},  {-1, -2}, {-1, 2},  {-2, -1},
                                    {-2, 1},  {0, -3},  {-3, 0},  {-2, -2}, {-2, 2},  {-1, 3},  {-1, -3}, {-3, -1},
                                    {-3, 1},  {0, -4},  {-2, 3},  {-2, -3}, {-4, 0},  {-3, 2},  {-3, -2}, {0, -5},
                                    {-1, -4}, {-1, 4},  {-3, 3},  {-3, -3}, {-4, 1},  {-4, -1}, {-2, 4}};
constexpr int8_t kOtherTaps[17][2] = {{0, 0},  {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1},  {1, 1},  {0, -2},
                                      {-2, 0}, {0, 2},  {2, 0}, {1, 2}, {1, -2},  {-1, 2}, {-1, -2}, {-2, 1}};
// How many of the own plane, of the one before and of the one before that each fit takes, by the number of known planes.
constexpr int kTapCounts[kFits][3][3] = {{{31, 0, 0}, {14, 17, 0}, {8, 15, 8}},
                                         {{23, 0, 0}, {10, 13, 0}, {8, 10, 5}},
                                         {{8, 0, 0}, {5, 5, 0}, {4, 5, 3}}};
constexpr int kMostTaps = 31, kLanes = 32;
using WideFit = LeastSquares<32, 16, 3>;
using NearFit = LeastSquares<24, 8, 2>;
using NearestFit = LeastSquares<16, 4, 1>;
constexpr int32_t kMostGradient = 8 << 16;
constexpr uint32_t kShareHalf = 1u << 16;  // energy of the taps at which a sample counts half

// 2^16 * 2^(-3 i / 16): how much a prediction counts that was off by 2^(i / 16) times the least error.
struct BlendWeights {
  uint32_t at[96];
  constexpr BlendWeights() : at() {
    uint64_t x = uint64_t{1} << 48;
    for (uint32_t& w : at) {
      w = uint32_t(x >> 32);
      x = (x >> 16) * 57549;  // 2^16 * 2^(-3 / 16)
    }
  }
};
inline constexpr BlendWeights kBlendWeights{};

// 16 log2(x), rounded down, x >= 1.
LACONIC_INLINE int log2_16(uint32_t x) {
  const int e = 31 - __builtin_clz(x);
  return 16 * e + (kLogarithms.fraction[(x << (31 - e) >> 23) & 255] >> 4);
}
// 256 log2(x), x >= 1.
LACONIC_INLINE int log2_256(uint32_t x) {
  const int e = 31 - __builtin_clz(x);
  return 256 * e + kLogarithms.fraction[(x << (31 - e) >> 23) & 255];
}

// Of one sample.
struct Guess {
  int32_t by[kPredictions];  // 1/64
  int32_t blended;
};

class SamplePredictor {
 public:
  LACONIC_INLINE static size_t bytes(int width) {
    return WideFit::bytes(width) + NearFit::bytes(width) + NearestFit::bytes(width) +
           kPredictions * 3 * size_t(width + 2 * kMargin) * sizeof(int32_t) + 5 * kCarved;
  }

  // `known` are the planes before that this one is like, the nearest last.
  LACONIC_INLINE void start(int depth, const FramedSamples& own, const FramedSamples* known, int knowns, void* memory) {
    own_ = own, knowns_ = knowns, excess_ = depth - 8, top_ = ((1 << depth) - 1) << kUnitBits;
    Carver carver(memory);
    const auto count = [&](int fit) { return kTapCounts[fit][knowns][0] + kTapCounts[fit][knowns][1] + kTapCounts[fit][knowns][2]; };
    wide_.start(count(0), own.width, carver.take<uint8_t>(WideFit::bytes(own.width)));
    near_.start(count(1), own.width, carver.take<uint8_t>(NearFit::bytes(own.width)));
    nearest_.start(count(2), own.width, carver.take<uint8_t>(NearestFit::bytes(own.width)));
    const size_t line = size_t(own.width + 2 * kMargin);
    auto* const errors = carver.take<int32_t>(kPredictions * 3 * line);
    memset(errors, 0, kPredictions * 3 * line * sizeof(int32_t));
    for (int k = 0; k < kPredictions; ++k)
      for (int r = 0; r < 3; ++r) error_[k][r] = errors + (3 * k + r) * line + kMargin;
    memset(gradient_, 0, sizeof gradient_);
    memset(tap_, 0, sizeof tap_);
    // The taps of every fit are some of those of the first.
    taps_ = 0;
    for (int source = 0; source < 3; ++source)
      for (int i = 0; i < kTapCounts[0][knowns][source]; ++i) {
        const int8_t* at = source == 0 ? kOwnTaps[i] : kOtherTaps[i];
        const FramedSamples& of = source == 0 ? own : known[knowns - source];
        offset_[taps_++] = at[0] * of.stride + at[1];
      }
    for (int fit = 0; fit < kFits; ++fit)
      for (int s = 0, end = 0; s < 3; ++s) ends_[fit][s] = end += kTapCounts[fit][knowns][s];
    for (int s = 1; s <= knowns; ++s) known_[s] = known[knowns - s];
  }

  LACONIC_INLINE void start_row(int y) {
    y_ = y;
    for (int k = 0; k < kPredictions; ++k) {
      int32_t* const oldest = error_[k][2];
      error_[k][2] = error_[k][1], error_[k][1] = error_[k][0], error_[k][0] = oldest;
      for (int x = 1; x <= kMargin; ++x) oldest[-x] = error_[k][1][0];
    }
  }
  LACONIC_INLINE void finish_row() {
    for (int k = 0; k < kPredictions; ++k)
      for (int x = 0; x < kMargin; ++x) error_[k][0][own_.width + x] = error_[k][0][own_.width - 1];
    wide_.finish_row(), near_.finish_row(), nearest_.finish_row();
  }

  LACONIC_INLINE Guess predict(int x) {
    const uint16_t* at[3] = {own_.row(y_) + x};
    int32_t twice[3];  // the sum of the neighbors to the left and above in each plane
    twice[0] = at[0][-1] + at[0][-own_.stride];
    for (int s = 1; s <= knowns_; ++s) {
      at[s] = known_[s].row(y_) + x;
      twice[s] = at[s][-1] + at[s][-known_[s].stride];
    }
    for (int s = 0, i = 0; s <= knowns_; ++s)
      for (; i < ends_[0][s]; ++i) tap_[i] = 2 * int32_t(at[s][offset_[i]]) - twice[s];
    uint32_t energy = 0;
    for (int i = 0; i < kLanes; ++i) {
      const int32_t s = tap_[i] >> excess_;
      scaled_[i] = int16_t(s);
      energy += uint32_t(s * s);
    }
    energy_ = energy, twice_ = twice[0];
    choose(scaled_, chosen_scaled_);
    if (excess_) {
      for (int i = 0; i < kLanes; ++i) rest_[i] = int16_t(tap_[i] & ((1 << excess_) - 1));
      choose(rest_, chosen_rest_);
    }
    wide_.come_to(x), near_.come_to(x), nearest_.come_to(x);
    Guess f;
    f.by[0] = placed<32>(wide_.weights(), scaled_, rest_);
    f.by[1] = placed<32>(near_.weights(), chosen_scaled_[0], chosen_rest_[0]);
    f.by[2] = placed<16>(nearest_.weights(), chosen_scaled_[1], chosen_rest_[1]);
    alignas(64) int16_t gradient[kLanes];
    for (int i = 0; i < kLanes; ++i) gradient[i] = int16_t(limited(gradient_[i] >> (16 - kTapBits), kMostTapWeight));
    f.by[3] = placed<32>(gradient, scaled_, rest_);
    int32_t w = at[0][-1], n = at[0][-own_.stride], nw = at[0][-own_.stride - 1], base = 0;
    if (knowns_) {
      const uint16_t* o = at[1];
      const ptrdiff_t up = known_[1].stride;
      base = o[0], w -= o[-1], n -= o[-up], nw -= o[-up - 1];
    }
    const int32_t low = w < n ? w : n, high = w < n ? n : w, plane = w + n - nw;
    f.by[4] = within((base + (plane < low ? low : plane > high ? high : plane)) << kUnitBits);
    f.blended = blend(f.by, x);
    last_ = f;
    return f;
  }

  // The same sample, when it is known.
  LACONIC_INLINE void learn(int x, int32_t sample) {
    for (int k = 0; k < kPredictions; ++k) {
      const int32_t e = (sample << kUnitBits) - last_.by[k];
      error_[k][0][x] = (e < 0 ? -e : e) >> kErrorShift;
    }
    const int32_t e = ((sample << kUnitBits) - last_.by[3]) >> excess_;
    const int32_t step = e * (25 << 8) / int32_t(128 + energy_);
    for (int i = 0; i < kLanes; ++i) {
      const int32_t g = gradient_[i] + (step * scaled_[i] >> 8);
      gradient_[i] = g > kMostGradient ? kMostGradient : g < -kMostGradient ? -kMostGradient : g;
    }
    const int32_t target = (2 * sample - twice_) >> excess_;
    const int32_t share = int32_t((kShareHalf << 12) / (kShareHalf + energy_));
    alignas(64) int16_t weighted[2 * kLanes] = {}, chosen[2][2 * kLanes];
    for (int i = 0; i < kLanes; ++i) weighted[i] = int16_t(scaled_[i] * share >> (12 - kShareFraction));
    choose(weighted, chosen);
    const bool last = x == own_.width - 1;
    wide_.learn(x, last, scaled_, weighted, target);
    near_.learn(x, last, chosen_scaled_[0], chosen[0], target);
    nearest_.learn(x, last, chosen_scaled_[1], chosen[1], target);
  }

 private:
  // The taps of the nearer fits: the first of each source. What comes after them does not matter.
  LACONIC_INLINE void choose(const int16_t* all, int16_t (*chosen)[2 * kLanes]) const {
    for (int fit = 0; fit < 2; ++fit) {
      memcpy(chosen[fit], all, kLanes * sizeof *all);
      for (int s = 1; s <= knowns_; ++s) memcpy(chosen[fit] + ends_[fit + 1][s - 1], all + ends_[0][s - 1], kLanes * sizeof *all);
    }
  }
  LACONIC_INLINE int32_t within(int64_t p) const { return int32_t(p < 0 ? 0 : p > top_ ? top_ : p); }
  template <int kCount>
  LACONIC_INLINE int32_t placed(const int16_t* weights, const int16_t* scaled, const int16_t* rest) const {
    int64_t sum = weighted_sum<kCount>(weights, scaled);
    if (excess_) sum = (sum << excess_) + weighted_sum<kCount>(weights, rest);
    return within((int64_t(twice_) << (kUnitBits - 1)) + (sum >> (kTapBits + 1 - kUnitBits)));
  }

  // The mean of the predictions, each weighed by the third power of what it was off nearby.
  LACONIC_INLINE int32_t blend(const int32_t* by, int x) const {
    int off[kPredictions], least = INT32_MAX;
    for (int k = 0; k < kPredictions; ++k) {
      const int32_t *e = error_[k][0] + x, *n = error_[k][1] + x, *nn = error_[k][2] + x;
      const uint32_t sum = 16 * uint32_t(e[-1] + n[0]) + 10 * uint32_t(n[-1] + n[1]) + 8 * uint32_t(e[-2] + nn[0]);
      off[k] = log2_16(32 + sum);
      least = off[k] < least ? off[k] : least;
    }
    int64_t sum = 0, weights = 0;
    for (int k = 0; k < kPredictions; ++k) {
      const int i = off[k] - least;
      const int64_t w = i < 96 ? kBlendWeights.at[i] : 0;
      sum += w * by[k], weights += w;
    }
    return int32_t(sum / weights);
  }

  FramedSamples own_, known_[3];
  int knowns_ = 0, excess_ = 0, top_ = 0, taps_ = 0, y_ = 0;
  ptrdiff_t offset_[kMostTaps];
  int ends_[kFits][3];  // of the taps of each source
  WideFit wide_;
  NearFit near_;
  NearestFit nearest_;
  int32_t* error_[kPredictions][3];
  alignas(64) int32_t tap_[kLanes], gradient_[kLanes];
  alignas(64) int16_t scaled_[2 * kLanes] = {}, rest_[2 * kLanes] = {}, chosen_scaled_[2][2 * kLanes] = {},
                      chosen_rest_[2][2 * kLanes] = {};
  uint32_t energy_ = 0;
  int32_t twice_ = 0;
  Guess last_ = {};
};

}  // namespace LACONIC_ISA
}  // namespace laconic
