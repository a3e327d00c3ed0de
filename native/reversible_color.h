// reversible_color.h - three channels <-> three planes without loss, in one of several ways (spec/entropy.md, section 9).
//
// Each way is a lifting of the channels a, b, c, which are R, G, B in any order; encoders name the one that serves a
// picture. YCoCg-R: Malvar and Sullivan, "YCoCg-R: a color space with RGB reversibility and low dynamic range", 2003; the
// second is the reversible transform of JPEG 2000 with any channel in the place of green.
//
// This header is compiled once per instruction set inside its own namespace; it must not use std:: templates.
#pragma once
#include "color_ways.h"
#include "rans.h"

namespace laconic {
namespace LACONIC_ISA {

struct Three {
  int first, second, third;
};

template <ColorWay kWay>
LACONIC_INLINE Three colors_of(int a, int b, int c) {
  if constexpr (kWay == kLumaOrangeGreen || kWay == kLumaGreenOrange) {
    const int orange = b - c, t = c + (orange >> 1), green = a - t, luma = t + (green >> 1);
    return kWay == kLumaOrangeGreen ? Three{luma, orange, green} : Three{luma, green, orange};
  } else {
    const int difference = b - a;
    if constexpr (kWay == kLumaDifferences) return {a + ((difference + c - a) >> 2), difference, c - a};
    if constexpr (kWay == kOneDifferences) return {a, difference, c - a};
    return {a, difference, c - (a + (difference >> 1))};
  }
}

template <ColorWay kWay>
LACONIC_INLINE Three channels_of(int luma, int second, int third) {
  if constexpr (kWay == kLumaOrangeGreen || kWay == kLumaGreenOrange) {
    const int orange = kWay == kLumaOrangeGreen ? second : third, green = kWay == kLumaOrangeGreen ? third : second;
    const int t = luma - (green >> 1), c = t - (orange >> 1);
    return {green + t, c + orange, c};
  } else if constexpr (kWay == kLumaDifferences) {
    const int a = luma - ((second + third) >> 2);
    return {a, a + second, a + third};
  } else {
    return {luma, luma + second, third + luma + (kWay == kOneDifferenceMean ? second >> 1 : 0)};
  }
}

// Calls f<way>() for the way of a number below kReversibleColors.
template <class F>
LACONIC_INLINE void with_way(int colors, F&& f) {
  switch (colors / kColorOrders) {
    case kLumaOrangeGreen: return f.template operator()<kLumaOrangeGreen>();
    case kLumaGreenOrange: return f.template operator()<kLumaGreenOrange>();
    case kLumaDifferences: return f.template operator()<kLumaDifferences>();
    case kOneDifferences: return f.template operator()<kOneDifferences>();
    default: return f.template operator()<kOneDifferenceMean>();
  }
}

}  // namespace LACONIC_ISA
}  // namespace laconic
