// bound_network.h - a network as Python hands it over: checked, laid out for the kernels, and owned.
#pragma once
#include <cstdlib>
#include <memory>
#include <tuple>
#include <variant>
#include <vector>

#include "bind.h"
#include "network_job.h"

namespace laconic {

using DenseTuple = std::tuple<Array<const int16_t, nanobind::ndim<2>>, Array<const int32_t, nanobind::ndim<1>>, int>;
// Weight, bias, shifts, fineness and zero of a layer that multiplies numbers of 8 bits.
using NarrowTuple =
    std::tuple<Array<const int8_t, nanobind::ndim<2>>, Array<const int32_t, nanobind::ndim<1>>,
               Array<const int32_t, nanobind::ndim<1>>, Array<const int16_t, nanobind::ndim<1>>, int>;
using LayerTuple = std::variant<DenseTuple, NarrowTuple>;

// Owns the weights of a network, laid out for the kernels.
struct Network {
  NetworkWeights weights;
  std::vector<NetworkBlock> blocks;
  std::vector<std::vector<int16_t>> packed;
  std::vector<std::vector<int8_t>> narrow;
  std::vector<std::vector<int32_t>> biases, shifts;

  Dense layer(const LayerTuple& layer, int in, int out) {
    const auto* given = std::get_if<DenseTuple>(&layer);
    return given ? dense(*given, in, out) : narrow_dense(std::get<NarrowTuple>(layer), in, out);
  }

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
    return {packed.back().data(), biases.back().data(), in, out, shift, nullptr, nullptr, nullptr, 0};
  }

  // The same for weights and inputs of 8 bits, which the kernels take as a + zero.
  Dense narrow_dense(const NarrowTuple& layer, int in, int out) {
    const auto& [weight, bias, shift, fineness, zero] = layer;
    require(weight.shape(0) == size_t(out) && weight.shape(1) == size_t(in) && bias.shape(0) == size_t(out) &&
                shift.shape(0) == size_t(out) && fineness.shape(0) == size_t(in),
            "a layer of the wrong shape");
    require(zero >= 0 && zero <= 255, "a zero out of range");
    for (int i = 0; i < in; ++i) require(fineness.data()[i] >= 1, "a fineness that is not positive");
    narrow.emplace_back(size_t(in) * size_t(out));
    biases.emplace_back(bias.data(), bias.data() + out);
    shifts.emplace_back(shift.data(), shift.data() + out);
    packed.emplace_back(fineness.data(), fineness.data() + in);
    for (int o = 0; o < out; ++o) {
      const int8_t* row = weight.data() + size_t(o) * size_t(in);
      biases.back()[size_t(o)] -= 16 * zero * checked_sum(row, in, bias.data()[o], shift.data()[o]);
      for (int i = 0; i < in; ++i) narrow.back()[size_t((i / 4 * out + o) * 4 + i % 4)] = row[i];
    }
    // floor((16 s + bias) / 2^shift) is floor((s + floor(bias / 16)) / 2^(shift - 4)) where no shift is below 4.
    bool raises = false;
    for (int32_t one : shifts.back()) raises |= one < 4;
    for (size_t o = 0; o < size_t(out) && !raises; ++o) biases.back()[o] >>= 4, shifts.back()[o] -= 4;
    return {nullptr, biases.back().data(), in, out, raises ? 4 : 0, narrow.back().data(), shifts.back().data(),
            packed.back().data(), zero};
  }

  // The sum of an output's weights, once no sum of products can leave 32 bits, nor two neighboring products 16.
  static int32_t checked_sum(const int8_t* row, int in, int32_t bias, int32_t shift) {
    require(shift >= 0 && shift <= 30, "a shift out of range");
    int64_t most = 0;
    int32_t sum = 0;
    for (int i = 0; i < in; i += 2) {
      const int pair = std::abs(int(row[i])) + std::abs(int(row[i + 1]));
      require(pair <= 127, "weights whose products could overflow");
      most += pair, sum += row[i] + row[i + 1];
    }
    require(16 * 255 * most + std::abs(int64_t(bias)) < int64_t{1} << 31, "a layer whose sums could overflow");
    return sum;
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

inline std::unique_ptr<Network> network(int channels, int expanded, const std::vector<LayerTuple>& dense,
                                 const std::vector<DenseTuple>& spread) {
  auto net = std::make_unique<Network>();
  const size_t blocks = spread.size();
  require(channels >= 16 && channels <= 256 && channels % 16 == 0 && expanded >= 16 && expanded <= 512 &&
              expanded % 16 == 0 && blocks >= 1 && blocks <= 32 && dense.size() == 4 * blocks + 2,
          "a network of another shape");
  net->weights = {channels, expanded, int(blocks), {}, {}, nullptr};
  require(dense.front().index() == 0 && dense.back().index() == 0, "a first or last layer that is narrow");
  net->weights.input = net->layer(dense.front(), 48, channels);
  for (size_t k = 0; k < blocks; ++k) {
    NetworkBlock b;
    b.mix = net->layer(dense[4 * k + 1], channels, channels);
    b.merge = net->layer(dense[4 * k + 2], channels, channels);
    b.expand = net->layer(dense[4 * k + 3], channels, expanded);
    b.contract = net->layer(dense[4 * k + 4], expanded, channels);
    require(!b.mix.narrow == !b.merge.narrow && !b.merge.narrow == !b.expand.narrow && !b.expand.narrow == !b.contract.narrow,
            "a block that is narrow in part");
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
  net->weights.output = net->layer(dense.back(), channels, 48);
  net->weights.block = net->blocks.data();
  return net;
}

}  // namespace laconic
