// predicted_tile_test.cpp - laws of predicted samples: what the encoder wrote is what the decoder reads, on every
// instruction set, whatever the picture; a tile knows its own window only; damage ends in a named status, within bounds.
#include <vector>

#include "check.h"
#include "kernels.h"

using namespace laconic;

namespace {

template <class S>
const auto& kernels_for(const Kernels& k) {
  if constexpr (sizeof(S) == 1)
    return k.coding->narrow;
  else
    return k.coding->wide;
}

// Some kinds of pictures: noise, flats, ramps, outliers, the two ends, and colors that follow each other.
constexpr int kContents = 6;
template <class S>
std::vector<S> picture(Random& random, int content, int height, int width, int channels) {
  const uint32_t top = (1u << (8 * sizeof(S))) - 1, flat = random.below(3) * (top / 2);
  const uint32_t slope[3] = {random.below(top / 8), random.below(top / 8), random.below(top)};
  std::vector<S> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const uint32_t base = random.below(top + 1);
      for (int c = 0; c < channels; ++c) {
        const uint32_t ramp = uint32_t(y) * slope[0] + uint32_t(x) * slope[1] + uint32_t(c) * slope[2];
        const uint32_t values[kContents] = {random.below(top + 1),
                                            flat,
                                            ramp + random.below(3),
                                            random.below(25) ? top / 2 : random.below(2) * top,
                                            random.below(2) * top,
                                            base + random.below(4) + uint32_t(c)};
        pixels.push_back(S(values[content]));
      }
    }
  return pixels;
}

using Operations = std::vector<uint32_t>;

template <class S>
Operations encode(const Kernels& k, const PredictedJob& job, const std::vector<S>& pixels, size_t first = 0) {
  OpList list = {};
  CHECK(kernels_for<S>(k).encode_predicted(job, pixels.data() + first, &list));
  const Operations ops(list.data, list.data + list.size);
  std::free(list.data);
  for (const uint32_t op : ops) CHECK(op >> 16 >= 1 && (op & 0xffff) + (op >> 16) <= kProbTotal);
  return ops;
}

std::vector<uint8_t> stream_of(const Operations& ops) {
  std::vector<uint8_t> out(push_bound(ops.size()));
  const size_t at = push_ops(ops.data(), ops.size(), out.data(), out.size());
  return {out.begin() + ptrdiff_t(at), out.end()};
}

template <class S>
DecodeStatus decode(const Kernels& k, const PredictedJob& job, const std::vector<uint8_t>& stream, std::vector<S>& pixels,
                    size_t first = 0) {
  return kernels_for<S>(k).decode_predicted(job, {stream.data(), stream.size(), true}, pixels.data() + first);
}

template <class S>
void comes_back(Random& random, int content, int height, int width, int channels) {
  const PredictedJob job = {{0, 0, height, width}, channels, 8 * int(sizeof(S)), ptrdiff_t(width) * channels};
  const std::vector<S> pixels = picture<S>(random, content, height, width, channels), before = pixels;
  Operations first;
  for (int i = 0; i < kKernelTables; ++i) {
    const Kernels* k = supported_kernels(i);
    if (!k) continue;
    const Operations ops = encode(*k, job, pixels);
    CHECK(pixels == before && !ops.empty());
    if (i == 0) first = ops;
    CHECK(ops == first);
    std::vector<S> decoded(pixels.size(), S(77));
    CHECK(decode(*k, job, stream_of(ops), decoded) == kDecoded);
    CHECK(decoded == pixels);
  }
}

