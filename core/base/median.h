#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace meshattn {

/// The middle one of at least one number, or the mean of the two middle ones.
[[nodiscard]] inline double median(std::vector<double> numbers) {
  std::ranges::sort(numbers);
  const std::size_t middle = numbers.size() / 2;
  return numbers.size() % 2 == 1 ? numbers[middle] : (numbers[middle - 1] + numbers[middle]) / 2;
}

}  // namespace meshattn
