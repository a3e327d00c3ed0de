// bound_network.h - a network as Python hands it over: checked, laid out for the kernels, and owned.
#pragma once
#include <cstdlib>
#include <memory>
#include <tuple>
#include <vector>

#include "bind.h"
#include "network_job.h"

namespace laconic {

using DenseTuple = std::tuple<Array<const int16_t, nanobind::ndim<2>>, Array<const int32_t, nanobind::ndim<1>>, int>;

// Owns the weights of a network, laid out for the kernels.
struct Network {
  NetworkWeights weights;
  std::vector<NetworkBlock> blocks;
  std::vector<std::vector<int16_t>> packed;
  std::vector<std::vector<int32_t>> biases;

  // `weight` is (out, in), its sums are bounded here for inputs of any 16 bits.
  Dense dense(const DenseTuple& layer, int in, int out) {
    const auto& [weight, bias, shift] = layer;
    require(weight.shape(0) == size_t(out) && weight.shape(1) == size_t(in) && bias.shape(0) == size_t(out),
            "a layer of the wrong shape");
    packed.emplace_back(size_t(in) * size_t(out));
    for (int o = 0; o < out; ++o)
      for (int i = 0; i < in; ++i)
        packed.back()[size_t((i / 2 * out + o) * 2 + i % 2)] = weight.data()[size_t(o) * size_t(in) + size_t(i)];
    check(weight.data(), bias.data(), size_t(out), size_t(in), shift);
    biases.emplace_back(bias.data(), bias.data() + out);
    return {packed.back().data(), biases.back().data(), in, out, shift};
  }

  static void check(const int16_t* weight, const int32_t* bias, size_t out, size_t in, int shift) {
    require(shift >= 0 && shift <= 30, "a shift out of range");
    for (size_t o = 0; o < out; ++o) {
      int64_t most = std::abs(int64_t(bias[o]));
      for (size_t i = 0; i < in; ++i) most += std::abs(int64_t(weight[o * in + i])) * 32768;
      require(most < int64_t{1} << 31, "a layer whose sums could overflow");
    }
  }
};

inline std::unique_ptr<Network> network(int channels, int expanded, const std::vector<DenseTuple>& dense,
                                 const std::vector<DenseTuple>& spread) {
  auto net = std::make_unique<Network>();
  const size_t blocks = spread.size();
  require(channels >= 16 && channels <= 256 && channels % 16 == 0 && expanded >= 16 && expanded <= 512 &&
              expanded % 16 == 0 && blocks >= 1 && blocks <= 32 && dense.size() == 4 * blocks + 2,
          "a network of another shape");
  net->weights = {channels, expanded, int(blocks), {}, {}, nullptr};
  net->weights.input = net->dense(dense.front(), 48, channels);
  for (size_t k = 0; k < blocks; ++k) {
    NetworkBlock b;
    b.mix = net->dense(dense[4 * k + 1], channels, channels);
    b.merge = net->dense(dense[4 * k + 2], channels, channels);
    b.expand = net->dense(dense[4 * k + 3], channels, expanded);
    b.contract = net->dense(dense[4 * k + 4], expanded, channels);
    const auto& [weight, bias, shift] = spread[k];
    require(weight.shape(0) == size_t(channels) && weight.shape(1) == 9 && bias.shape(0) == size_t(channels),
            "a layer of the wrong shape");
    Network::check(weight.data(), bias.data(), size_t(channels), 9, shift);
    net->packed.emplace_back(size_t(channels) * 9);
    for (size_t c = 0; c < size_t(channels); ++c)
      for (size_t i = 0; i < 9; ++i) net->packed.back()[i * size_t(channels) + c] = weight.data()[c * 9 + i];
    net->biases.emplace_back(bias.data(), bias.data() + channels);
    b.spread = net->packed.back().data(), b.spread_bias = net->biases.back().data(), b.spread_shift = shift;
    net->blocks.push_back(b);
  }
  net->weights.output = net->dense(dense.back(), channels, 48);
  net->weights.block = net->blocks.data();
  return net;
}

}  // namespace laconic
