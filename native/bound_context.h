// bound_context.h - a network that sees contexts as Python hands it over: checked and laid out for the kernels.
#pragma once
#include <cstdlib>
#include <memory>
#include <optional>
#include <tuple>

#include "bind.h"
#include "context_weights.h"

namespace laconic {

// weight (64, 64), bias (64), shift, output (64), output_shift, mix (2)
using SignTuple = std::tuple<Array<const int16_t, nanobind::ndim<2>>, Array<const int32_t, nanobind::ndim<1>>, int,
                             Array<const int16_t, nanobind::ndim<1>>, int, Array<const int16_t, nanobind::ndim<1>>>;

inline SignWeights sign_weights(const SignTuple& given) {
  const auto& [weight, bias, shift, output, output_shift, mix] = given;
  require(weight.shape(0) == kSignUnits && weight.shape(1) == kSignInputs && bias.shape(0) == kSignUnits &&
              output.shape(0) == kSignUnits && mix.shape(0) == 2,
          "a network of signs of another shape");
  require(shift >= 0 && shift <= 30 && output_shift >= 0 && output_shift <= 30, "a shift out of range");
  SignWeights net = {};
  net.shift = shift, net.output_shift = output_shift;
  int64_t most = 0;
  for (int h = 0; h < kSignUnits; ++h) {
    const int16_t* row = weight.data() + h * kSignInputs;
    int64_t sum = std::abs(int64_t(net.bias[h] = bias.data()[h]));
    for (int i = 0; i < kSignInputs; ++i) {
      sum += std::abs(int64_t(row[i])) * (i < kSignTold ? int(kMaxSignInput) : kMaxInput);
      if (i == kSignOwnRow || i == kSignOwnRow + 1)
        net.own_row[h][i - kSignOwnRow] = row[i];
      else
        net.weight[i / 2][h][i % 2] = row[i];
    }
    // The difference of two such sums has to fit as well.
    require(sum < int64_t{1} << 30, "a network of signs whose sums could overflow");
    most += std::abs(int64_t(net.output[h] = output.data()[h])) * kMaxUnit;
  }
  require(most < int64_t{1} << 31, "a network of signs whose sums could overflow");
  for (int i = 0; i < 2; ++i) {
    require(std::abs(int(mix.data()[i])) <= kMaxFirstWeight, "a weight out of range");
    net.mix[i] = int32_t(mix.data()[i]) * 16;
  }
  return net;
}

// `weight` is (64, 77), `middle` (32, 64), `output` (6, 32): by quantizer and decision. Sums are bounded here for any inputs.
inline std::unique_ptr<ContextWeights> context_network(const Array<const int16_t, nanobind::ndim<2>>& weight,
                                                       const Array<const int32_t, nanobind::ndim<1>>& bias, int shift,
                                                       const Array<const int16_t, nanobind::ndim<2>>& middle,
                                                       const Array<const int32_t, nanobind::ndim<1>>& middle_bias,
                                                       int middle_shift,
                                                       const Array<const int16_t, nanobind::ndim<2>>& output,
                                                       const Array<const int32_t, nanobind::ndim<1>>& output_bias,
                                                       int output_shift, const std::optional<SignTuple>& signs) {
  const auto shaped = [](const auto& matrix, const auto& vector, int rows, int columns) {
    require(int64_t(matrix.shape(0)) == rows && int64_t(matrix.shape(1)) == columns && int64_t(vector.shape(0)) == rows,
            "a network of another shape");
  };
  shaped(weight, bias, kHidden, kInputs);
  shaped(middle, middle_bias, kMiddle, kHidden);
  shaped(output, output_bias, kOutputs, kMiddle);
  for (const int of : {shift, middle_shift, output_shift}) require(of >= 0 && of <= 30, "a shift out of range");
  const auto bounded = [](const auto& matrix, const auto& vector, int64_t most) {
    for (size_t row = 0; row < matrix.shape(0); ++row) {
      int64_t sum = std::abs(int64_t(vector.data()[row]));
      for (size_t i = 0; i < matrix.shape(1); ++i) sum += std::abs(int64_t(matrix.data()[row * matrix.shape(1) + i])) * most;
      require(sum < int64_t{1} << 31, "a network whose sums could overflow");
    }
  };
  bounded(weight, bias, kMaxInput);
  bounded(middle, middle_bias, kMaxUnit);
  bounded(output, output_bias, kMaxUnit);
  auto net = std::make_unique<ContextWeights>();
  net->shift = shift, net->middle_shift = middle_shift, net->output_shift = output_shift;
  for (int h = 0; h < kHidden; ++h) {
    net->bias[h] = bias.data()[h];
    for (int i = 0; i < 2; ++i) net->own_row[h][i] = weight.data()[h * kInputs + kOwnRow + i];
    for (int i = 0; i < kMiddle; ++i) net->middle[h / 2][i][h % 2] = middle.data()[i * kHidden + h];
  }
  for (int i = 0; i < kMiddle; ++i) net->middle_bias[i] = middle_bias.data()[i];
  for (int o = 0; o < kOutputs; ++o) {
    net->output_bias[o] = output_bias.data()[o];
    for (int i = 0; i < kMiddle; ++i) net->output[o][i] = output.data()[o * kMiddle + i];
  }
  int used = 0;
  for (int i = 0; i < kInputs; ++i) {
    if (i == kOwnRow || i == kOwnRow + 1) continue;
    bool any = false;
    for (int h = 0; h < kHidden; ++h) any |= (net->weight[used / 2][h][used % 2] = weight.data()[h * kInputs + i]) != 0;
    if (!any) continue;
    net->input[used++] = uint8_t(i);
    net->looks_far |= i >= kFar;
  }
  for (int h = 0; h < kHidden && used % 2; ++h) net->weight[used / 2][h][1] = 0;
  if (used % 2) net->input[used] = net->input[used - 1], ++used;
  net->pairs = used / 2;
  if (signs) net->tells_signs = true, net->signs = sign_weights(*signs);
  return net;
}

}  // namespace laconic
