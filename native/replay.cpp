// replay.cpp - runs a fuzz target without libFuzzer: the files named as arguments, or else a fixed number of random
// inputs that are the same on every machine.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int count, char** names) {
  for (int i = 1; i < count; ++i) {
    std::ifstream file(names[i], std::ios::binary);
    CHECK(file);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  if (count > 1) return 0;
  constexpr int kInputs = 20000;
  Random random{2026};
  for (int i = 0; i < kInputs; ++i) {
    std::vector<uint8_t> bytes(random.below(random.below(4) ? 120 : 2000));
    for (uint8_t& b : bytes) b = uint8_t(random.below(random.below(3) ? 256 : 2));
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%d inputs: no crash, every instruction set alike\n", kInputs);
}
