#pragma once

#include <cstdint>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// The bytes of one rank while its list of ops is walked: which are free, and who was there last.
class Arena {
 public:
  /// Every value starts at a multiple of this, as cudaMalloc's results do.
  static constexpr std::uint64_t kAlignment = 256;
  static constexpr std::uint64_t aligned(std::uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// Finds `bytes` bytes that are free at `time` and says in `previous` whose place they were. Prefers the gap of that
  /// very size that was released first, then the smallest run of gaps, then new bytes at the end.
  std::uint64_t take(std::uint64_t bytes, std::vector<ValueId>& previous, double time = 0);

  /// The bytes at `offset`, of value `last`, are free from `time` on.
  void release(std::uint64_t offset, std::uint64_t bytes, ValueId last, double time = 0);

  [[nodiscard]] std::uint64_t size() const { return top_; }

 private:
  struct Gap {
    std::uint64_t offset;
    std::uint64_t bytes;
    ValueId last;
    std::uint64_t released;  ///< counts releases
    double free_from;
    [[nodiscard]] std::uint64_t end() const { return offset + bytes; }
  };

  [[nodiscard]] std::size_t find(std::uint64_t bytes, double time) const;

  std::vector<Gap> gaps_;  ///< by offset; neighbours stay apart, their last users differ
  std::uint64_t top_ = 0;
  std::uint64_t releases_ = 0;
};

}  // namespace meshattn
