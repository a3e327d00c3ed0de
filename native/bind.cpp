// bind.cpp - the border to Python. It only checks shapes, converts arrays and errors, and releases the interpreter's
// lock; everything it calls knows no Python.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bind.h"
#include "bound_context.h"
#include "bound_network.h"
#include "model.h"
#include "png_filter.h"
#include "rans.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace laconic;

namespace {

using TileTuple = std::tuple<int, int, int, int>;
using CodingTuple = std::tuple<const ParameterSet*, int, int>;
using DetailTuple = std::tuple<int, const Network*>;
using ContextTuple = std::tuple<int, const ContextWeights*>;

std::atomic<const Kernels*> active{nullptr};

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (int i = 0; i < kKernelTables; ++i)
    if (const Kernels* k = supported_kernels(i)) names.emplace_back(k->name);
  return names;
}

void use_instruction_set(const std::string& name) {
  for (int i = 0; i < kKernelTables; ++i)
    if (const Kernels* k = supported_kernels(i); k && name == k->name) {
      active = k;
      return;
    }
  throw nb::value_error("an instruction set that this processor or build lacks");
}

// ------------------------------------------------------------------------------------------------ rANS

Bytes push(const Array<const uint32_t, nb::ndim<1>>& ops) {
  const size_t count = ops.shape(0), capacity = push_bound(count);
  std::vector<uint8_t> out(capacity);
  size_t start = 0;
  bool valid = true;
  {
    nb::gil_scoped_release release;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t first = ops.data()[i] & 0xffffu, freq = ops.data()[i] >> 16;
      valid &= freq >= 1 && first + freq <= kProbTotal;
    }
    if (valid) start = push_ops(ops.data(), count, out.data(), capacity);
  }
  require(valid, "an operation outside 0 .. 16384");
  return Bytes(reinterpret_cast<const char*>(out.data() + start), capacity - start);
}

nb::object pop(const Bytes& stream, const Array<const uint16_t, nb::ndim<2>>& cumulative,
               const Array<const uint32_t, nb::ndim<1>>& which) {
  const size_t tables = cumulative.shape(0), width = cumulative.shape(1), count = which.shape(0);
  require(width >= 2, "tables of at least one symbol are needed");
  for (size_t t = 0; t < tables; ++t) {
    const uint16_t* cum = cumulative.data() + t * width;
    bool ok = cum[0] == 0 && cum[width - 1] == kProbTotal;
    for (size_t i = 1; i < width; ++i) ok &= cum[i] >= cum[i - 1];
    require(ok, "cumulative frequencies must rise from 0 to 16384");
  }
  auto* symbols = static_cast<uint16_t*>(std::malloc((count + 1) * sizeof(uint16_t)));
  if (!symbols) throw std::bad_alloc();
  nb::object result = owned_array(symbols, count);
  const auto* bytes = reinterpret_cast<const uint8_t*>(stream.c_str());
  const size_t size = stream.size();
  bool ok = RansReader::well_formed(bytes, size);
  if (ok) {
    nb::gil_scoped_release release;
    RansReader r(bytes, size);
    for (size_t i = 0; ok && i < count; ++i) {
      if (which.data()[i] >= tables) {
        ok = false;
        break;
      }
      const uint16_t* cum = cumulative.data() + size_t(which.data()[i]) * width;
      const uint32_t slot = r.slot();
      size_t s = 0;
      while (cum[s + 1] <= slot) ++s;
      r.take(cum[s], uint32_t(cum[s + 1] - cum[s]));
      symbols[i] = uint16_t(s);
    }
    ok = ok && r.finished();
  }
  require(ok, "the stream does not hold these symbols");
  return result;
}

// ------------------------------------------------------------------------------------------------ parameter sets

