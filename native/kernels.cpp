// kernels.cpp - one build of the kernels that code; CMake compiles it once per instruction set (LACONIC_ISA).
#include "kernels.h"

#include "carving.h"
#include "causal_decoder.h"
#include "causal_encoder.h"
#include "chroma.h"
#include "dependent_encoder.h"
#include "color.h"
#include "details.h"
#include "lifting.h"
#include "masking.h"
#include "filter_sums.h"
#include "predicted_tile.h"

namespace laconic {
namespace LACONIC_ISA {
namespace {

template <class S, class T>
void analyze_color_rows(const S* pixels, T* planes, const ColorJob& job) {
  const ColorRow row{job.channels, job.lossless, job.plane_stride, job.colors};
  for (int y = job.from; y < job.to; ++y)
    analyze_color<S, T>(pixels + y * job.pixel_row, planes + y * job.plane_row, job.width, row);
}

template <class S, class T>
void synthesize_color_rows(const T* planes, S* pixels, const ColorJob& job) {
  const ColorRow row{job.channels, job.lossless, job.plane_stride, job.colors};
  for (int y = job.from; y < job.to; ++y)
    synthesize_color<S, T>(planes + y * job.plane_row, pixels + y * job.pixel_row, job.width, row);
}

template <class T>
bool lift_row_range(T* plane, const LiftJob& job) {
  T* scratch = static_cast<T*>(std::malloc((size_t(job.extent) + 4) * sizeof(T)));
  if (!scratch) return false;
  const Wavelet wavelet = job.wavelet == kReversible53 ? kReversible53 : kCdf97;
  if (job.inverse)
    lift_rows<T, true>(plane, job.stride, job.extent, job.from, job.to, wavelet, scratch);
  else
    lift_rows<T, false>(plane, job.stride, job.extent, job.from, job.to, wavelet, scratch);
  std::free(scratch);
  return true;
}

template <class T>
bool lift_column_range(T* plane, const LiftJob& job) {
  T* scratch = static_cast<T*>(std::malloc(size_t(job.extent) * kStrip * sizeof(T)));
  if (!scratch) return false;
  const Wavelet wavelet = job.wavelet == kReversible53 ? kReversible53 : kCdf97;
  if (job.inverse)
    lift_columns<T, true>(plane, job.stride, job.extent, job.from, job.to, wavelet, scratch);
  else
    lift_columns<T, false>(plane, job.stride, job.extent, job.from, job.to, wavelet, scratch);
  std::free(scratch);
  return true;
}

// Everything one tile needs while it is coded, in one block of zeros.
class TileMemory {
 public:
  TileMemory(const TileJob& job) {
    size_t bytes = 0, largest = 0;
    const Rect full = band_rect(job.height, job.width, job.tile, kLevels, -1);
    for (int p = 0; p < job.planes; ++p)
      for (int j = 0; j < kBands; ++j) {
        const Rect r = rect(job, j);
        const size_t size = context_bytes(r.h, r.w);
        bytes += size, largest = size > largest ? size : largest;
      }
    const int row = padded(job.tile.w) + 2 * kPad;
    up_bytes_ = largest;
    const size_t lowest = size_t(full.h) * size_t(full.w) * sizeof(int32_t);
    const size_t each = (1 + kMixParts + kFarInputs) * sizeof(uint16_t) + sizeof(uint32_t) + sizeof(Crossing) + kFarInputs +
                        kSignedRows + sizeof(PlaceViews);
    const size_t contexts = size_t(job.planes) * kBands * sizeof(Context);
    const size_t total = bytes + 3 * largest + lowest + size_t(row) * each + contexts + 16 * kCarved;
    block_ = static_cast<uint8_t*>(std::calloc(1, total));
    if (!block_) return;
    Carver carver(block_);
    contexts_ = carver.take<Context>(size_t(job.planes) * kBands);
    lowest_ = carver.take<int32_t>(size_t(full.h) * size_t(full.w));
    sums_.whole = carver.take<uint16_t>(size_t(row));
    for (uint16_t*& part : sums_.part) part = carver.take<uint16_t>(size_t(row));
    far_ = {carver.take<uint8_t>(size_t(row) * kFarInputs), row, carver.take<uint16_t>(size_t(row) * kFarInputs) + kPad,
            carver.take<int8_t>(size_t(row) * kSignedRows) + kPad};
    views_ = carver.take<PlaceViews>(size_t(row));
    trace_ = carver.take<Crossing>(size_t(row));
    scaled_ = carver.take<uint32_t>(size_t(row));
    up_ = carver.take<uint8_t>(3 * largest);
    uint8_t* at = carver.rest();
    for (int p = 0; p < job.planes; ++p)
      for (int j = 0; j < kBands; ++j) {
        const Rect r = rect(job, j);
        at = place_context(contexts_[p * kBands + j], at, r.h, r.w);
      }
  }
  ~TileMemory() { std::free(block_); }
  TileMemory(const TileMemory&) = delete;
  TileMemory& operator=(const TileMemory&) = delete;

