// mixing.h - the probability of a decision mixed from several tables (logistic mixing: Mahoney, "Adaptive weighing of
// context models for lossless data compression", Florida Tech CS-2005-16; the decisions and tables are our own).
//
// A magnitude is a chain of decisions: is it 0; if not, is it 1; if not, is it 2. Each decision has a table of two letters
// for each of five activities: the whole one, and those of the own band, the parent, the siblings and the planes before
// alone. Their logarithmic odds are added up with weights, the sum's probability codes the decision, and then all learn:
// each table from the letter, the weights along the gradient of what the letter cost. Where a network has an opinion
// (context_network.h) it is a sixth source, which does not learn but is weighed like the others. Integers only.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "causal.h"
#include "learning.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int32_t kMaxMixWeight = 1 << 17;

// What one decision is mixed from.
struct Mixture {
  uint32_t* table[kMixInputs];
  int32_t* weight;
};

// Where no network speaks.
struct NoOpinion {
  static constexpr bool kSpeaks = false;
  explicit NoOpinion(const ContextWeights* = nullptr) {}
  LACONIC_INLINE void look(int, unsigned) const {}
  LACONIC_INLINE int32_t odds(unsigned) const { return 0; }
  struct Seen {};
  LACONIC_INLINE bool tells_signs() const { return false; }
};

// The logarithmic odds of a weighted sum of stretches (with the half that rounds), their probability in 2^-16, and its
// frequency.
LACONIC_INLINE int32_t mixed_odds(int32_t sum) {
  sum >>= 16;
  return sum > kMaxStretched ? kMaxStretched : sum < -kMaxStretched ? -kMaxStretched : sum;
}
LACONIC_INLINE uint32_t mixed_probability(int32_t sum) { return kOdds.squashed(mixed_odds(sum)); }
LACONIC_INLINE constexpr uint32_t mixed_freq(uint32_t probability) { return probability >> 2 < 1 ? 1 : probability >> 2; }

// The chance of the first letter, 1 .. 16383, and what learning needs.
struct Mixed {
#if defined(__AVX2__)
  __m256i table, stretched;  // of each source, in lanes
#else
  int32_t stretched[kMixInputs + 1];
#endif
  uint32_t probability;
  LACONIC_INLINE uint32_t freq() const { return mixed_freq(probability); }
};

template <bool kSpeaks>
LACONIC_INLINE Mixed mixed(const Mixture& m, int32_t odds) {
  Mixed r;
  int32_t stretched[kMixInputs + 1];
  int32_t sum = 1 << 15;
  for (int i = 0; i < kMixInputs; ++i) {
    stretched[i] = kOdds.stretched[*m.table[i] >> 20];
    sum += m.weight[i] * stretched[i];
  }
  stretched[kMixInputs] = kSpeaks ? odds : 0;
  if constexpr (kSpeaks) sum += m.weight[kMixInputs] * odds;
#if defined(__AVX2__)
  static_assert(kMixInputs == 5);
  const auto lanes = [](int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f) {
    return _mm256_setr_epi32(a, b, c, d, e, f, 0, 0);
  };
  const auto table = [&](int i) { return int32_t(*m.table[i]); };
  r.table = lanes(table(0), table(1), table(2), table(3), table(4), 0);
  r.stretched = lanes(stretched[0], stretched[1], stretched[2], stretched[3], stretched[4], stretched[5]);
#else
  memcpy(r.stretched, stretched, sizeof stretched);
#endif
  r.probability = mixed_probability(sum);
  return r;
}

