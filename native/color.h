// color.h - pixels <-> planes, row by row.
//
// Lossy: BT.601 full range Y, Cb, Cr around zero in 1/16 pixel units. Lossless: exact in integers, in one of the ways
// of reversible_color.h. Gray is the Y plane alone; alpha is a plane of its own, kept as it is (minus the middle of its range).
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstddef>
#include <cstdint>

#include "interleave.h"
#include "lifting.h"
#include "reversible_color.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kPixelBits = 4;  // fraction bits of a lossy plane

// S: uint8_t or uint16_t pixels, T: int16_t or int32_t planes. P: wide enough for a pixel times 2^15.
template <class S>
struct Pixel;
template <>
struct Pixel<uint8_t> {
  static constexpr int kMiddle = 128, kTop = 255;
};
template <>
struct Pixel<uint16_t> {
  static constexpr int kMiddle = 32768, kTop = 65535;
};

template <class S, class P>
inline S clip(P v) {
  return S(v < 0 ? 0 : v > Pixel<S>::kTop ? Pixel<S>::kTop : v);
}

struct ColorRow {
  int channels;   // of the pixels: 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha
  bool lossless;
  ptrdiff_t plane_stride;  // samples from one plane to the next
  int colors = 0;          // which of the reversible ways, if lossless and of three channels or more
};

template <class S, class T>
inline void analyze_color(const S* px, T* out, int w, const ColorRow& c) {
  using P = typename Product<T>::type;
  constexpr int kMiddle = Pixel<S>::kMiddle;
  const int n = c.channels;
  if (n >= 3) {
    ColorBlock<S> block;
    for (int from = 0; from < w; from += kBlockPixels) {
      const int count = w - from < kBlockPixels ? w - from : kBlockPixels;
      T *a = out + from, *b = a + c.plane_stride, *d = b + c.plane_stride;
      deinterleave(px + ptrdiff_t(n) * from, count, n, block);
      if (c.lossless) {
        const uint8_t* order = kColorOrder[c.colors % kColorOrders];
        const S *first = block.of[order[0]], *second = block.of[order[1]], *third = block.of[order[2]];
        with_way(c.colors, [&]<ColorWay kWay>() {
          for (int x = 0; x < count; ++x) {
            const Three of = colors_of<kWay>(first[x], second[x], third[x]);
            a[x] = T(of.first - kMiddle), b[x] = T(of.second), d[x] = T(of.third);
          }
        });
        continue;
      }
      constexpr int kShift = 15 - kPixelBits;
      constexpr P kHalf = 1 << (kShift - 1);
      for (int x = 0; x < count; ++x) {
        const P r = block.of[0][x], g = block.of[1][x], l = block.of[2][x];
        a[x] = T(((9798 * r + 19235 * g + 3735 * l + kHalf) >> kShift) - (kMiddle << kPixelBits));
        b[x] = T((-5529 * r - 10855 * g + 16384 * l + kHalf) >> kShift);
        d[x] = T((16384 * r - 13720 * g - 2664 * l + kHalf) >> kShift);
      }
    }
  } else {
    const int shift = c.lossless ? 0 : kPixelBits;
    for (int x = 0; x < w; ++x) out[x] = T((int(px[n * x]) - kMiddle) * (1 << shift));
  }
  if (n == 2 || n == 4) {
    T* alpha = out + (n - 1) * c.plane_stride;
    for (int x = 0; x < w; ++x) alpha[x] = T(int(px[n * x + n - 1]) - kMiddle);
  }
}

template <class S, class T>
inline void synthesize_color(const T* in, S* px, int w, const ColorRow& c) {
  using P = typename Product<T>::type;
  constexpr int kMiddle = Pixel<S>::kMiddle;
  const int n = c.channels;
  if (n >= 3) {
    ColorBlock<S> block;
    for (int from = 0; from < w; from += kBlockPixels) {
      const int count = w - from < kBlockPixels ? w - from : kBlockPixels;
      const T *a = in + from, *b = a + c.plane_stride, *d = b + c.plane_stride;
      if (c.lossless) {
        const uint8_t* order = kColorOrder[c.colors % kColorOrders];
        S *first = block.of[order[0]], *second = block.of[order[1]], *third = block.of[order[2]];
        with_way(c.colors, [&]<ColorWay kWay>() {
          for (int x = 0; x < count; ++x) {
            const Three of = channels_of<kWay>(a[x] + kMiddle, b[x], d[x]);
            first[x] = clip<S, int>(of.first), second[x] = clip<S, int>(of.second), third[x] = clip<S, int>(of.third);
          }
        });
      } else {
        constexpr int kShift = 14 + kPixelBits;
        constexpr P kOffset = (P(kMiddle) << kShift) + (P{1} << (kShift - 1));
        for (int x = 0; x < count; ++x) {
          const P y = P(a[x]) * 16384 + kOffset, cb = b[x], cr = d[x];
          block.of[0][x] = clip<S, P>((y + 22970 * cr) >> kShift);
          block.of[1][x] = clip<S, P>((y - 5638 * cb - 11700 * cr) >> kShift);
          block.of[2][x] = clip<S, P>((y + 29032 * cb) >> kShift);
        }
      }
      interleave(block, count, n, px + ptrdiff_t(n) * from);
    }
  } else {
    const int shift = c.lossless ? 0 : kPixelBits, half = shift ? 1 << (shift - 1) : 0;
    for (int x = 0; x < w; ++x) px[n * x] = clip<S, int>(((int(in[x]) + half) >> shift) + kMiddle);
  }
  if (n == 2 || n == 4) {
    const T* alpha = in + (n - 1) * c.plane_stride;
    for (int x = 0; x < w; ++x) px[n * x + n - 1] = clip<S, int>(int(alpha[x]) + kMiddle);
  }
}

}  // namespace LACONIC_ISA
}  // namespace laconic
