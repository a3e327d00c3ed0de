// network_kernels.cpp - one build of the decoder-side network; CMake compiles it once per instruction set (LACONIC_ISA).
#include "kernels.h"

#include "network.h"

#define LACONIC_JOIN_(a, b) a##b
#define LACONIC_JOIN(a, b) LACONIC_JOIN_(a, b)

namespace laconic {
namespace LACONIC_ISA {
namespace {

template <class S, class T>
constexpr EnhanceKernels<S, T> table() {
  return {enhance_tile<S, T>, precompensate_tile<T>};
}

}  // namespace
}  // namespace LACONIC_ISA

extern const NetworkKernels LACONIC_JOIN(network_kernels_, LACONIC_ISA);
const NetworkKernels LACONIC_JOIN(network_kernels_, LACONIC_ISA) = {LACONIC_ISA::table<uint8_t, int16_t>(),
                                                                    LACONIC_ISA::table<uint16_t, int32_t>()};

}  // namespace laconic
