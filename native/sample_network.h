// sample_network.h - networks for tests and fuzzing: lawful and random, with weights as heavy as 32-bit sums allow.
#pragma once
#include <vector>

#include "check.h"
#include "network_job.h"

namespace laconic {

// Small: 16 channels, one block. Owns what its weights point to.
struct SampleNetwork {
  static constexpr int kChannels = 16, kSamples = 48;
  std::vector<std::vector<int16_t>> weights;
  std::vector<std::vector<int32_t>> biases;
  NetworkBlock block;
  NetworkWeights network;

  explicit SampleNetwork(Random& random) {
    const auto numbers = [&](size_t count) {
      weights.emplace_back(count);
      for (int16_t& w : weights.back()) w = int16_t(int(random.below(2001)) - 1000);
      return weights.back().data();
    };
    const auto shifts = [&](size_t count) {
      biases.emplace_back(count);
      for (int32_t& b : biases.back()) b = int32_t(random.below(1u << 24)) - (1 << 23);
      return biases.back().data();
    };
    const auto dense = [&](int in, int out) {
      const int16_t* w = numbers(size_t(in) * size_t(out));
      return Dense{w, shifts(size_t(out)), in, out, 8 + int(random.below(8))};
    };
    const int c = kChannels;
    block = {dense(c, c), dense(c, c), dense(c, c), dense(c, c), numbers(size_t(c) * 9), shifts(size_t(c)), 8};
    network = {c, c, 1, dense(kSamples, c), dense(c, kSamples), &block};
  }
  SampleNetwork(const SampleNetwork&) = delete;
  SampleNetwork& operator=(const SampleNetwork&) = delete;
};

}  // namespace laconic