std::unique_ptr<ParameterSet> parameter_set(
    const Array<const uint8_t, nb::ndim<3>>& weights, const Array<const uint16_t, nb::ndim<2>>& bias,
    const Array<const uint16_t, nb::ndim<2>>& group_limit, const Array<const uint16_t, nb::ndim<5>>& freq,
    const Array<const uint8_t, nb::ndim<3>>& shift, const Array<const uint16_t, nb::ndim<3>>& group_freq,
    const Array<const uint16_t, nb::ndim<3>>& sign_freq, const Array<const int8_t, nb::ndim<5>>& recon,
    const Array<const int16_t, nb::ndim<2>>& ll_pred,
    const std::optional<Array<const uint16_t, nb::ndim<5>>>& part_freq,
    const std::optional<Array<const int16_t, nb::ndim<5>>>& mix_weights,
    const std::optional<Array<const uint16_t, nb::ndim<3>>>& mask,
    const std::optional<Array<const uint8_t, nb::ndim<2>>>& detail_weight,
    const std::optional<Array<const uint16_t, nb::ndim<4>>>& detail_sign_freq,
    const std::optional<Array<const int16_t, nb::ndim<4>>>& context_weight) {
  const size_t planes = weights.shape(0);
  require(planes >= 1 && planes <= kMaxPlanes, "a parameter set has 1 to 4 planes");
  const auto shaped = [&](const auto& array, std::initializer_list<size_t> rest) {
    bool ok = array.shape(0) == planes;
    size_t i = 1;
    for (const size_t n : rest) ok = ok && array.shape(i++) == n;
    require(ok, "a parameter array of the wrong shape");
  };
  shaped(weights, {kBands, kTaps});
  shaped(bias, {kBands});
  shaped(group_limit, {kBands});
  const size_t kinds = freq.shape(2), quantizers = kinds / kKinds;
  require(kinds == kKinds || kinds == kKinds * kQuantizers, "tables of one quantizer or of two");
  shaped(freq, {kBands, kinds, kBuckets, kTokens});
  shaped(shift, {kBands, kBuckets});
  shaped(group_freq, {kBands, kBuckets});
  shaped(sign_freq, {kBands, kSigns});
  shaped(recon, {kBands, kinds, kBuckets, 3});
  shaped(ll_pred, {4});
  require(part_freq.has_value() == mix_weights.has_value(), "mixing takes its tables and its weights");
  if (part_freq) {
    shaped(*part_freq, {kBands, kMixParts, quantizers * kBuckets, kDecisions});
    shaped(*mix_weights, {kBands, kKinds, kDecisions, kMixInputs});
  }
  if (mask) shaped(*mask, {kMaskedLevels, kContrasts});
  require(detail_weight.has_value() == detail_sign_freq.has_value(), "what is foretold takes weights and sign tables");
  if (detail_weight) shaped(*detail_weight, {kBands}), shaped(*detail_sign_freq, {kBands, kSides, kSigns});
  require(!context_weight || part_freq, "an opinion takes mixing");
  if (context_weight) shaped(*context_weight, {kBands, kKinds, kDecisions});
  return build_parameter_set(
      int(planes), {int(quantizers), weights.data(), bias.data(), group_limit.data(), freq.data(), shift.data(),
                    group_freq.data(), sign_freq.data(), recon.data(), ll_pred.data(),
                    part_freq ? part_freq->data() : nullptr, mix_weights ? mix_weights->data() : nullptr,
                    mask ? mask->data() : nullptr, detail_weight ? detail_weight->data() : nullptr,
                    detail_sign_freq ? detail_sign_freq->data() : nullptr,
                    context_weight ? context_weight->data() : nullptr});
}

// ------------------------------------------------------------------------------------------------ transforms

template <class S, class T>
const SampleKernels<S, T>& table() {
  if constexpr (sizeof(T) == 2)
    return kernels().coding->narrow;
  else
    return kernels().coding->wide;
}

template <class S, class T>
const EnhanceKernels<S, T>& network_table() {
  if constexpr (sizeof(T) == 2)
    return kernels().network->narrow;
  else
    return kernels().network->wide;
}

