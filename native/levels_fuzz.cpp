// levels_fuzz.cpp - hostile streams against the decoders of levels and planes, for libFuzzer (LACONIC_FUZZ) or
// `replay.cpp`. Whatever the bytes are: an answer, within the time a good stream takes, and nothing touched out of
// bounds.
#include <vector>

#include "check.h"
#include "levels.h"
#include "planes.h"

using namespace laconic;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t head = 8;
  if (size < head) return 0;
  const unsigned bits = data[0] % 9 == 1 ? 0 : data[0] % 9;
  const int most = bits ? kTrellisTokens : kLevelTokens;
  LevelLayout layout{size_t(data[1]) * 16 + data[2], size_t(data[3]) + 1, bits, unsigned(data[4] % 4),
                     2 + int(data[5]) % (most - 1), unsigned(data[6] % kEnergyBuckets), bits && data[7] & 4};
  std::vector<int32_t> levels(layout.count + 1);
  PointOffsets offsets{};
  for (auto& row : offsets.offset)
    for (int8_t& offset : row) offset = int8_t(int(data[7]) % (2 * kMostOffset + 1) - kMostOffset);
  parse_levels(data + head, size - head, layout, bits && data[7] % 2 ? &offsets : nullptr, levels.data());
  const uint32_t low = data[5] < data[6] ? data[5] : data[6], high = data[5] < data[6] ? data[6] : data[5];
  std::vector<uint8_t> plane(layout.count + 1);
  parse_plane<2>(data + head, size - head, low, high, plane.data(), layout.count);
  parse_plane<kPlaneLanes>(data + head, size - head, low, high, plane.data(), layout.count);
  return 0;
}
