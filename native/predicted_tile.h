// predicted_tile.h - a tile of a picture sample by sample, without loss: plane after plane, each foretold from the samples
// before and from the planes before (sample_prediction.h) and coded by what is foretold (sample_mixing.h).
//
// Colors are coded green, red, blue; gray, and alpha, which comes last, know no other plane.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include <cstdlib>

#include "carving.h"
#include "causal_encoder.h"
#include "sample_mixing.h"
#include "tile.h"

namespace laconic {
namespace LACONIC_ISA {

constexpr int kPlaneOrder[3] = {1, 0, 2};
constexpr int32_t kMostKept = 64 << (kUnitBits - kErrorShift);  // of an error, of 8 bits

// Coders: what a decision costs and what it was.
struct DecisionWriter {
  static constexpr bool kDecodes = false;
  OpList& ops;
  bool ok = true;
  LACONIC_INLINE bool decide(uint32_t freq, bool yes) {
    ok = ok && push(ops, yes ? pack_op(0, freq) : pack_op(freq, kProbTotal - freq));
    return yes;
  }
  LACONIC_INLINE bool lost() const { return !ok; }
};
struct DecisionReader {
  static constexpr bool kDecodes = true;
  RansReader& reader;
  LACONIC_INLINE bool decide(uint32_t freq, bool) {
    const bool yes = reader.slot() < freq;
    reader.take(yes ? 0 : freq, yes ? freq : kProbTotal - freq);
    return yes;
  }
  // A stream that has ended too soon needs no more time.
  LACONIC_INLINE bool lost() const { return reader.overran(); }
};

class PredictedTile {
 public:
  PredictedTile(const PredictedJob& job) : job_(job) {
    const size_t samples = FramedSamples::bytes(job.tile.h, job.tile.w), errors = FramedErrors::bytes(job.tile.h, job.tile.w);
    const size_t mixer = sizeof(SampleMixer::Memory), predictor = SamplePredictor::bytes(job.tile.w);
    block_ = static_cast<uint8_t*>(std::calloc(1, size_t(job.channels) * (samples + errors + 2 * kCarved) + mixer + predictor + 3 * kCarved));
    if (!block_) return;
    Carver carver(block_);
    for (int c = 0; c < job.channels; ++c) {
      samples_[c].place(carver.take<uint8_t>(samples), job.tile.h, job.tile.w);
      errors_[c].place(carver.take<uint8_t>(errors), job.tile.h, job.tile.w);
    }
    mixer_memory_ = carver.take<SampleMixer::Memory>(1);
    predictor_memory_ = carver.take<uint8_t>(predictor);
  }
  ~PredictedTile() { std::free(block_); }
  PredictedTile(const PredictedTile&) = delete;
  PredictedTile& operator=(const PredictedTile&) = delete;
  explicit operator bool() const { return block_ != nullptr; }

  // `pixels` holds the tile, channels interleaved; a decoder fills it, as far as its stream goes.
  template <class S, class Coder>
  void code(Coder& coder, S* pixels) {
    for (int p = 0; p < job_.channels && !coder.lost(); ++p) {
      const bool color = job_.channels >= 3 && p < 3;
      const int channel = color ? kPlaneOrder[p] : p;
      code_plane(coder, p, color ? p : 0, pixels + channel);
    }
  }

 private:
  template <class S, class Coder>
  void code_plane(Coder& coder, int p, int knowns, S* pixels) {
    FramedSamples& own = samples_[p];
    FramedErrors& errors = errors_[p];
    const Rect& t = job_.tile;
    predictor_.start(job_.depth, own, samples_, knowns, predictor_memory_);
    mixer_.start(job_.depth, mixer_memory_);
    own.start(uint16_t(1 << (job_.depth - 1))), errors.start(0);
    for (int y = 0; y < t.h && !coder.lost(); ++y) {
      own.start_row(y), errors.start_row(y), predictor_.start_row(y), mixer_.start_row();
      S* const row = pixels + ptrdiff_t(y) * job_.pixel_row;
      for (int x = 0; x < t.w; ++x) {
        const Guess f = predictor_.predict(x);
        const int32_t sample = mixer_.code(coder, f, surroundings(p, knowns, y, x, f), row[ptrdiff_t(x) * job_.channels]);
        if constexpr (Coder::kDecodes) row[ptrdiff_t(x) * job_.channels] = S(sample);
        own.row(y)[x] = uint16_t(sample);
        if (y == 0) own.extend_above(x);
        predictor_.learn(x, sample);
        const int32_t e = (sample << kUnitBits) - f.blended, most = kMostKept << (job_.depth - 8);
        const int32_t off = (e < 0 ? -e : e) >> kErrorShift;
        errors.row(y)[x] = off > most ? most : off;
      }
      own.finish_row(y), errors.finish_row(y), predictor_.finish_row();
    }
    own.finish(), errors.finish();
  }