template <class S, class T, bool kInverse>
void color(const Array<std::conditional_t<kInverse, S, const S>, nb::ndim<3>>& pixels,
           const Array<std::conditional_t<kInverse, const T, T>, nb::ndim<3>>& planes, bool lossless, int from, int to,
           int colors) {
  const size_t h = pixels.shape(0), w = pixels.shape(1), c = pixels.shape(2);
  require(c >= 1 && c <= 4, "1 to 4 channels are expected");
  require(planes.shape(0) == c && planes.shape(1) == h && planes.shape(2) == w, "planes and pixels differ in shape");
  require(from >= 0 && from <= to && size_t(to) <= h, "rows outside the picture");
  require(colors >= 0 && colors < kReversibleColors, "unknown colors");
  const ColorJob job{int(c), lossless, ptrdiff_t(w * c), ptrdiff_t(w), ptrdiff_t(w * h), int(w), from, to, colors};
  nb::gil_scoped_release release;
  if constexpr (kInverse)
    table<S, T>().synthesize_color(planes.data(), pixels.data(), job);
  else
    table<S, T>().analyze_color(pixels.data(), planes.data(), job);
}

template <class S, class T>
void lift(const Array<T, nb::ndim<2>>& plane, bool columns, int extent, int from, int to, int wavelet, bool inverse) {
  const size_t along = columns ? plane.shape(0) : plane.shape(1), across = columns ? plane.shape(1) : plane.shape(0);
  require(extent >= 1 && size_t(extent) <= along && from >= 0 && from <= to && size_t(to) <= across,
          "a region outside the plane");
  require(wavelet == 0 || wavelet == 1, "an unknown wavelet");
  const LiftJob job{ptrdiff_t(plane.shape(1)), extent, from, to, wavelet, inverse};
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = columns ? table<S, T>().lift_columns(plane.data(), job) : table<S, T>().lift_rows(plane.data(), job);
  }
  if (!ok) throw std::bad_alloc();
}

// ------------------------------------------------------------------------------------------------ tiles

struct TileArguments {
  std::vector<PlaneCoding> coding;
  std::vector<const NetworkWeights*> details;
  std::vector<const ContextWeights*> contexts;
  TileJob job;
};

template <class Planes>
TileArguments tile_arguments(const Planes& planes, const std::vector<CodingTuple>& codings,
                             const Array<const uint32_t, nb::ndim<2>>& steps, const TileTuple& tile, unsigned cuts,
                             bool predicts_chroma, const std::vector<DetailTuple>& details, uint32_t detail_step,
                             const std::vector<ContextTuple>& contexts) {
  const size_t count = planes.shape(0), h = planes.shape(1), w = planes.shape(2);
  require(count >= 1 && count <= kMaxPlanes && codings.size() == count, "one coding for each plane is expected");
  require(h >= 1 && h <= 65535 && w >= 1 && w <= 65535, "a picture of 1 to 65535 samples a side is expected");
  require(steps.shape(0) == count && steps.shape(1) == kBands, "one step for each band is expected");
  require(detail_step >> 31 == 0, "a step below 2^31 is expected");
  require(cuts < 64, "cuts name levels 1 to 6");
  require(!predicts_chroma || count >= 3, "chroma is predicted where there is chroma");
  const auto [y, x, th, tw] = tile;
  require(y >= 0 && x >= 0 && th >= 1 && tw >= 1 && y % 64 == 0 && x % 64 == 0 && size_t(y) + size_t(th) <= h &&
              size_t(x) + size_t(tw) <= w && (th % 64 == 0 || size_t(y + th) == h) && (tw % 64 == 0 || size_t(x + tw) == w),
          "a tile outside the picture or off the grid of 64");
  TileArguments a;
  for (size_t p = 0; p < count; ++p) {
    const auto [set, index, sources] = codings[p];
    require(set != nullptr && index >= 0 && index < set->planes && sources >= 0 && size_t(sources) <= p && sources <= 2,
            "a plane that its parameter set does not have");
    a.coding.push_back({set, index, sources, steps.data() + p * kBands, nullptr});
  }
  if (!details.empty()) a.details.resize(kLevels);
  for (const auto& [level, net] : details) {
    require(level >= 1 && level <= kLevels && net != nullptr && steps.data()[0] > 0, "details of a level that is not there");
    a.details[size_t(level) - 1] = &net->weights;
  }
  if (!contexts.empty()) a.contexts.resize(kColorPlanes * kBands);
  for (const auto& [place, net] : contexts) {
    require(place >= 1 && place < kColorPlanes * kBands && place % kBands && net != nullptr && steps.data()[0] > 0,
            "a network of a band that is not there");
    require(place < kBands || !net->tells_signs, "a network that tells signs of chroma");
    a.contexts[size_t(place)] = net;
  }
  // `coding`, `details` and `contexts` are moved with their heap blocks, so these pointers stay good.
  a.job = {int(h), int(w), {y, x, th, tw}, int(count), a.coding.data(), cuts, ptrdiff_t(h * w), ptrdiff_t(w),
           predicts_chroma, 0, details.empty() ? nullptr : a.details.data(), detail_step,
           contexts.empty() ? nullptr : a.contexts.data()};
  return a;
}