  explicit operator bool() const { return block_ != nullptr; }
  static Rect rect(const TileJob& job, int j) {
    return band_rect(job.height, job.width, job.tile, j == 0 ? kLevels : kLevels - (j - 1) / 3, j == 0 ? -1 : (j - 1) % 3);
  }
  Context& context(int plane, int j) { return contexts_[plane * kBands + j]; }
  // Whether a band of a plane that was coded before holds any nonzero symbol.
  bool holds_any(int plane, int j) {
    const Context& of = context(plane, j);
    for (int y = 0; y < of.h; ++y)
      if (of.busy[y]) return true;
    return false;
  }
  const RowSums& sums() const { return sums_; }
  uint32_t* scaled() { return scaled_; }
  Crossing* trace() { return trace_; }
  int32_t* lowest() { return lowest_; }

  // The sources of band j of a plane; the parent is upsampled into the shared scratch.
  Sources sources(const TileJob& job, int plane, int j) {
    const PlaneCoding& coding = job.coding[plane];
    const BandModel& m = coding.set->bands[coding.index * kBands + j];
    Sources src = {};
    for (int c = 0; c < coding.color_sources; ++c) src.color[c] = &context(c, j);
    if (coding.color_sources > 0) src.sign_source = src.color[coding.color_sources - 1];
    const int orientation = j == 0 ? 0 : (j - 1) % 3;
    for (int s = 0; s < orientation; ++s) src.sibling[s] = &context(plane, j - orientation + s);
    if (plane < kColorPlanes && job.contexts && coding.set->listens) src.network = job.contexts[plane * kBands + j];
    src.far = far_, src.views = views_;
    for (int c = 0; c < coding.color_sources && src.network; ++c) src.told[c] = src.color[c]->mag;
    src.told_stride = context(plane, j).stride;
    if (j >= 4 && src.network)
      for (int o = 0; o < 3; ++o) src.parents[o] = parent(plane, j, o);
    if (j >= 4 && (m.uses_parent || src.network))
      src.parent = src.network ? src.parents[orientation] : parent(plane, j, orientation);
    return src;
  }

 private:
  // A band of the level above band j, upsampled to its size.
  const Context* parent(int plane, int j, int orientation) {
    const Context& own = context(plane, j);
    uint8_t* at = up_ + size_t(orientation) * up_bytes_;
    memset(at, 0, context_bytes(own.h, own.w));
    place_context(upsampled_[orientation], at, own.h, own.w);
    upsample(upsampled_[orientation], context(plane, j - 3 - (j - 1) % 3 + orientation));
    return &upsampled_[orientation];
  }

