// color_ways.h - the numbers of the reversible colors: six orders of the channels for each of five ways.
#pragma once
#include <cstdint>

namespace laconic {

enum ColorWay : int { kLumaOrangeGreen, kLumaGreenOrange, kLumaDifferences, kOneDifferences, kOneDifferenceMean };
constexpr int kColorOrders = 6, kColorWays = 5, kReversibleColors = kColorOrders * kColorWays;
constexpr uint8_t kColorOrder[kColorOrders][3] = {{1, 0, 2}, {1, 2, 0}, {0, 1, 2}, {0, 2, 1}, {2, 1, 0}, {2, 0, 1}};

}  // namespace laconic
