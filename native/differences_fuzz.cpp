// differences_fuzz.cpp - hostile streams against the decoder of differences, for libFuzzer (LACONIC_FUZZ) or
// `replay.cpp`: an answer, within the time a good stream takes, and nothing touched out of bounds.
#include <vector>

#include "check.h"
#include "differences.h"

using namespace laconic;

namespace {

template <class Word>
void attack(const uint8_t* data, size_t size, unsigned mantissa) {
  const DifferenceLayout layout{size_t(data[1]) * 16 + data[2], size_t(data[3]) + 1, mantissa,
                                uint32_t(data[4]) * kMostFirst / 255, 2 + int(data[5]) % (kDifferenceTokens - 1)};
  std::vector<Word> base(layout.count), words(layout.count);
  Random random{data[6]};
  for (Word& w : base) w = Word(random.next());
  const size_t rest = size - 8, stream = rest * data[7] / 255;
  parse_differences(data + 8, stream, data + 8 + stream, rest - stream, base.data(), layout, words.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  if (data[0] % 4 == 0) attack<uint8_t>(data, size, 0);
  if (data[0] % 4 == 1) attack<uint16_t>(data, size, data[0] & 4 ? 7 : 10);
  if (data[0] % 4 == 2) attack<uint32_t>(data, size, data[0] & 4 ? 0 : 23);
  if (data[0] % 4 == 3) attack<uint64_t>(data, size, data[0] & 4 ? 0 : 52);
  return 0;
}
