// integer_peak.cpp - the most multiplications with 32-bit sums that one core does a second, of 8 bits and of 16: nothing
// but multiply-adds on registers, by the widest instructions that the compiler was allowed. Prints both, GMAC/s.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#if defined(__AVX512BW__)
using Vector = __m512i;
#define KIND "v"
#else
using Vector = __m256i;
#define KIND "x"
#endif

template <int kBits>
inline void multiply_add(Vector& sum, const Vector& a, const Vector& b) {
#if defined(__AVX512VNNI__)
  if (kBits == 8)
    asm volatile("vpdpbusd %2, %1, %0" : "+" KIND(sum) : KIND(a), KIND(b));
  else
    asm volatile("vpdpwssd %2, %1, %0" : "+" KIND(sum) : KIND(a), KIND(b));
#else
  Vector product;
  if (kBits == 8) {
    asm volatile("vpmaddubsw %2, %1, %0" : "=" KIND(product) : KIND(a), KIND(b));
    asm volatile("vpmaddwd %1, %0, %0" : "+" KIND(product) : KIND(b));
  } else {
    asm volatile("vpmaddwd %2, %1, %0" : "=" KIND(product) : KIND(a), KIND(b));
  }
  asm volatile("vpaddd %1, %0, %0" : "+" KIND(sum) : KIND(product));
#endif
}

template <int kBits>
double peak() {
  const Vector a{1, 2, 3}, b{4, 5, 6};
  Vector s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a;
  double best = 0;
  for (int run = 0; run < 100; ++run) {
    constexpr int kRounds = 500'000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) {
      multiply_add<kBits>(s0, a, b), multiply_add<kBits>(s1, a, b), multiply_add<kBits>(s2, a, b);
      multiply_add<kBits>(s3, a, b), multiply_add<kBits>(s4, a, b), multiply_add<kBits>(s5, a, b);
      multiply_add<kBits>(s6, a, b), multiply_add<kBits>(s7, a, b);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 8.0 * kRounds * double(sizeof(Vector) * 8 / kBits) / seconds / 1e9);
  }
  return best;
}

int main() { std::printf("%.3f %.3f\n", peak<8>(), peak<16>()); }
