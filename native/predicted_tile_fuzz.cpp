// predicted_tile_fuzz.cpp - hostile streams against the decoder of predicted samples, for libFuzzer (LACONIC_FUZZ) or
// `replay.cpp`.
//
// The first bytes choose the tile; the rest are the stream, either as they are or laid over one that an encoder wrote, so
// that damage also reaches the depths. Every instruction set must end alike.
#include <vector>

#include "check.h"
#include "kernels.h"

using namespace laconic;

namespace {

constexpr size_t kHead = 6;

template <class S>
const auto& kernels_for(const Kernels& k) {
  if constexpr (sizeof(S) == 1)
    return k.coding->narrow;
  else
    return k.coding->wide;
}

template <class S>
void try_tile(const uint8_t* head, const uint8_t* data, size_t size) {
  const int height = 1 + head[0] % 4, width = 1 + head[1] % 20, channels = 1 + head[2] % 4;
  const PredictedJob job = {{0, 0, height, width}, channels, 8 * int(sizeof(S)), ptrdiff_t(width) * channels};
  const size_t samples = size_t(height) * size_t(width) * size_t(channels);
  std::vector<uint8_t> stream(data, data + size);
  if (head[3] % 2) {
    std::vector<S> pixels(samples);
    Random random{head[4]};
    for (S& v : pixels) v = S(random.below(8) ? 50 + random.below(9) : uint32_t(random.next()));
    OpList ops = {};
    CHECK(kernels_for<S>(*supported_kernels(0)).encode_predicted(job, pixels.data(), &ops));
    std::vector<uint8_t> out(push_bound(ops.size));
    const size_t at = push_ops(ops.data, ops.size, out.data(), out.size());
    std::free(ops.data);
    stream.assign(out.begin() + ptrdiff_t(at), out.end());
    for (size_t i = 0; i + 3 <= size; i += 3) stream[(size_t(data[i]) << 8 | data[i + 1]) % stream.size()] ^= data[i + 2];
  }
  std::vector<S> first;
  DecodeStatus status = kDecoded;
  for (int i = 0; i < kKernelTables; ++i) {
    const Kernels* k = supported_kernels(i);
    if (!k) continue;
    std::vector<S> out(samples);
    const DecodeStatus found = kernels_for<S>(*k).decode_predicted(job, {stream.data(), stream.size(), true}, out.data());
    if (i == 0) status = found, first = out;
    CHECK(found == status && out == first);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kHead) return 0;
  if (data[5] % 2)
    try_tile<uint8_t>(data, data + kHead, size - kHead);
  else
    try_tile<uint16_t>(data, data + kHead, size - kHead);
  return 0;
}
