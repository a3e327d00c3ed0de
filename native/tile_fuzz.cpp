// tile_fuzz.cpp - hostile streams against the tile decoder, for libFuzzer (LACONIC_FUZZ) or `replay.cpp`.
//
// The first bytes choose picture, tile, cuts and model; the rest are the streams, either as they are or laid over
// streams that an encoder wrote, so that damage also reaches the depths. Every instruction set must end alike.
#include <cstring>
#include <vector>

#include "check.h"
#include "kernels.h"
#include "sample_context.h"
#include "sample_model.h"
#include "sample_network.h"

using namespace laconic;

namespace {

constexpr size_t kHead = 8;

template <class T>
void try_tile(const uint8_t* head, const uint8_t* data, size_t size, const ParameterSet& set, const NetworkWeights& network,
              const ContextWeights& context) {
  const int height = 1 + head[0] % 100, width = 1 + head[1] % 100, planes = 1 + head[2] % 4;
  const unsigned cuts = head[3] % 64;
  const std::vector<uint32_t> steps(kBands, head[4] % 2 ? 0 : 4112 + 64u * head[4]), lambdas(kBands, 0);
  PlaneCoding coding[kMaxPlanes];
  for (int p = 0; p < planes; ++p) coding[p] = {&set, p, p == 3 ? 0 : p < 2 ? p : 2, steps.data(), lambdas.data()};
  const NetworkWeights* const details[kLevels] = {&network, &network, nullptr, &network};
  ContextWeights silent = context;
  silent.tells_signs = false;
  const ContextWeights* contexts[kColorPlanes * kBands];
  for (int j = 0; j < kColorPlanes * kBands; ++j)
    contexts[j] = j % kBands == 0 || j % 4 == 0 ? nullptr : j < kBands ? &context : &silent;
  const TileJob job = {height, width,  {0, 0, height < 64 ? height : 64, width < 64 ? width : 64}, planes, coding, cuts,
                       ptrdiff_t(height) * width, width, planes >= 3 && head[7] >> 7, 32,
                       head[4] % 4 == 2 ? details : nullptr, steps[0], contexts};
  const size_t area = size_t(planes) * size_t(height) * size_t(width);
  const int groups = 1 + __builtin_popcount(cuts);

  std::vector<std::vector<uint8_t>> streams(static_cast<size_t>(groups));
  if (head[5] % 2) {
    std::vector<T> planes_in(area);
    Random random{head[6]};
    for (T& v : planes_in) v = T(random.below(8) ? 0 : int(random.below(61)) - 30);
    const Kernels& k = *supported_kernels(0);
    OpList lists[kMaxGroups];
    if constexpr (sizeof(T) == 2)
      CHECK(k.coding->narrow.encode_tile(job, planes_in.data(), {}, lists));
    else
      CHECK(k.coding->wide.encode_tile(job, planes_in.data(), {}, lists));
    for (int g = 0; g < groups; ++g) {
      std::vector<uint8_t> out(push_bound(lists[g].size));
      const size_t at = push_ops(lists[g].data, lists[g].size, out.data(), out.size());
      streams[size_t(g)].assign(out.begin() + ptrdiff_t(at), out.end());
    }
    for (OpList& list : lists) std::free(list.data);
    for (size_t i = 0; i + 3 <= size; i += 3) {
      auto& stream = streams[data[i] % size_t(groups)];
      if (!stream.empty()) stream[(size_t(data[i]) << 8 | data[i + 1]) % stream.size()] ^= data[i + 2];
    }
  } else {
    for (size_t i = 0; i < size; ++i) streams[i * size_t(groups) / size].push_back(data[i]);
  }

  std::vector<StreamView> views;
  for (size_t g = 0; g < streams.size(); ++g)
    views.push_back({streams[g].data(), streams[g].size(), (head[7] >> g & 1) == 0});
  std::vector<T> first;
  DecodeStatus status = kDecoded;
  int failed = 0;
  for (int i = 0; i < kKernelTables; ++i) {
    const Kernels* k = supported_kernels(i);
    if (!k) continue;
    std::vector<T> out(area);
    int where = 0;
    DecodeStatus found;
    if constexpr (sizeof(T) == 2)
      found = k->coding->narrow.decode_tile(job, views.data(), out.data(), &where);
    else
      found = k->coding->wide.decode_tile(job, views.data(), out.data(), &where);
    if (i == 0) status = found, failed = where, first = out;
    CHECK(found == status && where == failed && out == first);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kHead) return 0;
  static const auto models = [] {
    Random random{99};
    std::vector<std::unique_ptr<ParameterSet>> sets;
    for (int flavor = 0; flavor < 6; ++flavor)
      for (int kind = 0; kind < 6; ++kind)
        sets.push_back(sample_model(random, 4, flavor, kind & 1 || kind > 3, kind == 2 || kind == 3 || kind == 5, kind > 3, kind % 3 == 1, kind != 2));
    return sets;
  }();
  static const SampleNetwork network = [] {
    Random random{98};
    return SampleNetwork(random);
  }();
  static const SampleContext context = [] {
    Random random{97};
    return SampleContext(random);
  }();
  const ParameterSet& set = *models[data[6] % models.size()];
  if (data[4] % 3)
    try_tile<int16_t>(data, data + kHead, size - kHead, set, network.network, context.weights);
  else
    try_tile<int32_t>(data, data + kHead, size - kHead, set, network.network, context.weights);
  return 0;
}
