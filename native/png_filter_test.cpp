// png_filter_test.cpp - every filter is undone exactly, on the rows that the specification's edge cases need.
#include "png_filter.h"

#include <vector>

#include "check.h"

using namespace laconic;

int main() {
  Random source{1};
  const auto random = [&] { return uint8_t(source.next()); };
  for (const size_t step : {1, 2, 3, 4, 6, 8})
    for (const size_t pixels : {1, 2, 17}) {
      const size_t n = step * pixels;
      std::vector<uint8_t> row(n), above(n), filtered(n + 1), spare(n), back(n);
      for (int trial = 0; trial < 50; ++trial) {
        for (size_t i = 0; i < n; ++i) row[i] = random(), above[i] = trial == 0 ? 0 : random();
        for (unsigned filter = 0; filter < kPngFilters; ++filter) {
          png_filter_row(filter, row.data(), above.data(), spare.data(), n, step);
          CHECK(png_unfilter_row(filter, spare.data(), above.data(), back.data(), n, step));
          CHECK(back == row);
        }
        png_filter_best(row.data(), above.data(), filtered.data(), spare.data(), n, step);
        CHECK(png_unfilter_row(filtered[0], filtered.data() + 1, above.data(), back.data(), n, step));
        CHECK(back == row);
      }
      CHECK(!png_unfilter_row(5, row.data(), above.data(), back.data(), n, step));
      CHECK(!png_unfilter_row(255, row.data(), above.data(), back.data(), n, step));
    }
  // A flat row costs nothing with the filter Sub but for its first pixel; the least cost is taken.
  std::vector<uint8_t> flat(64, 9), zeros(64), out(65), spare(64);
  png_filter_best(flat.data(), zeros.data(), out.data(), spare.data(), 64, 1);
  CHECK(out[0] == 1 && out[1] == 9 && out[2] == 0);
  CHECK(png_row_cost(std::vector<uint8_t>(200000, 0x80).data(), 200000) == 128ull * 200000);
  return 0;
}
