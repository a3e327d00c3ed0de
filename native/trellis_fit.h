// trellis_fit.h - what the search goes by, learned from the values themselves: the price of each level is what it will
// cost under the frequencies that the search itself brings about, and the points are the centroids of its cells. A few
// rounds of searching and counting on a sample find both (Chou, Lookabaugh & Gray, IEEE Trans. ASSP 37(1), 1989).
#pragma once
#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "levels.h"
#include "trellis_feedback.h"
#include "trellis_search.h"

namespace laconic {

// One build of `search_trellis`, see kernels.h.
using TrellisSearch = bool (*)(unsigned bits, const float* x, const uint8_t* buckets, size_t count, const SearchModel& model,
                               int32_t* levels);

struct TrellisFit {
  PointOffsets offsets;
  SearchModel model;
  double bits, squares;  // estimates of the sample, per value: bits, squared error in steps
};

// How often each |k| was chosen, by bucket and quantizer, and how far from its cell's center the values lay.
class LevelCounts {
 public:
  LevelCounts() : count_(size_t{kEnergyBuckets} * 2 * kPricedMagnitudes) {}

  void add(const float* x, const uint8_t* buckets, const int32_t* levels, size_t count, const LevelLayout& layout,
           const PointOffsets& offsets) {
    Trellis trellis(layout.trellis_bits, layout.shared_zero);
    for (size_t i = 0; i < count; ++i) {
      const int32_t k = levels[i], size = std::abs(k);
      const uint32_t q = trellis.quantizer();
      count_[place(buckets ? buckets[i] : 0, int(q), std::min(size, kPricedMagnitudes - 1))] += 1;
      const double error = double(x[i]) - double(trellis_point(q, k, offsets)) / kPointUnit;
      squares_ += error * error;
      if (k) {
        const int row = std::min(size, kOffsetMagnitudes) - 1;
        inward_[q][row] += double(2 * size - int32_t(q)) - double(k < 0 ? -x[i] : x[i]);
        nonzero_[q][row] += 1;
      }
      trellis.advance(k);
    }
    total_ += double(count);
  }

  double squares() const { return squares_ / total_; }

  PointOffsets centroids() const {
    PointOffsets offsets{};
    for (int q = 0; q < 2; ++q)
      for (int row = 0; row < kOffsetMagnitudes; ++row)
        if (nonzero_[q][row] >= 16) {
          const double offset = kPointUnit * inward_[q][row] / nonzero_[q][row];
          offsets.offset[q][row] = int8_t(std::lround(std::clamp(offset, -double(kMostOffset), double(kMostOffset))));
        }
    return offsets;
  }

  // Prices under these counts, each smoothed by a geometric distribution in the weight of `kPrior` values; returns the
  // bits per value that they come to.
  double prices(double lambda, SearchModel& model) const {
    double bits = 0;
    for (int b = 0; b < kEnergyBuckets; ++b)
      for (int q = 0; q < 2; ++q) {
        const int least = model.shared_zero ? 0 : q;
        double sum = 0, mean = 0;
        for (int k = least; k < kPricedMagnitudes; ++k) sum += at(b, q, k), mean += double(k - least) * at(b, q, k);
        const double expected = sum > 0 ? (mean + 0.5) / (sum + 1) : double(Energies::first_energy(unsigned(b))) / 512;
        const double theta = expected / (1 + expected);
        double prior = kPrior * (1 - theta), last = 0, before = 0;
        for (int k = least; k < kPricedMagnitudes; ++k, prior *= theta) {
          const double price = std::log2((sum + kPrior) / (at(b, q, k) + prior + 1e-9)) + (k > 0);
          bits += at(b, q, k) * price;
          model.price[b][q][k] = float(lambda * price);
          before = last, last = price;
        }
        if (!model.shared_zero) model.price[b][1][0] = 1e30f;
        model.slope[b][q] = float(lambda * std::max(last - before, 0.0));
      }
    return bits / total_;
  }

 private:
  static constexpr double kPrior = 8;
  static size_t place(int b, int q, int k) { return (size_t(b) * 2 + size_t(q)) * kPricedMagnitudes + size_t(k); }
  double at(int b, int q, int k) const { return count_[place(b, q, k)]; }