template <class S, class T>
nb::list encode_tile(const Array<const T, nb::ndim<3>>& planes, const std::vector<CodingTuple>& codings,
                     const Array<const uint32_t, nb::ndim<2>>& steps, const Array<const uint32_t, nb::ndim<2>>& lambdas,
                     const TileTuple& tile, unsigned cuts, bool predicts_chroma, unsigned rounding,
                     const std::vector<DetailTuple>& details, uint32_t detail_step,
                     const std::vector<ContextTuple>& contexts,
                     const std::optional<Array<int32_t, nb::ndim<3>>>& symbols,
                     const std::optional<Array<T, nb::ndim<3>>>& targets,
                     const std::optional<Array<int8_t, nb::ndim<3>>>& told,
                     const std::optional<Array<T, nb::ndim<3>>>& decoded, bool drafts) {
  TileArguments a = tile_arguments(planes, codings, steps, tile, cuts, predicts_chroma, details, detail_step, contexts);
  require(lambdas.shape(0) == planes.shape(0) && lambdas.shape(1) == kBands, "one lambda for each band is expected");
  for (size_t i = 0; i < lambdas.size(); ++i) require(lambdas.data()[i] <= 1u << 20, "a lambda over 2^20");
  require(rounding < 64, "rounding out of range");
  for (size_t p = 0; p < a.coding.size(); ++p) a.coding[p].lambda = lambdas.data() + p * kBands;
  a.job.rounding = rounding;
  if (symbols)
    for (size_t i = 0; i < 3; ++i) require(symbols->shape(i) == planes.shape(i), "symbols and planes differ in shape");
  if (targets)
    for (size_t i = 0; i < 3; ++i) require(targets->shape(i) == planes.shape(i), "targets and planes differ in shape");
  if (decoded)
    for (size_t i = 0; i < 3; ++i) require(decoded->shape(i) == planes.shape(i), "decoded and planes differ in shape");
  if (told)
    require(told->shape(0) == 2 && told->shape(1) == planes.shape(1) && told->shape(2) == planes.shape(2),
            "what is foretold takes two planes");
  const EncoderNotes<T> notes{symbols ? symbols->data() : nullptr, targets ? targets->data() : nullptr,
                              told ? told->data() : nullptr, decoded ? decoded->data() : nullptr, drafts};
  OpList groups[kMaxGroups];
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = table<S, T>().encode_tile(a.job, planes.data(), notes, groups);
  }
  nb::list result;
  const int count = 1 + __builtin_popcount(cuts);
  for (int g = 0; g < kMaxGroups; ++g) {
    if (ok && g < count) {
      if (!groups[g].data) groups[g].data = static_cast<uint32_t*>(std::malloc(sizeof(uint32_t)));
      result.append(owned_array(groups[g].data, groups[g].size));
    } else {
      std::free(groups[g].data);
    }
  }
  if (!ok) throw std::bad_alloc();
  return result;
}