  LACONIC_INLINE static int bucket(int32_t eighths, int most) {
    const int k = (log2_16(uint32_t(eighths) + 2) - 16 + 2) >> 2;
    return k > most ? most : k;
  }

  LACONIC_INLINE Surroundings surroundings(int p, int knowns, int y, int x, const Guess& f) const {
    const FramedErrors& own = errors_[p];
    const int32_t *e = own.row(y) + x, *n = e - own.stride, *nn = n - own.stride;
    const int32_t near = (10 * (e[-1] + n[0]) + 6 * (n[-1] + n[1]) + 4 * (e[-2] + nn[0]) + 2 * (n[-2] + n[2])) / 44;
    const uint16_t *s = samples_[p].row(y) + x, *sn = s - samples_[p].stride, *snn = sn - samples_[p].stride;
    int32_t other = 0;
    if (knowns == 0) {
      const auto apart = [](int32_t a, int32_t b) { return a < b ? b - a : a - b; };
      other = 2 * (apart(s[-1], sn[-1]) + apart(sn[0], sn[-1]) + apart(sn[0], sn[1]) + apart(s[-1], s[-2]));
    } else {
      const auto around = [&](const FramedErrors& of) {
        const int32_t *a = of.row(y) + x, *up = a - of.stride, *down = a + of.stride;
        return 6 * a[0] + 2 * (a[-1] + a[1] + up[0] + down[0]) + up[-1] + up[1] + down[-1] + down[1];
      };
      const int32_t nearest = around(errors_[p - 1]);
      other = knowns == 1 ? nearest / 18 : (2 * nearest + around(errors_[p - 2])) / 54;
    }
    int32_t least = f.by[0], most = f.by[0];
    for (int k = 1; k < 4; ++k) least = f.by[k] < least ? f.by[k] : least, most = f.by[k] > most ? f.by[k] : most;
    Surroundings r;
    r.own = bucket(near, kScaleBuckets - 1), r.others = bucket(other, kScaleBuckets - 1);
    r.both = bucket((3 * near + 2 * other) / 5, kScaleBuckets - 1);
    r.spread = bucket((most - least) >> kErrorShift, kScaleBuckets - 1);
    const auto coarse = [](int32_t v) {
      const int k = (log2_16(uint32_t(v) + 2) - 16 + 5) / 10;
      return k > 31 ? 31 : k;
    };
    r.pair = coarse(near) * 32 + coarse(other);
    const int grade = log2_16(uint32_t(near) + 2) / 16 - 1;
    r.grade = grade > kGrades - 1 ? kGrades - 1 : grade;
    const auto above = [&](int32_t v) { return (v << kUnitBits) > f.blended; };
    r.texture = above(s[-1]) | above(sn[0]) << 1 | above(sn[-1]) << 2 | above(sn[1]) << 3 | above(s[-2]) << 4 | above(snn[0]) << 5;
    return r;
  }

  const PredictedJob& job_;
  FramedSamples samples_[kMaxPlanes];
  FramedErrors errors_[kMaxPlanes];
  SamplePredictor predictor_;
  SampleMixer mixer_;
  SampleMixer::Memory* mixer_memory_ = nullptr;
  void* predictor_memory_ = nullptr;
  uint8_t* block_ = nullptr;
};

template <class S>
bool encode_predicted(const PredictedJob& job, const S* pixels, OpList* ops) {
  PredictedTile tile(job);
  if (!tile) return false;
  DecisionWriter writer{*ops};
  tile.code(writer, pixels);
  return writer.ok;
}

template <class S>
DecodeStatus decode_predicted(const PredictedJob& job, const StreamView& stream, S* pixels) {
  if (!RansReader::well_formed(stream.data, stream.size)) return kBadStart;
  PredictedTile tile(job);
  if (!tile) return kOutOfMemory;
  RansReader reader(stream.data, stream.size);
  DecisionReader decisions{reader};
  tile.code(decisions, pixels);
  if (!reader.finished()) return reader.overran() ? kOverran : kNotFinished;
  return kDecoded;
}

}  // namespace LACONIC_ISA
}  // namespace laconic
