// bound_context.h - a network that sees contexts as Python hands it over: checked and laid out for the kernels.
#pragma once
#include <cstdlib>
#include <memory>

#include "bind.h"
#include "context_weights.h"

namespace laconic {

// `weight` is (32, 66), `output` (6, 32): by quantizer and decision. Sums are bounded here for any inputs.
inline std::unique_ptr<ContextWeights> context_network(const Array<const int16_t, nanobind::ndim<2>>& weight,
                                                       const Array<const int32_t, nanobind::ndim<1>>& bias, int shift,
                                                       const Array<const int16_t, nanobind::ndim<2>>& output,
                                                       const Array<const int32_t, nanobind::ndim<1>>& output_bias,
                                                       int output_shift) {
  require(weight.shape(0) == kHidden && weight.shape(1) == kInputs && bias.shape(0) == kHidden &&
              output.shape(0) == kOutputs && output.shape(1) == kHidden && output_bias.shape(0) == kOutputs,
          "a network of another shape");
  require(shift >= 0 && shift <= 30 && output_shift >= 0 && output_shift <= 30, "a shift out of range");
  auto net = std::make_unique<ContextWeights>();
  net->shift = shift, net->output_shift = output_shift;
  const auto bounded = [](int64_t most) { require(most < int64_t{1} << 31, "a network whose sums could overflow"); };
  for (int h = 0; h < kHidden; ++h) {
    const int16_t* row = weight.data() + h * kInputs;
    int64_t most = std::abs(int64_t(net->bias[h] = bias.data()[h]));
    for (int i = 0; i < kInputs; ++i) most += std::abs(int64_t(row[i])) * kMaxInput;
    bounded(most);
    for (int i = 0; i < 2; ++i) net->own_row[i][h] = row[kOwnRow + i];
  }
  for (int o = 0; o < kOutputs; ++o) {
    int64_t most = std::abs(int64_t(net->output_bias[o] = output_bias.data()[o]));
    for (int h = 0; h < kHidden; ++h)
      most += std::abs(int64_t(net->output[o][h] = output.data()[o * kHidden + h])) * kMaxUnit;
    bounded(most);
  }
  int used = 0;
  for (int i = 0; i < kInputs; ++i) {
    if (i == kOwnRow || i == kOwnRow + 1) continue;
    bool any = false;
    for (int h = 0; h < kHidden; ++h) any |= (net->weight[used / 2][h][used % 2] = weight.data()[h * kInputs + i]) != 0;
    if (any) net->input[used++] = uint8_t(i);
  }
  for (int h = 0; h < kHidden && used % 2; ++h) net->weight[used / 2][h][1] = 0;
  if (used % 2) net->input[used] = net->input[used - 1], ++used;
  net->pairs = used / 2;
  return net;
}

}  // namespace laconic