// Returns (status, group): status 0 for success, see DecodeStatus.
template <class S, class T>
std::pair<int, int> decode_tile(const Array<T, nb::ndim<3>>& planes, const std::vector<CodingTuple>& codings,
                                const Array<const uint32_t, nb::ndim<2>>& steps, const TileTuple& tile, unsigned cuts,
                                bool predicts_chroma, const std::vector<DetailTuple>& details, uint32_t detail_step,
                                const std::vector<ContextTuple>& contexts, const nb::list& streams) {
  TileArguments a = tile_arguments(planes, codings, steps, tile, cuts, predicts_chroma, details, detail_step, contexts);
  require(streams.size() == size_t(1 + __builtin_popcount(cuts)), "one stream for each group is expected");
  std::vector<StreamView> views;
  for (nb::handle s : streams) {
    if (s.is_none()) {
      views.push_back({nullptr, 0, false});
    } else {
      const auto bytes = nb::cast<Bytes>(s);
      views.push_back({reinterpret_cast<const uint8_t*>(bytes.c_str()), bytes.size(), true});
    }
  }
  int failed = 0;
  DecodeStatus status;
  {
    nb::gil_scoped_release release;
    status = table<S, T>().decode_tile(a.job, views.data(), planes.data(), &failed);
  }
  if (status == kOutOfMemory) throw std::bad_alloc();
  return {int(status), failed};
}

template <class S>
PredictedJob predicted_job(const Array<S, nb::ndim<3>>& pixels, const TileTuple& tile) {
  const size_t h = pixels.shape(0), w = pixels.shape(1), c = pixels.shape(2);
  const auto [y, x, th, tw] = tile;
  require(c >= 1 && c <= kMaxPlanes, "1 to 4 channels are expected");
  require(y >= 0 && x >= 0 && th >= 1 && tw >= 1 && th <= kMaxPredictedSide && tw <= kMaxPredictedSide &&
              size_t(y) + size_t(th) <= h && size_t(x) + size_t(tw) <= w,
          "a tile outside the picture or too large");
  return {{y, x, th, tw}, int(c), 8 * int(sizeof(S)), ptrdiff_t(w * c)};
}

template <class S, class T>
nb::object encode_predicted(const Array<const S, nb::ndim<3>>& pixels, const TileTuple& tile) {
  const PredictedJob job = predicted_job(pixels, tile);
  OpList ops = {};
  bool ok;
  {
    nb::gil_scoped_release release;
    const S* first = pixels.data() + job.tile.y * job.pixel_row + ptrdiff_t(job.tile.x) * job.channels;
    ok = table<S, T>().encode_predicted(job, first, &ops);
  }
  if (!ops.data) ops.data = static_cast<uint32_t*>(std::malloc(sizeof(uint32_t)));
  if (!ok || !ops.data) {
    std::free(ops.data);
    throw std::bad_alloc();
  }
  return owned_array(ops.data, ops.size);
}

// Returns 0 for success, else see DecodeStatus.
template <class S, class T>
int decode_predicted(const Array<S, nb::ndim<3>>& pixels, const TileTuple& tile, const Bytes& stream) {
  const PredictedJob job = predicted_job(pixels, tile);
  DecodeStatus status;
  {
    nb::gil_scoped_release release;
    S* first = pixels.data() + job.tile.y * job.pixel_row + ptrdiff_t(job.tile.x) * job.channels;
    status = table<S, T>().decode_predicted(job, {reinterpret_cast<const uint8_t*>(stream.c_str()), stream.size(), true}, first);
  }
  if (status == kOutOfMemory) throw std::bad_alloc();
  return int(status);
}

