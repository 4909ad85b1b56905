#pragma once

#include <span>
#include <vector>

#include "core/schedule/schedule_builder.h"

namespace meshattn::testing {

/// Builds schedules of messages of whole megabytes: 10,000 keys × K and V × 25 × 2 bytes = 1 MB per key/value head.
class MessageSchedule {
 public:
  explicit MessageSchedule(int ranks)
      : b_({{10'000 * ranks, 10'000 * ranks, 1, 100, 100, 25, Dtype::kBf16},
            Mask::kFull,
            Partition::kContiguous,
            Pass::kForward,
            ranks}) {}

  /// Adds a message that is in no exchange yet.
  TransferId message(Rank from, Rank to, int megabytes, Lane lane = 1, Tensor tensor = Tensor::kKV) {
    const auto cell = static_cast<Cell>(from);
    const ValueId sent = b_.input(from, tensor, b_.region(std::span(&cell, 1), {0, megabytes}), Dtype::kBf16);
    return b_.transfer(sent, to, lane);
  }
  void exchange(Rank rank, std::vector<TransferId> transfers) { b_.exchange(rank, transfers); }

  /// Adds a message with its own exchange at either end.
  TransferId send(Rank from, Rank to, int megabytes, Lane lane = 1) {
    const TransferId t = message(from, to, megabytes, lane);
    exchange(from, {t});
    exchange(to, {t});
    return t;
  }

  /// A rank attends its own block: 4 · 10,000² pairs · 25 · 100 heads = 1e12 flops, which take 1 s at 1e12 flop/s.
  void compute(Rank rank) {
    const ValueId q = b_.input(rank, Tensor::kQ, b_.chunk_region(rank, Tensor::kQ), Dtype::kBf16);
    const ValueId kv = b_.input(rank, Tensor::kKV, b_.chunk_region(rank, Tensor::kKV), Dtype::kBf16);
    const ValueId o = b_.declare(rank, Tensor::kO, b_.chunk_region(rank, Tensor::kO), Dtype::kFp32);
    b_.attend(rank, {b_.add_row(AttendRow{q, o}), b_.add_column(kv), 1, 1});
  }

  Schedule finish() { return b_.finish(); }

 private:
  ScheduleBuilder b_;
};

}  // namespace meshattn::testing
