// tile_test.cpp - laws of the context model: what the encoder wrote is what the decoder reads, on every instruction
// set, with any model, any content and any cut into groups; damage ends in a named status.
#include <cstring>
#include <vector>

#include "check.h"
#include "kernels.h"
#include "sample_context.h"
#include "sample_model.h"
#include "sample_network.h"

using namespace laconic;

namespace {

template <class T>
const auto& kernels_for(const Kernels& k) {
  if constexpr (sizeof(T) == 2)
    return k.coding->narrow;
  else
    return k.coding->wide;
}

struct Case {
  int height, width, planes;
  Rect tile;
  unsigned cuts;
  int density;   // percent of coefficients that are not zero
  uint32_t top;  // largest magnitude
  uint32_t step, lambda;
};

int groups_of(unsigned cuts) { return 1 + __builtin_popcount(cuts); }

struct Coding {
  std::vector<uint32_t> steps, lambdas;
  PlaneCoding planes[kMaxPlanes];
  Coding(const ParameterSet& set, const Case& c) : steps(kBands, c.step), lambdas(kBands, c.lambda) {
    for (int p = 0; p < c.planes; ++p)
      planes[p] = {&set, p, p == 3 ? 0 : p < 2 ? p : 2, steps.data(), lambdas.data()};
  }
};

TileJob job_of(const Case& c, const Coding& coding, const NetworkWeights* const* details = nullptr,
               const ContextWeights* const* contexts = nullptr) {
  return {c.height, c.width, c.tile, c.planes, coding.planes, c.cuts, ptrdiff_t(c.height) * c.width, c.width,
          c.planes >= 3 && c.step > 0 && c.density % 2 == 0, 32, details, c.step, contexts};
}

using Streams = std::vector<std::vector<uint8_t>>;

template <class T>
Streams encode(const Kernels& k, const TileJob& job, const std::vector<T>& planes, std::vector<int32_t>* symbols) {
  OpList lists[kMaxGroups];
  if (symbols) symbols->assign(planes.size(), 0);
  CHECK(kernels_for<T>(k).encode_tile(job, planes.data(), {symbols ? symbols->data() : nullptr}, lists));
  Streams streams;
  for (int g = 0; g < groups_of(job.cuts); ++g) {
    std::vector<uint8_t> out(push_bound(lists[g].size));
    const size_t at = lists[g].size ? push_ops(lists[g].data, lists[g].size, out.data(), out.size()) : out.size();
    streams.emplace_back(out.begin() + ptrdiff_t(at), out.end());
  }
  for (OpList& list : lists) std::free(list.data);
  return streams;
}

template <class T>
DecodeStatus decode(const Kernels& k, const TileJob& job, const Streams& streams, std::vector<T>& planes) {
  std::vector<StreamView> views;
  for (const auto& stream : streams) views.push_back({stream.data(), stream.size(), true});
  planes.assign(size_t(job.planes) * size_t(job.plane_stride), 0);
  int failed = -1;
  return kernels_for<T>(k).decode_tile(job, views.data(), planes.data(), &failed);
}

bool inside(const TileJob& job, int y, int x) {
  for (int j = 0; j < kBands; ++j) {
    const Rect r = band_rect(job.height, job.width, job.tile, j == 0 ? kLevels : kLevels - (j - 1) / 3,
                             j == 0 ? -1 : (j - 1) % 3);
    if (y >= r.y && y < r.y + r.h && x >= r.x && x < r.x + r.w) return true;
  }
  return false;
}

template <class T>
std::vector<T> random_planes(Random& random, const Case& c, const TileJob& job) {
  std::vector<T> planes(size_t(c.planes) * size_t(c.height) * size_t(c.width));
  for (int p = 0; p < c.planes; ++p)
    for (int y = 0; y < c.height; ++y)
      for (int x = 0; x < c.width; ++x) {
        if (!inside(job, y, x) || int(random.below(100)) >= c.density) continue;
        const uint32_t top = random.below(20) ? 3 : c.top;
        const int m = int(1 + random.below(top));
        planes[size_t((p * c.height + y) * c.width + x)] = T(random.below(2) ? m : -m);
      }
  return planes;
}

template <class T>
void one_case(Random& random, const ParameterSet& set, const Case& c) {
  const Coding coding(set, c);
  // Details of some levels of some lossy files are foretold.
  const SampleNetwork network(random);
  const NetworkWeights* details[kLevels] = {};
  for (const NetworkWeights*& level : details) level = random.below(2) ? &network.network : nullptr;
  // Some bands of sets that listen have networks that see contexts.
  const SampleContext context(random), silent = context.without_signs();
  const ContextWeights* contexts[kColorPlanes * kBands] = {};
  for (int j = 0; j < kColorPlanes * kBands; ++j)
    contexts[j] = j % kBands && random.below(2) ? j < kBands ? &context.weights : &silent.weights : nullptr;
  const TileJob job = job_of(c, coding, c.step && random.below(2) ? details : nullptr, contexts);
  const std::vector<T> planes = random_planes<T>(random, c, job);
  std::vector<int32_t> symbols, first_symbols;
  Streams first;
  std::vector<T> first_decoded;
  for (int i = 0; i < kKernelTables; ++i) {
    const Kernels* k = supported_kernels(i);
    if (!k) continue;
    const Streams streams = encode(*k, job, planes, &symbols);
    std::vector<T> decoded;
    CHECK(decode(*k, job, streams, decoded) == kDecoded);
    if (c.step == 0) CHECK(decoded == planes);
    if (i == 0) first = streams, first_symbols = symbols, first_decoded = decoded;
    CHECK(streams == first);
    CHECK(symbols == first_symbols);
    CHECK(decoded == first_decoded);
    if (c.density == 0)
      for (const auto& stream : streams) CHECK(stream.empty());
  }
}

void damage_ends_alike_everywhere(Random& random, const ParameterSet& set) {
  const Case c{64, 64, 1, {0, 0, 64, 64}, 0b100, 30, 40, 0, 0};
  const Coding coding(set, c);
  const TileJob job = job_of(c, coding);
  const auto planes = random_planes<int16_t>(random, c, job);
  const Streams good = encode(*supported_kernels(0), job, planes, nullptr);
  size_t unnoticed = 0, tried = 0;
  for (int round = 0; round < 3000; ++round) {
    Streams bad = good;
    auto& stream = bad[random.below(uint32_t(bad.size()))];
    if (random.below(4) == 0) stream.resize(random.below(uint32_t(stream.size())));
    for (uint32_t n = random.below(3) + 1; n-- > 0 && !stream.empty();)
      stream[random.below(uint32_t(stream.size()))] ^= uint8_t(1 + random.below(255));
    if (bad == good) continue;
    ++tried;
    std::vector<int16_t> decoded, again;
    DecodeStatus status = kDecoded;
    for (int i = 0; i < kKernelTables; ++i) {
      const Kernels* k = supported_kernels(i);
      if (!k) continue;
      const DecodeStatus found = decode(*k, job, bad, i ? again : decoded);
      if (i == 0) status = found;
      CHECK(found == status);
    }
    if (status == kDecoded) ++unnoticed;
  }
  // A bit that ends up among the raw bits changes nothing but its own symbol: the end states catch most damage, and
  // the checksums of the container are there for the rest.
  CHECK(tried > 2000);
  CHECK(unnoticed * 4 < tried);
}

}  // namespace

