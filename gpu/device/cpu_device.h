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

/// This machine's CPU as the device of all ranks: a thread for each lane of each rank, memory of bytes, the reference
/// kernels. Exchanges are copies.
class CpuDevice final : public Device {
 public:
  /// Arenas full of NaN, but for the inputs.
  CpuDevice(const Schedule& schedule, const cpu::Tensors* given);
  ~CpuDevice() override;

  void launch(Rank rank, Lane lane, OpId op) override;
  void copy(Rank rank, Lane lane, const Message& message) override;
  /// @throws DeviceError: there are no communicators
  void exchange(Rank rank, Lane lane, OpId op, std::span<const Message> messages) override;
  void mark(Rank rank, Lane lane, Mark mark) override;
  void wait(Rank rank, Lane lane, Mark mark) override;

  /// Waits until all streams have done what they were given, and forgets the marks: what is issued next begins anew.
  /// @throws DeviceError naming what each rank is at, if the deadline passes.
  void finish(Deadline deadline);
  /// Writes when each op ran last: seconds of the steady clock. Must be finished.
  void read_times(Trace& trace) const;
  /// It has this machine's clock.
  [[nodiscard]] static std::vector<double> clock_uncertainties_s() { return {}; }
  [[nodiscard]] cpu::Tensors outputs() const;

 private:
  struct Stream {
    std::queue<std::function<void()>> work;
    bool busy = false;
    std::jthread thread;
  };

  [[nodiscard]] std::byte* arena(Rank rank) { return arenas_[static_cast<std::size_t>(rank)].data(); }
  void give(Rank rank, Lane lane, std::function<void()> work);
  void serve(Stream& stream, const std::stop_token& stop);
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::string unfinished_ops() const;

  const Schedule& s_;
  std::vector<Calls> calls_;
  std::vector<std::vector<std::byte>> arenas_;
  std::map<Mark, double> passed_;  ///< and when
  Trace times_;
  mutable std::mutex mutex_;  ///< of everything below and of passed_ and times_
  std::condition_variable_any changed_;
  std::map<std::pair<Rank, Lane>, Stream> streams_;
};

}  // namespace meshattn::gpu
