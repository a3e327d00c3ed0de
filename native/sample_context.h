// sample_context.h - networks that see contexts for tests and fuzzing: random, some as heavy as 32-bit sums allow.
#pragma once
#include "check.h"
#include "context_weights.h"

namespace laconic {

struct SampleContext {
  ContextWeights weights = {};

  SampleContext without_signs() const {
    SampleContext other = *this;
    other.weights.tells_signs = false;
    return other;
  }
  explicit SampleContext(Random& random) {
    const bool heavy = random.below(4) == 0;
    const int top = heavy ? 32767 : 600;
    const auto number = [&](int most) { return int32_t(random.below(uint32_t(2 * most + 1))) - most; };
    const int used = 2 + int(random.below(kInputs - 3));
    weights.pairs = (used + 1) / 2;
    for (int k = 0; k < 2 * weights.pairs; ++k) {
      do weights.input[k] = uint8_t(random.below(kInputs));
      while (weights.input[k] == kOwnRow || weights.input[k] == kOwnRow + 1);
      weights.looks_far |= weights.input[k] >= kFar;
      for (int h = 0; h < kHidden; ++h) weights.weight[k / 2][h][k % 2] = int16_t(number(top));
    }
    for (int h = 0; h < kHidden; ++h) {
      weights.bias[h] = number(heavy ? 1 << 29 : 1 << 14);
      for (int i = 0; i < 2; ++i) weights.own_row[h][i] = int16_t(number(top));
      for (int i = 0; i < kMiddle; ++i) weights.middle[h / 2][i][h % 2] = int16_t(number(heavy ? 1000 : 200));
    }
    for (int i = 0; i < kMiddle; ++i) weights.middle_bias[i] = number(1 << 20);
    for (int o = 0; o < kOutputs; ++o) {
      weights.output_bias[o] = number(1 << 20);
      for (int i = 0; i < kMiddle; ++i) weights.output[o][i] = int16_t(number(2000));
    }
    weights.tells_signs = random.below(4) != 0;
    SignWeights& signs = weights.signs;
    for (int h = 0; h < kSignUnits; ++h) {
      for (int i = 0; i < kSignInputs; ++i) signs.weight[i / 2][h][i % 2] = int16_t(number(heavy ? 30000 : 300));
      for (int i = 0; i < 2; ++i) signs.own_row[h][i] = int16_t(number(300));
      signs.bias[h] = number(1 << 12), signs.output[h] = number(1000);
    }
    for (int32_t& w : signs.mix) w = number(1 << 16);
    signs.shift = heavy ? 10 : 3, signs.output_shift = 8 + int(random.below(5));
    weights.shift = heavy ? 16 : int(random.below(8)), weights.middle_shift = 6 + int(random.below(8));
    weights.output_shift = 8 + int(random.below(5));
  }
};

}  // namespace laconic
