// lifting.h - the wavelets as lifting steps in integers: CDF 9/7 (Daubechies & Sweldens 1998; steps as in JPEG 2000
// part 1, annex F) in 15-bit fixed point, and the reversible 5/3.
//
// A signal of n samples has ceil(n/2) low (even) and floor(n/2) high (odd) samples, with whole-sample symmetric
// extension. The 9/7 scales the low band to unit gain at DC and leaves the high band as the steps give it; its
// synthesis norm is in the quantizer's step. Samples are int16 (8-bit pictures, 1/16 pixel units: the worst
// intermediate over six levels is 10.4 x 2048 = 21,200) or int32 (16-bit pictures).
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace laconic {
namespace LACONIC_ISA {

template <class T>
struct Product;
template <>
struct Product<int16_t> {
  using type = int32_t;
};
template <>
struct Product<int32_t> {
  using type = int64_t;
};

// round(x * c / 2^15)
template <class T>
inline T scaled(T x, int c) {
  using P = typename Product<T>::type;
  return T((P(x) * c + (1 << 14)) >> 15);
}

constexpr int kAlpha = 19206;   // 0.586134342: the step of -1.586134342 is -1 - 0.586134342
constexpr int kBeta = 1736;     // 0.052980118, subtracted
constexpr int kGamma = 28931;   // 0.882911076
constexpr int kDelta = 14533;   // 0.443506852
constexpr int kUnit = 26637;    // 1 / 1.230174105
constexpr int kExcess = 7542;   // 1.230174105 - 1

enum Wavelet : int { kCdf97 = 0, kReversible53 = 1 };

// One lifting step over a run: to[i] changes by a function of a[i] + b[i]. `step` numbers the steps of the analysis;
// `invert` undoes it.
template <class T, bool kInvert>
inline void lift_run(int step, T* to, const T* a, const T* b, int n) {
  switch (step) {
    case 0:  // d -= 1.586 (s + s')
      for (int i = 0; i < n; ++i) {
        const T sum = T(a[i] + b[i]);
        const T part = T(sum + scaled<T>(sum, kAlpha));
        to[i] = kInvert ? T(to[i] + part) : T(to[i] - part);
      }
      break;
    case 1:  // s -= 0.053 (d' + d)
      for (int i = 0; i < n; ++i) {
        // Halves first: the sum of two such d reaches 40,900 in the worst of 8-bit pictures.
        const T mean = T((a[i] >> 1) + ((b[i] + 1) >> 1));
        const T part = scaled<T>(mean, 2 * kBeta);
        to[i] = kInvert ? T(to[i] + part) : T(to[i] - part);
      }
      break;
    case 2:  // d += 0.883 (s + s')
      for (int i = 0; i < n; ++i) {
        const T part = scaled<T>(T(a[i] + b[i]), kGamma);
        to[i] = kInvert ? T(to[i] - part) : T(to[i] + part);
      }
      break;
    case 3:  // s += 0.444 (d' + d)
      for (int i = 0; i < n; ++i) {
        const T part = scaled<T>(T(a[i] + b[i]), kDelta);
        to[i] = kInvert ? T(to[i] - part) : T(to[i] + part);
      }
      break;
    case 4:  // 5/3: d -= floor((s + s') / 2)
      for (int i = 0; i < n; ++i) {
        const T part = T((a[i] + b[i]) >> 1);
        to[i] = kInvert ? T(to[i] + part) : T(to[i] - part);
      }
      break;
    case 5:  // 5/3: s += floor((d' + d + 2) / 4)
      for (int i = 0; i < n; ++i) {
        const T part = T((a[i] + b[i] + 2) >> 2);
        to[i] = kInvert ? T(to[i] - part) : T(to[i] + part);
      }
      break;
  }
}

template <class T, bool kInvert>
inline void scale_low(T* s, int n) {
  for (int i = 0; i < n; ++i) s[i] = kInvert ? T(s[i] + scaled<T>(s[i], kExcess)) : scaled<T>(s[i], kUnit);
}

// One row: s has ns, d has nd samples (ns == nd or nd + 1, nd >= 1), each with one writable sample before and after.
template <class T, bool kInvert>
inline void lift_row(Wavelet wavelet, T* s, T* d, int ns, int nd) {
  const auto predict = [&](int step) {
    s[ns] = s[ns - 1];  // the mirror right of an even-length signal
    lift_run<T, kInvert>(step, d, s, s + 1, nd);
  };
  const auto update = [&](int step) {
    d[-1] = d[0], d[nd] = d[nd - 1];
    lift_run<T, kInvert>(step, s, d - 1, d, ns);
  };
  if (wavelet == kReversible53) {
    if constexpr (kInvert)
      update(5), predict(4);
    else
      predict(4), update(5);
  } else if constexpr (kInvert) {
    scale_low<T, true>(s, ns);
    update(3), predict(2), update(1), predict(0);
  } else {
    predict(0), update(1), predict(2), update(3);
    scale_low<T, false>(s, ns);
  }
}

// Rows from .. to of the top left h x w region: samples <-> [low | high]. `scratch` holds w + 4 samples.
template <class T, bool kInvert>
inline void lift_rows(T* plane, ptrdiff_t stride, int w, int from, int to, Wavelet wavelet, T* scratch) {
  if (w < 2) return;
  const int ns = (w + 1) / 2, nd = w / 2;
  T *s = scratch, *d = scratch + ns + 2;
  for (int y = from; y < to; ++y) {
    T* row = plane + y * stride;
    if constexpr (kInvert) {
      memcpy(s, row, size_t(ns) * sizeof(T));
      memcpy(d, row + ns, size_t(nd) * sizeof(T));
    } else {
      for (int i = 0; i < nd; ++i) s[i] = row[2 * i], d[i] = row[2 * i + 1];
      if (ns > nd) s[nd] = row[2 * nd];
    }
    lift_row<T, kInvert>(wavelet, s, d, ns, nd);
    if constexpr (kInvert) {
      for (int i = 0; i < nd; ++i) row[2 * i] = s[i], row[2 * i + 1] = d[i];
      if (ns > nd) row[2 * nd] = s[nd];
    } else {
      memcpy(row, s, size_t(ns) * sizeof(T));
      memcpy(row + ns, d, size_t(nd) * sizeof(T));
    }
  }
}

constexpr int kStrip = 64;  // columns lifted together: one or two cache lines a row

// Columns from .. to of the top left h x (>= to) region. `scratch` holds h * kStrip samples.
template <class T, bool kInvert>
inline void lift_columns(T* plane, ptrdiff_t stride, int h, int from, int to, Wavelet wavelet, T* scratch) {
  if (h < 2) return;
  const int ns = (h + 1) / 2, nd = h / 2;
  for (int x0 = from; x0 < to; x0 += kStrip) {
    const int n = to - x0 < kStrip ? to - x0 : kStrip;
    const size_t bytes = size_t(n) * sizeof(T);
    const auto s = [&](int i) { return scratch + ptrdiff_t(i) * kStrip; };
    const auto d = [&](int i) { return scratch + ptrdiff_t(ns + i) * kStrip; };
    const auto low = [&](int i) { return plane + (kInvert ? ptrdiff_t(i) : ptrdiff_t(2 * i)) * stride + x0; };
    const auto high = [&](int i) { return plane + (kInvert ? ptrdiff_t(ns + i) : ptrdiff_t(2 * i + 1)) * stride + x0; };
    for (int i = 0; i < ns; ++i) memcpy(s(i), low(i), bytes);
    for (int i = 0; i < nd; ++i) memcpy(d(i), high(i), bytes);
    const auto predict = [&](int step) {
      for (int i = 0; i < nd; ++i) lift_run<T, kInvert>(step, d(i), s(i), s(i + 1 < ns ? i + 1 : i), n);
    };
    const auto update = [&](int step) {
      for (int i = 0; i < ns; ++i) lift_run<T, kInvert>(step, s(i), d(i > 0 ? i - 1 : 0), d(i < nd ? i : nd - 1), n);
    };
    const auto scale = [&] {
      for (int i = 0; i < ns; ++i) scale_low<T, kInvert>(s(i), n);
    };
    if (wavelet == kReversible53) {
      if constexpr (kInvert)
        update(5), predict(4);
      else
        predict(4), update(5);
    } else if constexpr (kInvert) {
      scale(), update(3), predict(2), update(1), predict(0);
    } else {
      predict(0), update(1), predict(2), update(3), scale();
    }
    const auto out_low = [&](int i) { return plane + (kInvert ? ptrdiff_t(2 * i) : ptrdiff_t(i)) * stride + x0; };
    const auto out_high = [&](int i) { return plane + (kInvert ? ptrdiff_t(2 * i + 1) : ptrdiff_t(ns + i)) * stride + x0; };
    for (int i = 0; i < ns; ++i) memcpy(out_low(i), s(i), bytes);
    for (int i = 0; i < nd; ++i) memcpy(out_high(i), d(i), bytes);
  }
}

}  // namespace LACONIC_ISA
}  // namespace laconic