int main() {
  Random random{5};
  for (int model = 0; model < 30; ++model) {
    const bool masks = model >= 24, trellis = masks || model / 6 % 2 != 0, mixes = model >= 12;
    const auto set = sample_model(random, 4, model % 6, trellis, mixes, masks, model % 4 > 1, model % 5 > 1);
    for (int round = 0; round < 40; ++round) {
      Case c;
      c.height = 1 + int(random.below(150)), c.width = 1 + int(random.below(150));
      c.planes = 1 + int(random.below(4));
      const int rows = (c.height + 63) / 64, columns = (c.width + 63) / 64;
      c.tile = {int(random.below(uint32_t(rows))) * 64, int(random.below(uint32_t(columns))) * 64, 64, 64};
      c.tile.h = c.height - c.tile.y < 64 ? c.height - c.tile.y : 64;
      c.tile.w = c.width - c.tile.x < 64 ? c.width - c.tile.x : 64;
      c.cuts = random.below(64);
      const int densities[] = {0, 1, 10, 60, 100};
      c.density = densities[random.below(5)];
      c.top = random.below(2) ? 200 : 32000;
      c.step = !trellis && random.below(2) ? 0 : 16 + random.below(3000);
      c.lambda = c.step == 0 || random.below(2) ? 0 : random.below(2000);  // lossless knows no trade
      one_case<int16_t>(random, *set, c);
      // 16-bit pictures: larger coefficients, and steps larger by the same 257.
      c.top = random.below(2) ? c.top : 1000000, c.step *= 257;
      one_case<int32_t>(random, *set, c);
    }
    damage_ends_alike_everywhere(random, *set);
  }
  std::puts("tiles: all laws hold");
}
