// learning.h - frequency tables that learn: where the model's tables stand after what a band has coded so far.
//
// Each band of a tile begins with the tables of the model. With every letter coded, each interval bound moves a part
// 2^-rate of the way to where that letter alone would have it; the rate grows with the times a table was used, so that
// the first letters count most. Integers only, in the order of the letters: encoder and decoder stay alike.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdint>

#include "model.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace laconic {
namespace LACONIC_ISA {

// The frequency of the first of two letters, 1 .. 16383.
inline uint32_t first_freq(uint32_t table) { return ((table >> 16) * (kProbTotal - 2) >> 16) + 1; }

// Where the interval of a token of 1 .. 15 begins in a table that knows it is not 0; every interval keeps at least 1.
inline uint32_t token_start(const uint32_t* bound, unsigned token) {
  constexpr unsigned kLetters = kTokens - 1;
  if (token == kTokens) return kProbTotal;
  return ((bound[token] >> (kBoundBits - 16)) * (kProbTotal - kLetters) >> 16) + token - 1;
}

inline unsigned next_rate(uint8_t& seen) {
  const unsigned rate = kRates[seen >> 4];
  seen = uint8_t(seen + (seen < 255));
  return rate;
}

inline uint32_t moved(uint32_t bound, bool up, unsigned rate) {
  return uint32_t(int32_t(bound) + (((up ? 1 << kBoundBits : 0) - int32_t(bound)) >> rate));
}

inline void learn_first(uint32_t& table, bool first) {
  const uint32_t seen = table & 255;
  table = moved(table >> 8, first, kRates[seen >> 4]) << 8 | (seen + (seen < 255));
}

#if defined(__AVX2__)
// The same for eight tables.
inline __m256i learned_first(__m256i table, bool first) {
  const __m256i seen = _mm256_and_si256(table, _mm256_set1_epi32(255)), bound = _mm256_srli_epi32(table, 8);
  const __m256i rates = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kRates)));
  // Bytes above the lowest, and so their rates, become zero.
  const __m256i rate = _mm256_shuffle_epi8(rates, _mm256_or_si256(_mm256_srli_epi32(seen, 4), _mm256_set1_epi32(int32_t(0x80808000u))));
  const __m256i target = _mm256_set1_epi32(first ? 1 << kBoundBits : 0);
  const __m256i moved = _mm256_add_epi32(bound, _mm256_srav_epi32(_mm256_sub_epi32(target, bound), rate));
  const __m256i now = _mm256_sub_epi32(seen, _mm256_cmpgt_epi32(_mm256_set1_epi32(255), seen));
  return _mm256_or_si256(_mm256_slli_epi32(moved, 8), now);
}
#endif

inline void learn_token(uint32_t* bound, uint8_t& seen, unsigned token) {
  const unsigned rate = next_rate(seen);
#if defined(__AVX512F__)
  const __m512i target = _mm512_maskz_set1_epi32(__mmask16(0xfffeu << token), 1 << kBoundBits);
  const __m512i now = _mm512_load_si512(bound);
  const __m512i step = _mm512_sra_epi32(_mm512_sub_epi32(target, now), _mm_cvtsi32_si128(int(rate)));
  _mm512_store_si512(bound, _mm512_add_epi32(now, step));
#else
  for (unsigned i = 0; i < kTokens; ++i) bound[i] = moved(bound[i], i > token, rate);
#endif
}

// -log2(freq / 2^14) in 1/256 bit for freq of 1 .. 16384.
constexpr uint32_t cost_of(uint32_t freq) {
  const unsigned e = 31u - unsigned(__builtin_clz(freq));
  return ((kProbBits - e) << 8) - kLogarithms.fraction[(freq << (kProbBits - e) >> 6) & 255];
}

inline uint32_t first_cost(uint32_t table, bool first) {
  const uint32_t freq = first_freq(table);
  return cost_of(first ? freq : kProbTotal - freq);
}

// Of a token: is it 0, and if not, which.
inline uint32_t token_cost(const BandTables& t, unsigned row, unsigned token) {
  const uint32_t cost = first_cost(t.zero[row], token == 0);
  return token ? cost + cost_of(token_start(t.rest[row], token + 1) - token_start(t.rest[row], token)) : cost;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