// ------------------------------------------------------------------------------------------------ network

template <class T>
NetworkJob network_job(const Array<const T, nb::ndim<3>>& planes, uint32_t step, const TileTuple& tile) {
  const size_t c = planes.shape(0), h = planes.shape(1), w = planes.shape(2);
  require(c >= 1 && c <= 4 && h >= 1 && w >= 1 && h <= 65535 && w <= 65535, "1 to 4 planes are expected");
  require(step >> 31 == 0, "a step below 2^31 is expected");
  const auto [y, x, th, tw] = tile;
  require(y >= 0 && x >= 0 && th >= 1 && tw >= 1 && y % 4 == 0 && x % 4 == 0 && size_t(y) + size_t(th) <= h &&
              size_t(x) + size_t(tw) <= w,
          "a tile outside the picture or off the grid of 4");
  return {int(h), int(w), {y, x, th, tw}, int(c), c >= 3 ? 3 : 1, step, ptrdiff_t(h * w), ptrdiff_t(w), ptrdiff_t(w * c)};
}

// `shift` and taps (3, 26) of a filter of the picture's own; shift 0 is none.
PictureFilter picture_filter(int shift, const Array<const int16_t, nb::ndim<2>>& taps) {
  require(shift >= 0 && shift <= 12 && taps.shape(0) == 3 && taps.shape(1) == kFilterTaps, "3 x 26 taps are expected");
  PictureFilter filter = {shift, {}};
  for (int p = 0; p < 3; ++p) {
    int sum = 0;
    for (int k = 0; k < kFilterTaps; ++k) sum += std::abs(int(filter.taps[p][k] = taps.data()[p * kFilterTaps + k]));
    require(sum <= kMaxTapSum, "taps whose sums could overflow");
  }
  return filter;
}

template <class S, class T>
void enhance(const Array<const T, nb::ndim<3>>& planes, const Array<S, nb::ndim<3>>& pixels, const Network& net,
             uint32_t step, const TileTuple& tile, int shift, const Array<const int16_t, nb::ndim<2>>& taps) {
  const PictureFilter filter = picture_filter(shift, taps);
  const NetworkJob job = network_job<T>(planes, step, tile);
  require(pixels.shape(0) == planes.shape(1) && pixels.shape(1) == planes.shape(2) && pixels.shape(2) == planes.shape(0),
          "planes and pixels differ in shape");
  bool ok;
  {
    nb::gil_scoped_release release;
    ok = network_table<S, T>().enhance_tile(planes.data(), pixels.data(), job, net.weights, filter);
  }
  if (!ok) throw std::bad_alloc();
}

template <class S, class T>
int64_t precompensate(const Array<const T, nb::ndim<3>>& planes, const Array<T, nb::ndim<3>>& targets, const Network& net,
                      uint32_t step, const TileTuple& tile, int share) {
  const NetworkJob job = network_job<T>(planes, step, tile);
  for (size_t axis = 0; axis < 3; ++axis)
    require(planes.shape(axis) == targets.shape(axis), "planes and targets differ in shape");
  require(share >= 0 && share <= 16, "a share of 0 to 16 sixteenths is expected");
  bool ok;
  int64_t growth = 0;
  {
    nb::gil_scoped_release release;
    ok = network_table<S, T>().precompensate_tile(planes.data(), targets.data(), job, net.weights, share, &growth);
  }
  if (!ok) throw std::bad_alloc();
  return growth;
}