  uint8_t *block_ = nullptr, *up_ = nullptr;
  size_t up_bytes_ = 0;
  Context* contexts_ = nullptr;
  Context upsampled_[3] = {};
  FarRows far_ = {};
  RowSums sums_ = {};
  uint32_t* scaled_ = nullptr;
  PlaceViews* views_ = nullptr;
  Crossing* trace_ = nullptr;
  int32_t* lowest_ = nullptr;
};

bool starts_group(const TileJob& job, int level) { return (job.cuts >> (level - 1) & 1) != 0; }

// What contexts of a band of luma see besides finished bands.
template <class T>
void add_foretold(Sources& src, const DetailPrediction<T>& details, int level, int orientation) {
  if (!details.speaks(level)) return;
  src.foretold = details.foretold(orientation), src.told_stride = src.foretold.stride;
  for (int o = 0; o < 3; ++o) src.told[o] = details.foretold(o).mag, src.told_side[o] = details.foretold(o).side;
}

template <class T>
bool encode_tile(const TileJob& job, const T* planes, const EncoderNotes<T>& notes, OpList* groups) {
  for (int g = 0; g < kMaxGroups; ++g) groups[g] = {};
  TileMemory memory(job);
  ChromaPrediction<T> chroma(job, true);
  DetailPrediction<T> details(job, !job.predicts_chroma);
  Masking<T> masking(job, !job.predicts_chroma && !details.active());
  if (!memory || !chroma || !details || !masking) return false;
  // Where decoded coefficients of luma lie, for those who go by them; null where nobody does.
  const auto luma = [&](int level, int o) {
    const Rect r = TileMemory::rect(job, band_index(level, o));
    const bool chromatic = job.predicts_chroma, detailed = details.active();
    T* at = chromatic ? chroma.kept(0, o) : detailed ? details.kept(o) : masking.kept(level, o);
    const ptrdiff_t stride = chromatic ? chroma.stride() : detailed ? details.stride() : masking.stride();
    return LumaBand<T>{at, stride, r.h, r.w};
  };
  const auto code = [&](OpList& ops, int p, int j) {
    const PlaneCoding& coding = job.coding[p];
    const Rect r = TileMemory::rect(job, j);
    if (r.h == 0 || r.w == 0) return true;
    const ptrdiff_t at = ptrdiff_t(p) * job.plane_stride + ptrdiff_t(r.y) * job.row_stride + r.x;
    const BandModel& m = coding.set->bands[coding.index * kBands + j];
    Sources src = memory.sources(job, p, j);
    Context& own = memory.context(p, j);
    int32_t* out = notes.symbols ? notes.symbols + at : nullptr;
    T* const decoded = notes.decoded ? notes.decoded + at : nullptr;
    const bool mixes = coding.set->mixes;
    if (j == 0) {
      const int32_t* q = memory.lowest();
      const bool ok =
          encode_lowest<T>(ops, m, mixes, coding.set->ll_pred[coding.index], own, src, memory.sums(), memory.scaled(),
                           memory.lowest(), planes + at, job.row_stride, coding.step[j], out, job.row_stride);
      for (int y = 0; y < r.h && decoded; ++y)
        for (int x = 0; x < r.w; ++x) decoded[y * job.row_stride + x] = restored_lowest<T>(*q++, coding.step[j]);
      return ok;
    }
    const T* in = planes + at;
    ptrdiff_t in_stride = job.row_stride;
    T* restored = nullptr;
    ptrdiff_t restored_stride = chroma.stride();
    const int orientation = (j - 1) % 3, level = kLevels - (j - 1) / 3;
    const bool takes_part = job.predicts_chroma && p < 3;
    if (takes_part && p > 0) {
      const Shares shares = chroma.take_away(p, orientation, in, in_stride, coding.step[j]);
      if (memory.holds_any(0, j) && !push(ops, raw_op(shares.luma, kShareBits))) return false;
      if (p == 2 && memory.holds_any(1, j) && !push(ops, raw_op(shares.other, kShareBits))) return false;
      in = restored = chroma.target(), in_stride = chroma.stride();
    } else if (p == 0) {
      const LumaBand<T> kept = luma(level, orientation);
      restored = kept.at, restored_stride = kept.stride;
    }
    if (decoded && !restored) restored = decoded, restored_stride = job.row_stride;
    const Mask mask = masking.of(coding, level);
    if (p == 0) add_foretold(src, details, level, orientation);
    for (int y = 0; y < r.h && notes.told && src.foretold.mag; ++y)
      for (int k = 0; k < 2; ++k)
        memcpy(notes.told + at + k * job.plane_stride + y * job.row_stride,
               (k ? reinterpret_cast<const uint8_t*>(src.foretold.side) : src.foretold.mag) + y * src.foretold.stride,
               size_t(r.w));
    if (notes.targets)
      for (int y = 0; y < r.h; ++y)
        memcpy(notes.targets + at + y * job.row_stride, in + y * in_stride, size_t(r.w) * sizeof(T));
    const bool ok =
        coding.set->trellis
            ? encode_dependent<T>(ops, m, mixes, own, src, memory.sums(), memory.scaled(), memory.trace(), in, in_stride,
                                  coding.step[j], mask, coding.lambda[j], out, job.row_stride,
                                  restored, restored_stride)
            : encode_band<T>(ops, m, mixes, own, src, memory.sums(), memory.scaled(), in, in_stride, coding.step[j],
                             coding.lambda[j], coding.step[j] ? job.rounding : 0, out, job.row_stride, restored,
                             restored_stride);
    if (takes_part && p > 0) chroma.give_back(p, orientation);
    const T* whole = takes_part && p > 0 ? chroma.kept(p, orientation) : restored;
    for (int y = 0; y < r.h && decoded && decoded != restored; ++y)
      memcpy(decoded + y * job.row_stride, whole + y * restored_stride, size_t(r.w) * sizeof(T));
    return ok;
  };
  bool any[kMaxGroups] = {};
  const auto code_to = [&](int group, int p, int j) {
    const bool ok = code(groups[group], p, j);
    if (notes.drafts) groups[group].size = 0;
    const Context& own = memory.context(p, j);
    for (int y = 0; y < own.h; ++y) any[group] |= own.busy[y] != 0;
    return ok;
  };
  bool ok = true;
  int group = 0;
  for (int p = 0; p < job.planes; ++p) {
    ok = ok && code_to(0, p, 0);
    if (p == 0) details.start(memory.lowest());
  }
  for (int level = kLevels; level >= 1; --level) {
    if (starts_group(job, level)) ++group;
    if (job.predicts_chroma)
      for (int p = 0; p < 3; ++p)
        for (int o = 0; o < 3; ++o)
          chroma.begin(p, o, TileMemory::rect(job, band_index(level, o)), chroma.kept(p, o), chroma.stride(),
                       memory.context(p, band_index(level, o)).busy);
    ok = ok && details.run(level);
    details.measure(level, masking.of(job.coding[0], level));
    for (int p = 0; p < job.planes; ++p)
      for (int o = 0; o < 3; ++o) ok = ok && code_to(group, p, band_index(level, o));
    const auto band_of = [&](int o) { return luma(level, o); };
    if (job.predicts_chroma) chroma.finish_level();
    details.finish_level(level, band_of);
    masking.finish_level(job, level, band_of);
  }
  for (int g = 0; g < kMaxGroups; ++g)
    if (!any[g]) groups[g].size = 0;
  return ok;
}

constexpr uint8_t kNoOperations[kStatesBytes] = {0, 0, 1, 0, 0, 0, 1, 0};  // both states where the encoder starts

template <class T>
DecodeStatus decode_tile(const TileJob& job, const StreamView* streams, T* planes, int* failed) {
  TileMemory memory(job);
  ChromaPrediction<T> chroma(job, false);
  DetailPrediction<T> details(job, false);
  Masking<T> masking(job, false);
  if (!memory || !chroma || !details || !masking) return kOutOfMemory;
  const auto place = [&](int p, const Rect& r) {
    return planes + ptrdiff_t(p) * job.plane_stride + ptrdiff_t(r.y) * job.row_stride + r.x;
  };
  const auto code = [&](RansReader& reader, int p, int j) {
    const PlaneCoding& coding = job.coding[p];
    const Rect r = TileMemory::rect(job, j);
    if (r.h == 0 || r.w == 0) return kDecoded;
    T* to = place(p, r);
    const BandModel& m = coding.set->bands[coding.index * kBands + j];
    const int16_t* pred = coding.set->ll_pred[coding.index];
    Sources src = memory.sources(job, p, j);
    Context& own = memory.context(p, j);
    const bool foretold = job.predicts_chroma && p > 0 && p < 3 && j > 0;
    Shares shares = {0, 0};
    if (foretold && memory.holds_any(0, j)) shares.luma = reader.take_raw(kShareBits);
    if (foretold && p == 2 && memory.holds_any(1, j)) shares.other = reader.take_raw(kShareBits);
    const bool mixes = coding.set->mixes, trellis = coding.set->trellis;
    auto decode = j == 0    ? mixes ? decode_band<T, true, false, true> : decode_band<T, true, false, false>
                        : trellis ? mixes ? decode_band<T, false, true, true> : decode_band<T, false, true, false>
                        : mixes   ? decode_band<T, false, false, true>
                                  : decode_band<T, false, false, false>;
    const int level = kLevels - (j - 1) / 3;
    const Mask mask = j == 0 ? Mask{} : masking.of(coding, level);
    if (j > 0 && p == 0) add_foretold(src, details, level, (j - 1) % 3);
    if (src.network) decode = trellis ? decode_band<T, false, true, true, ContextNetwork> : decode_band<T, false, false, true, ContextNetwork>;
    const DecodeStatus status =
        decode(reader, m, pred, own, src, memory.sums(), memory.lowest(), to, job.row_stride, coding.step[j], mask);
    if (status == kDecoded && foretold) chroma.give_back(p, (j - 1) % 3, to, job.row_stride, coding.step[j], shares);
    return status;
  };
  int level = kLevels;
  for (int group = 0; group == 0 || level >= 1; ++group) {
    const StreamView& stream = streams[group];
    *failed = group;
    if (!stream.present) return kDecoded;
    const bool empty = stream.size == 0;  // all of it is zero, and so is what it would have written
    if (!empty && !RansReader::well_formed(stream.data, stream.size)) return kBadStart;
    RansReader reader(empty ? kNoOperations : stream.data, empty ? kStatesBytes : stream.size);
    DecodeStatus status = kDecoded;
    if (group == 0) {
      for (int p = 0; p < job.planes && status == kDecoded && !empty; ++p) {
        status = code(reader, p, 0);
        if (p == 0) details.start(memory.lowest());
      }
      if (empty) details.start(memory.lowest());
    }
    for (bool first = group > 0; level >= 1 && (first || !starts_group(job, level)); --level, first = false) {
      for (int p = 0; p < 3 && job.predicts_chroma; ++p)
        for (int o = 0; o < 3; ++o) {
          const int j = band_index(level, o);
          const Rect r = TileMemory::rect(job, j);
          chroma.begin(p, o, r, place(p, r), job.row_stride, memory.context(p, j).busy);
        }
      if (!empty && status == kDecoded && !details.run(level)) return kOutOfMemory;
      if (!empty && status == kDecoded) details.measure(level, masking.of(job.coding[0], level));
      for (int p = 0; p < job.planes && !empty; ++p)
        for (int o = 0; o < 3 && status == kDecoded; ++o) status = code(reader, p, band_index(level, o));
      if (status != kDecoded) continue;
      const auto band_of = [&](int o) {
        const Rect r = TileMemory::rect(job, band_index(level, o));
        return LumaBand<T>{place(0, r), job.row_stride, r.h, r.w};
      };
      if (job.predicts_chroma) chroma.finish_level();
      details.finish_level(level, band_of);
      masking.finish_level(job, level, band_of);
    }
    if (status != kDecoded) return status;
    if (!reader.finished()) return reader.overran() ? kOverran : kNotFinished;
  }
  return kDecoded;
}

void sum_filter_rows(const int32_t* parts, const FilterSumsJob& job, int64_t* sums) { sum_filter(parts, job, sums); }

bool search_trellis_path(unsigned bits, const float* x, const uint8_t* buckets, size_t count, const SearchModel& model,
                         int32_t* levels) {
  return search_trellis(bits, x, buckets, count, model, levels);
}

bool search_feedback_path(unsigned bits, const FeedbackJob& job, const SearchModel& model, int32_t* levels, float* targets) {
  return search_feedback(bits, job, model, levels, targets);
}

template <class S, class T>
constexpr SampleKernels<S, T> table() {
  return {analyze_color_rows<S, T>, synthesize_color_rows<S, T>, lift_row_range<T>,  lift_column_range<T>,
          encode_tile<T>,           decode_tile<T>,              encode_predicted<S>, decode_predicted<S>};
}

}  // namespace
}  // namespace LACONIC_ISA

#define LACONIC_JOIN_(a, b) a##b
#define LACONIC_JOIN(a, b) LACONIC_JOIN_(a, b)

extern const CodingKernels LACONIC_JOIN(coding_kernels_, LACONIC_ISA);
const CodingKernels LACONIC_JOIN(coding_kernels_, LACONIC_ISA) = {
    LACONIC_ISA::table<uint8_t, int16_t>(), LACONIC_ISA::table<uint16_t, int32_t>(), LACONIC_ISA::sum_filter_rows,
    LACONIC_ISA::search_trellis_path, LACONIC_ISA::search_feedback_path};

}  // namespace laconic