template <bool kSpeaks>
LACONIC_INLINE void learn_mixed(const Mixture& m, const Mixed& r, bool first) {
  const int32_t error = (first ? 65536 : 0) - int32_t(r.probability);
#if defined(__AVX2__)
  const __m256i moves = _mm256_srai_epi32(
      _mm256_add_epi32(_mm256_mullo_epi32(r.stretched, _mm256_set1_epi32(error)), _mm256_set1_epi32(1 << 14)), 15);
  auto* const weight = reinterpret_cast<__m256i*>(m.weight);
  const __m256i w = _mm256_add_epi32(_mm256_load_si256(weight), moves);
  const __m256i most = _mm256_set1_epi32(kMaxMixWeight), least = _mm256_set1_epi32(-kMaxMixWeight);
  _mm256_store_si256(weight, _mm256_max_epi32(_mm256_min_epi32(w, most), least));
  const __m256i learned = learned_first(r.table, first);
  const __m128i low = _mm256_castsi256_si128(learned);
  *m.table[0] = uint32_t(_mm_cvtsi128_si32(low)), *m.table[1] = uint32_t(_mm_extract_epi32(low, 1));
  *m.table[2] = uint32_t(_mm_extract_epi32(low, 2)), *m.table[3] = uint32_t(_mm_extract_epi32(low, 3));
  *m.table[4] = uint32_t(_mm_cvtsi128_si32(_mm256_extracti128_si256(learned, 1)));
#else
  for (int i = 0; i < kMixInputs; ++i) learn_first(*m.table[i], first);
  for (int i = 0; i < kMixInputs + kSpeaks; ++i) {
    const int32_t w = m.weight[i] + ((r.stretched[i] * error + (1 << 14)) >> 15);
    m.weight[i] = w > kMaxMixWeight ? kMaxMixWeight : w < -kMaxMixWeight ? -kMaxMixWeight : w;
  }
#endif
}

// A token, from or to a coder: `coder.first(freq, value)` codes one of two letters and `coder.rest(bound, token)` a token
// of 3 or more; a decoder ignores what it is told and returns what it finds.
template <class Coder, class Opinion>
LACONIC_INLINE unsigned code_token(Coder& coder, MixedTables& t, unsigned quantizer, unsigned kind, const unsigned* bucket,
                                   const Opinion& opinion, unsigned token) {
  const unsigned row = (quantizer * kKinds + kind) * kBuckets + bucket[0];
  for (unsigned d = 0; d < kDecisions; ++d) {
    Mixture m;
    m.table[0] = &t.whole[row][d];
    for (int i = 0; i < kMixParts; ++i) m.table[i + 1] = &t.part[i][quantizer * kBuckets + bucket[i + 1]][d];
    m.weight = t.weight[kind][d];
    const Mixed chance = mixed<Opinion::kSpeaks>(m, opinion.odds(d));
    const bool here = coder.first(chance.freq(), token == d);
    learn_mixed<Opinion::kSpeaks>(m, chance, here);
    if (here) return d;
  }
  token = coder.rest(t.rest[row], token);
  learn_token(t.rest[row], t.rest_seen[row], token);
  return token;
}

// A sign, likewise, mixed from its table and what a network says of the first letter; true for the first letter.
LACONIC_INLINE int32_t mixed_sign(const int32_t* weight, uint32_t table, int32_t odds) {
  return (1 << 15) + weight[0] * kOdds.stretched[table >> 20] + weight[1] * odds;
}
template <class Coder>
LACONIC_INLINE bool code_sign(Coder& coder, uint32_t& table, int32_t* weight, int32_t odds, bool first) {
  const int32_t stretched[2] = {kOdds.stretched[table >> 20], odds};
  const uint32_t probability = mixed_probability(mixed_sign(weight, table, odds));
  first = coder.first(mixed_freq(probability), first);
  const int32_t error = (first ? 65536 : 0) - int32_t(probability);
  for (int i = 0; i < 2; ++i) {
    const int32_t w = weight[i] + ((stretched[i] * error + (1 << 14)) >> 15);
    weight[i] = w > kMaxMixWeight ? kMaxMixWeight : w < -kMaxMixWeight ? -kMaxMixWeight : w;
  }
  learn_first(table, first);
  return first;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