// Adds sums of products over rows `from` to `to` of parts (3, planes, H, W) to (planes, 27, 27).
void sum_filter(const Array<const int32_t, nb::ndim<4>>& parts, int from, int to,
                const Array<int64_t, nb::ndim<3>>& sums) {
  const size_t planes = parts.shape(1), h = parts.shape(2), w = parts.shape(3);
  require(parts.shape(0) == 3 && (planes == 1 || planes == 3) && h <= 65535 && w <= 65535, "3 parts of 1 or 3 planes");
  require(sums.shape(0) == planes && sums.shape(1) == size_t(kFilterSums) && sums.shape(2) == size_t(kFilterSums),
          "27 x 27 sums of each plane are expected");
  require(from >= 3 && from <= to && size_t(to) + 3 <= h && w >= 7, "rows too near to an edge");
  nb::gil_scoped_release release;
  kernels().coding->sum_filter(parts.data(), {int(planes), int(h), int(w), from, to}, sums.data());
}

// ------------------------------------------------------------------------------------------------ PNG rows

void check_png(size_t rows, size_t length, size_t above, size_t framed_rows, size_t framed_length, int step) {
  require(step >= 1 && step <= 8 && length >= size_t(step) && length % size_t(step) == 0, "rows of whole pixels are expected");
  require(above == length && framed_rows == rows && framed_length == length + 1, "rows that differ in shape");
}

// Returns the first row whose filter does not exist, or -1.
ptrdiff_t png_unfilter(const Array<const uint8_t, nb::ndim<2>>& filtered, const Array<const uint8_t, nb::ndim<1>>& above,
                       const Array<uint8_t, nb::ndim<2>>& rows, int step) {
  const size_t count = rows.shape(0), n = rows.shape(1);
  check_png(count, n, above.shape(0), filtered.shape(0), filtered.shape(1), step);
  nb::gil_scoped_release release;
  const uint8_t* previous = above.data();
  for (size_t y = 0; y < count; ++y) {
    const uint8_t* in = filtered.data() + y * (n + 1);
    uint8_t* out = rows.data() + y * n;
    if (!png_unfilter_row(in[0], in + 1, previous, out, n, size_t(step))) return ptrdiff_t(y);
    previous = out;
  }
  return -1;
}

void png_filter(const Array<const uint8_t, nb::ndim<2>>& rows, const Array<const uint8_t, nb::ndim<1>>& above,
                const Array<uint8_t, nb::ndim<2>>& filtered, int step) {
  const size_t count = rows.shape(0), n = rows.shape(1);
  check_png(count, n, above.shape(0), filtered.shape(0), filtered.shape(1), step);
  nb::gil_scoped_release release;
  std::vector<uint8_t> spare(n);
  const uint8_t* previous = above.data();
  for (size_t y = 0; y < count; ++y) {
    const uint8_t* in = rows.data() + y * n;
    png_filter_best(in, previous, filtered.data() + y * (n + 1), spare.data(), n, size_t(step));
    previous = in;
  }
}

template <class S, class T>
void bind_samples(nb::module_& m) {
  m.def("analyze_color", &color<S, T, false>, "pixels"_a.noconvert(), "planes"_a.noconvert(), "lossless"_a, "from_row"_a,
        "to_row"_a, "colors"_a);
  m.def("synthesize_color", &color<S, T, true>, "pixels"_a.noconvert(), "planes"_a.noconvert(), "lossless"_a,
        "from_row"_a, "to_row"_a, "colors"_a);
  m.def("lift", &lift<S, T>, "plane"_a.noconvert(), "columns"_a, "extent"_a, "from_line"_a, "to_line"_a, "wavelet"_a,
        "inverse"_a);
  m.def("enhance_tile", &enhance<S, T>, "planes"_a.noconvert(), "pixels"_a.noconvert(), "network"_a, "step"_a, "tile"_a,
        "shift"_a, "taps"_a.noconvert());
  m.def("precompensate_tile", &precompensate<S, T>, "planes"_a.noconvert(), "targets"_a.noconvert(), "network"_a,
        "step"_a, "tile"_a, "share"_a);
  m.def("encode_tile", &encode_tile<S, T>, "planes"_a.noconvert(), "codings"_a, "steps"_a.noconvert(),
        "lambdas"_a.noconvert(), "tile"_a, "cuts"_a, "predicts_chroma"_a, "rounding"_a,
        "details"_a, "detail_step"_a, "contexts"_a, "symbols"_a.noconvert().none() = nb::none(),
        "targets"_a.noconvert().none() = nb::none(), "told"_a.noconvert().none() = nb::none(),
        "decoded"_a.noconvert().none() = nb::none(), "drafts"_a = false);
  m.def("decode_tile", &decode_tile<S, T>, "planes"_a.noconvert(), "codings"_a, "steps"_a.noconvert(), "tile"_a, "cuts"_a,
        "predicts_chroma"_a, "details"_a, "detail_step"_a, "contexts"_a, "streams"_a);
  m.def("encode_predicted", &encode_predicted<S, T>, "pixels"_a.noconvert(), "tile"_a);
  m.def("decode_predicted", &decode_predicted<S, T>, "pixels"_a.noconvert(), "tile"_a, "stream"_a);
}

}  // namespace

