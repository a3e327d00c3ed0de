// adaptive.h - a frequency table that follows its symbols: counts are taken of what was coded, and from time to time
// the intervals that rans.h needs are made from them anew. Encoder and decoder do this at the same symbols, in
// integers, so nothing is transmitted.
//
// Two horizons: early on the table is renewed every few symbols and the prior weighs little; later the counts are halved
// whenever they pass a limit, so that a table remembers some thousand symbols and follows slow change.
#pragma once
#include <cstdint>
#include <cstring>

#include "rans.h"

namespace laconic {

constexpr uint32_t kCountStep = 32;             // what one symbol adds
constexpr uint32_t kCountLimit = 1u << 19;      // 16384 symbols
constexpr uint32_t kFirstRenewal = 8, kLastRenewal = 512;  // symbols between two renewals

template <int MaxTokens>
class AdaptiveTable {
 public:
  // `prior` counts for each of `tokens` tokens, 2 <= tokens <= MaxTokens; their sum is above 0 and below 2^19.
  void start(const uint32_t* prior, int tokens) {
    tokens_ = tokens, interval_ = kFirstRenewal;
    for (int i = 0; i < tokens; ++i) count_[i] = prior[i];
    renew();
  }

  LACONIC_INLINE uint32_t op(uint32_t token) const {
    return pack_op(start_[token], uint32_t(start_[token + 1] - start_[token]));
  }

  LACONIC_INLINE uint32_t take(RansReader& reader) const {
    const uint32_t slot = reader.slot();
    uint32_t token = first_[slot >> kLookupShift];
    while (start_[token + 1] <= slot) ++token;
    reader.take(start_[token], uint32_t(start_[token + 1] - start_[token]));
    return token;
  }

  LACONIC_INLINE void count(uint32_t token) {
    count_[token] += kCountStep;
    if (--left_ == 0) renew();
  }

 private:
  static constexpr unsigned kLookupShift = 6;

  void renew() {
    uint32_t total = 0;
    for (int i = 0; i < tokens_; ++i) total += count_[i];
    if (total > kCountLimit) {
      total = 0;
      for (int i = 0; i < tokens_; ++i) total += count_[i] -= count_[i] / 2;
    }
    // Every token keeps one slot; the rest is shared out by the counts, and what rounding leaves over goes to the
    // largest. count < 2^20 and scale <= 2^18 * 2^14 / 1: the product fits 64 bits.
    const uint32_t share = kProbTotal - uint32_t(tokens_);
    const uint64_t scale = (uint64_t{share} << 24) / total;
    uint32_t sum = 0;
    int largest = 0;
    uint32_t freq[MaxTokens];
    for (int i = 0; i < tokens_; ++i) {
      freq[i] = 1 + uint32_t(count_[i] * scale >> 24);
      sum += freq[i];
      if (count_[i] > count_[largest]) largest = i;
    }
    freq[largest] += kProbTotal - sum;
    uint32_t at = 0, cell = 0;
    for (int i = 0; i < tokens_; ++i) {
      start_[i] = uint16_t(at);
      at += freq[i];
      for (; cell << kLookupShift < at; ++cell) first_[cell] = uint8_t(i);
    }
    start_[tokens_] = uint16_t(at);
    left_ = interval_;
    interval_ += interval_ / 2;
    if (interval_ > kLastRenewal) interval_ = kLastRenewal;
  }

  int tokens_ = 0;
  uint32_t interval_ = 0, left_ = 0;
  uint16_t start_[MaxTokens + 1];
  uint8_t first_[kProbTotal >> kLookupShift];
  uint32_t count_[MaxTokens];
};

}  // namespace laconic