  std::vector<double> count_;
  double inward_[2][kOffsetMagnitudes] = {}, nonzero_[2][kOffsetMagnitudes] = {}, squares_ = 0, total_ = 0;
};

// Buckets as the coder will see them, nearly: from the values instead of the levels.
inline std::vector<uint8_t> expected_buckets(const float* x, const LevelLayout& layout) {
  std::vector<uint8_t> buckets;
  if (layout.contexts == kNoEnergy) return buckets;
  Energies energies(layout);
  buckets.resize(layout.count);
  for (size_t i = 0; i < layout.count; ++i) {
    buckets[i] = uint8_t(energies.bucket());
    energies.add(uint32_t(std::min(std::fabs(x[i]) + 0.5f, 65535.0f)));
  }
  return buckets;
}

// Fits to at most `sample` of the values: whole runs, evenly spread. Throws std::bad_alloc.
inline TrellisFit fit_trellis(TrellisSearch search, const float* x, const std::vector<uint8_t>& buckets, const LevelLayout& layout,
                              double lambda, size_t sample, int rounds) {
  constexpr size_t run = 4096;
  std::vector<std::pair<size_t, size_t>> runs;  // begin, length
  if (layout.count <= sample) {
    runs.emplace_back(0, layout.count);
  } else {
    const size_t many = sample / run;
    for (size_t r = 0; r < many; ++r) runs.emplace_back((layout.count - run) / (many > 1 ? many - 1 : 1) * r, run);
  }
  TrellisFit fit{};
  std::vector<int32_t> levels(std::min(layout.count, sample));
  // Begin with what a geometric distribution of the mean that each bucket stands for would cost.
  LevelCounts first;
  SearchModel& model = fit.model;
  model.shared_zero = layout.shared_zero;
  for (int b = 0; b < kEnergyBuckets; ++b)
    for (int q = 0; q < 2; ++q) {
      const double mean = double(Energies::first_energy(layout.contexts ? unsigned(b) : layout.scale)) / 512;
      const double slope = std::log2(1 + 1 / mean);
      for (int k = 0; k < kPricedMagnitudes; ++k) model.price[b][q][k] = float(lambda * (0.5 + slope * (layout.shared_zero ? k : k - q) + (k > 0)));
      model.slope[b][q] = float(lambda * slope);
    }
  for (int round = 0; round < rounds; ++round) {
    LevelCounts counts;
    model.place(fit.offsets);
    for (const auto& [begin, length] : runs) {
      const uint8_t* b = buckets.empty() ? nullptr : buckets.data() + begin;
      if (!search(layout.trellis_bits, x + begin, b, length, model, levels.data())) throw std::bad_alloc();
      counts.add(x + begin, b, levels.data(), length, layout, fit.offsets);
    }
    fit.bits = counts.prices(lambda, model);
    fit.squares = counts.squares();
    if (round + 1 < rounds) fit.offsets = counts.centroids();
  }
  model.place(fit.offsets);
  return fit;
}

// One build of `search_feedback`.
using FeedbackSearch = bool (*)(unsigned bits, const FeedbackJob& job, const SearchModel& model, int32_t* levels, float* targets);

// Chooses levels with feedback of errors: prices and points from a search without it first, then from quick searches
// with it, whose targets are what counts; the last search has all states. `bits` and `squares` of the result are those
// of its last but one. Throws std::bad_alloc.
inline TrellisFit fit_feedback(TrellisSearch search, FeedbackSearch feedback, FeedbackJob job, const LevelLayout& layout, double lambda,
                               int rounds, int32_t* levels, float* targets) {
  constexpr unsigned quick_bits = 3;
  LevelLayout quick = layout;
  quick.trellis_bits = layout.trellis_bits < quick_bits ? layout.trellis_bits : quick_bits;
  std::vector<uint8_t> buckets = expected_buckets(job.x, layout);
  TrellisFit fit = fit_trellis(search, job.x, buckets, quick, lambda, 32768, 4);
  for (int round = 0; round <= rounds; ++round) {
    const LevelLayout& now = round < rounds ? quick : layout;
    job.buckets = buckets.empty() ? nullptr : buckets.data();
    if (!feedback(now.trellis_bits, job, fit.model, levels, targets)) throw std::bad_alloc();
    LevelCounts counts;
    counts.add(targets, job.buckets, levels, layout.count, now, fit.offsets);
    fit.squares = counts.squares();
    if (round == rounds) break;
    buckets = expected_buckets(targets, layout);
    fit.bits = counts.prices(lambda, fit.model);
    fit.offsets = counts.centroids();
    fit.model.place(fit.offsets);
  }
  return fit;
}

}  // namespace laconic
