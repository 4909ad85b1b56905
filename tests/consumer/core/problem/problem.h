#pragma once

/// A header of the consumer that has the name of one of meshattn's.
namespace consumer {

inline constexpr int kRanks = 16;

}  // namespace consumer