// A tile inside a picture gives the same operations as alone, and its decoder writes nowhere else.
template <class S>
void stays_inside(Random& random, int channels) {
  const int height = 21, width = 33, h = 12, w = 19, y = 5, x = 9;
  const ptrdiff_t row = ptrdiff_t(width) * channels;
  const size_t first = size_t(y) * size_t(row) + size_t(x * channels);
  const PredictedJob job = {{y, x, h, w}, channels, 8 * int(sizeof(S)), row};
  const PredictedJob alone = {{0, 0, h, w}, channels, 8 * int(sizeof(S)), ptrdiff_t(w) * channels};
  const std::vector<S> pixels = picture<S>(random, int(random.below(kContents)), height, width, channels);
  std::vector<S> cut, expected(pixels.size(), S(3)), decoded = expected;
  for (int r = 0; r < h; ++r)
    for (int i = 0; i < w * channels; ++i) {
      const size_t at = first + size_t(r) * size_t(row) + size_t(i);
      cut.push_back(pixels[at]), expected[at] = pixels[at];
    }
  const Kernels& k = *supported_kernels(0);
  const Operations ops = encode(k, job, pixels, first);
  CHECK(ops == encode(k, alone, cut));
  CHECK(decode(k, job, stream_of(ops), decoded, first) == kDecoded);
  CHECK(decoded == expected);
}

template <class S>
void damage_ends_alike_everywhere(Random& random, int channels) {
  const int height = 14, width = 17;
  const PredictedJob job = {{0, 0, height, width}, channels, 8 * int(sizeof(S)), ptrdiff_t(width) * channels};
  const std::vector<S> pixels = picture<S>(random, 2, height, width, channels);
  const std::vector<uint8_t> good = stream_of(encode(*supported_kernels(0), job, pixels));
  int tried = 0, unnoticed = 0;
  for (int round = 0; round < 150; ++round) {
    std::vector<uint8_t> bad = good;
    if (random.below(3) == 0) bad.resize(random.below(uint32_t(bad.size())));
    for (uint32_t n = random.below(4); n-- > 0 && !bad.empty();)
      bad[random.below(uint32_t(bad.size()))] ^= uint8_t(1 + random.below(255));
    for (uint32_t n = random.below(8) ? 0 : random.below(9); n-- > 0;) bad.push_back(uint8_t(random.below(256)));
    if (bad == good) continue;
    ++tried;
    // One sample more at either end: a decoder that left its tile would be seen.
    std::vector<S> decoded, first;
    DecodeStatus status = kDecoded;
    for (int i = 0; i < kKernelTables; ++i) {
      const Kernels* k = supported_kernels(i);
      if (!k) continue;
      decoded.assign(pixels.size() + 2, S(201));
      const DecodeStatus found = decode(*k, job, bad, decoded, 1);
      if (i == 0) status = found, first = decoded;
      CHECK(found == status && decoded == first);
      CHECK(decoded.front() == S(201) && decoded.back() == S(201));
    }
    CHECK(status != kOutOfMemory && status != kBadEscape);
    if (bad.size() < kStatesBytes || bad.size() % 2) CHECK(status == kBadStart);
    unnoticed += status == kDecoded;
  }
  CHECK(tried > 100);
  CHECK(unnoticed * 10 < tried);
  // What is cut from the end is missed, whatever it was; what is too much is noticed.
  std::vector<S> decoded(pixels.size());
  for (size_t size = 0; size < good.size(); size += size < 12 ? 1 : 38) {
    const DecodeStatus found = decode(*supported_kernels(0), job, {good.begin(), good.begin() + ptrdiff_t(size)}, decoded);
    CHECK(found == (size < kStatesBytes || size % 2 ? kBadStart : kOverran));
  }
  std::vector<uint8_t> longer = good;
  longer.insert(longer.end(), 2, 0);
  CHECK(decode(*supported_kernels(0), job, longer, decoded) == kNotFinished);
}

template <class S>
void all_laws(Random& random) {
  const int sizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 40}, {40, 1}, {3, 3}, {5, 16}, {4, 17}, {9, 33}, {24, 31}};
  for (int channels = 1; channels <= kMaxPlanes; ++channels) {
    for (int content = 0; content < kContents; ++content)
      for (const auto& size : sizes) comes_back<S>(random, content, size[0], size[1], channels);
    for (int round = 0; round < 8; ++round)
      comes_back<S>(random, int(random.below(kContents)), 1 + int(random.below(50)), 1 + int(random.below(70)), channels);
    stays_inside<S>(random, channels);
    damage_ends_alike_everywhere<S>(random, channels);
  }
}

}  // namespace

int main() {
  Random random{11};
  all_laws<uint8_t>(random);
  all_laws<uint16_t>(random);
  std::puts("predicted tiles: all laws hold");
}
