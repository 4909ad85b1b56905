#pragma once

/// Every tolerance by which the best of several is chosen, all relative. Only core/algorithms/order/, which stands
/// below this room, has one more: kRounding, 1e-12, for sums of the same costs in another sequence.
namespace meshattn {

/// Estimates of two orders of a phase that differ by less are the rounding of the same time: the leaner one is taken.
inline constexpr double kSameEstimate = 1e-6;

/// Placements, and rows of a comparison, that differ by less than a thousandth would trade places with the smallest
/// change of a figure: the one that loads links between nodes least, or receives least, is taken.
inline constexpr double kAsFast = 1e-3;

/// Estimates of slices are off by up to 1.7 % from what is simulated: only a larger gain is certain.
inline constexpr double kSlicesGain = 0.02;

}  // namespace meshattn
