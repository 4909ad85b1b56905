#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/trace.h"
#include "gpu/base/deadline.h"
#include "gpu/device/device.h"
#include "gpu/issue/calls.h"

namespace meshattn::gpu {

/// This machine's CPU as the device of all ranks: a thread for each lane of each rank, and the reference kernels.
/// Exchanges are copies.
class CpuDevice final : public Device {
 public:
  /// Fills the arenas with the inputs, and all other bytes with NaN.
  /// @param given the tensors, or null for random inputs
  CpuDevice(const Schedule& schedule, const cpu::Tensors* given);
  ~CpuDevice() override;

  void launch(Rank rank, Lane lane, OpId op) override;
  void copy(Rank rank, Lane lane, const Message& message) override;
  /// @throws DeviceError always: a CPU has no communicators
  void exchange(Rank rank, Lane lane, OpId op, std::span<const Message> messages) override;
  void mark(Rank rank, Lane lane, Mark mark) override;
  void wait(Rank rank, Lane lane, Mark mark) override;

  /// Waits until all streams are idle, and clears the marks for the next repeat.
  /// @throws DeviceError naming the first unfinished op of each rank, if the deadline passes
  void finish(Deadline deadline);
  /// Copies the times of the last run of each op: seconds of the steady clock. Call finish() first.
  void read_times(Trace& trace) const;
  /// Empty: a CPU has no clock of its own.
  [[nodiscard]] static std::vector<double> clock_uncertainties_s() { return {}; }
  [[nodiscard]] cpu::Tensors outputs() const;

 private:
  struct Stream {
    std::queue<std::function<void()>> work;
    bool busy = false;
    std::jthread thread;
  };

  [[nodiscard]] std::byte* arena(Rank rank) { return arenas_[static_cast<std::size_t>(rank)].data(); }
  void enqueue(Rank rank, Lane lane, std::function<void()> work);
  void serve(Stream& stream, const std::stop_token& stop);
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::string unfinished_ops() const;

  const Schedule& s_;
  std::vector<Calls> calls_;
  std::vector<std::vector<std::byte>> arenas_;
  std::map<Mark, double> passed_;  ///< recorded marks and their times
  Trace times_;
  mutable std::mutex mutex_;  ///< guards passed_, times_ and all members below
  std::condition_variable_any changed_;
  std::map<std::pair<Rank, Lane>, Stream> streams_;
};

}  // namespace meshattn::gpu