const Kernels& laconic::kernels() { return *active.load(std::memory_order_relaxed); }

NB_MODULE(_native, m) {
  // Caches of modules live as long as the interpreter, and workers of a data loader end without taking them down.
  nb::set_leak_warnings(false);
  for (int i = 0; i < kKernelTables; ++i)
    if (const Kernels* k = supported_kernels(i)) active = k;
  m.def("instruction_sets", &instruction_sets, "Those this processor and build can run, slowest first.");
  m.def("instruction_set", [] { return std::string(kernels().name); }, "The one in use.");
  m.def("use_instruction_set", &use_instruction_set, "name"_a);
  m.def("push", &push, "ops"_a.noconvert());
  m.def("pop", &pop, "stream"_a, "cumulative"_a.noconvert(), "which"_a.noconvert());
  m.def("sum_filter", &sum_filter, "parts"_a.noconvert(), "from_row"_a, "to_row"_a, "sums"_a.noconvert());
  m.def("png_unfilter", &png_unfilter, "filtered"_a.noconvert(), "above"_a.noconvert(), "rows"_a.noconvert(), "step"_a);
  m.def("png_filter", &png_filter, "rows"_a.noconvert(), "above"_a.noconvert(), "filtered"_a.noconvert(), "step"_a);
  nb::class_<ParameterSet>(m, "ParameterSet")
      .def(nb::new_(&parameter_set), "weights"_a.noconvert(), "bias"_a.noconvert(), "group_limit"_a.noconvert(),
           "freq"_a.noconvert(), "shift"_a.noconvert(), "group_freq"_a.noconvert(), "sign_freq"_a.noconvert(),
           "recon"_a.noconvert(), "ll_pred"_a.noconvert(), "part_freq"_a.noconvert().none() = nb::none(),
           "mix_weights"_a.noconvert().none() = nb::none(), "mask"_a.noconvert().none() = nb::none(),
           "detail_weight"_a.noconvert().none() = nb::none(), "detail_sign_freq"_a.noconvert().none() = nb::none(),
           "context_weight"_a.noconvert().none() = nb::none())
      .def_ro("planes", &ParameterSet::planes);
  nb::class_<ContextWeights>(m, "ContextNetwork")
      .def(nb::new_(&context_network), "weight"_a.noconvert(), "bias"_a.noconvert(), "shift"_a, "middle"_a.noconvert(),
           "middle_bias"_a.noconvert(), "middle_shift"_a, "output"_a.noconvert(), "output_bias"_a.noconvert(),
           "output_shift"_a, "signs"_a.none() = nb::none());
  nb::class_<Network>(m, "Network")
      .def(nb::new_(&network), "channels"_a, "expanded"_a, "dense"_a, "spread"_a);
  bind_samples<uint8_t, int16_t>(m);
  bind_samples<uint16_t, int32_t>(m);
  bind_arrays(m);
  bind_differences(m);
  bind_grid(m);
}
