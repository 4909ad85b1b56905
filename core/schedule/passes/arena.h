#pragma once

#include <cstdint>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// The bytes of one rank while its list of ops is walked: which are free, and the value that held them last.
class Arena {
 public:
  /// Every value starts at a multiple of this, as cudaMalloc's results do.
  static constexpr std::uint64_t kAlignment = 256;
  static constexpr std::uint64_t aligned(std::uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// Takes `bytes` bytes that are free at `time` and appends the values that held them last to `previous`. Prefers the
  /// gap of exactly that size that was released first, then the smallest run of adjacent gaps, then new bytes at the
  /// end.
  /// @returns their offset.
  std::uint64_t allocate(std::uint64_t bytes, std::vector<ValueId>& previous, double time = 0);

  /// Frees the bytes that value `last` holds at `offset`, from `time` on.
  void release(std::uint64_t offset, std::uint64_t bytes, ValueId last, double time = 0);

  /// Bytes from offset 0 to the end of the highest allocation so far.
  [[nodiscard]] std::uint64_t size() const { return top_; }

 private:
  struct Gap {
    std::uint64_t offset;
    std::uint64_t bytes;
    ValueId last;
    std::uint64_t released;  ///< number of releases before this one
    double free_from;        ///< time

    [[nodiscard]] std::uint64_t end() const { return offset + bytes; }
  };

  [[nodiscard]] std::size_t find_gap(std::uint64_t bytes, double time) const;

  std::vector<Gap> gaps_;  ///< by offset; adjacent gaps are not merged, because their last values differ
  std::uint64_t top_ = 0;
  std::uint64_t releases_ = 0;
};

}  // namespace meshattn
